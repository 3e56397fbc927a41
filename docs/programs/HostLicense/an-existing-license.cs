using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var hv01 = new Avma.HostLicense("hv01", new()
    {
        Host = "hv01.example.com",
    });

    return new Dictionary<string, object?>
    {
        ["licenseChannel"] = hv01.LicenseChannel,
    };
});

