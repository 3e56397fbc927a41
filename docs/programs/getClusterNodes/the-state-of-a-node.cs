using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var cl01 = Avma.GetClusterNodes.Invoke(new()
    {
        Cluster = "cl01.example.com",
    });

    return new Dictionary<string, object?>
    {
        ["firstNode"] = cl01.Apply(getClusterNodesResult => getClusterNodesResult.Nodes[0].Node),
        ["state"] = cl01.Apply(getClusterNodesResult => getClusterNodesResult.Nodes[0].State),
    };
});

