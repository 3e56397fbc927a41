using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var config = new Config();
    var firstKey = config.RequireSecret("firstKey");
    var secondKey = config.RequireSecret("secondKey");
    var cl01 = new Avma.ClusterLicense("cl01", new()
    {
        Nodes = new[]
        {
            "hv01.example.com",
            "hv02.example.com",
        },
        ProductKeys = 
        {
            { "hv01.example.com", firstKey },
            { "hv02.example.com", secondKey },
        },
    });

    return new Dictionary<string, object?>
    {
        ["licensedNodes"] = cl01.LicensedNodes,
    };
});

