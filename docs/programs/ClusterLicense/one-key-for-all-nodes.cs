using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var config = new Config();
    var productKey = config.RequireSecret("productKey");
    var cl01 = new Avma.ClusterLicense("cl01", new()
    {
        Cluster = "cl01.example.com",
        ProductKey = productKey,
    });

    return new Dictionary<string, object?>
    {
        ["licensedNodes"] = cl01.LicensedNodes,
    };
});

