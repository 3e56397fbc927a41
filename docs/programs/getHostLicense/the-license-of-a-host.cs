using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var hv01 = Avma.GetHostLicense.Invoke(new()
    {
        Host = "hv01.example.com",
    });

    return new Dictionary<string, object?>
    {
        ["edition"] = hv01.Apply(getHostLicenseResult => getHostLicenseResult.Edition),
        ["osVersion"] = hv01.Apply(getHostLicenseResult => getHostLicenseResult.OsVersion),
    };
});

