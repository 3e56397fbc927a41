using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var standard2022 = Avma.GetAvmaKey.Invoke(new()
    {
        Version = Avma.Version.Version_2022,
        Edition = Avma.Edition.Standard,
    });

    return new Dictionary<string, object?>
    {
        ["productKey"] = standard2022.Apply(getAvmaKeyResult => getAvmaKeyResult.ProductKey),
    };
});

