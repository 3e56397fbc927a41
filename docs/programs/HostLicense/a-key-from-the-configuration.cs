using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var config = new Config();
    var productKey = config.RequireSecret("productKey");
    var hv01 = new Avma.HostLicense("hv01", new()
    {
        Host = "hv01.example.com",
        ProductKey = productKey,
        ProductKeyVersion = Avma.Version.Version_2025,
    });

    return new Dictionary<string, object?>
    {
        ["activatesGuests"] = hv01.ActivatesGuests,
    };
});

