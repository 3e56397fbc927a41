using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var cl01 = Avma.GetClusterGuests.Invoke(new()
    {
        Cluster = "cl01.example.com",
    });

    return new Dictionary<string, object?>
    {
        ["activated"] = cl01.Apply(getClusterGuestsResult => getClusterGuestsResult.Activated),
        ["notActivated"] = cl01.Apply(getClusterGuestsResult => getClusterGuestsResult.NotActivated),
    };
});

