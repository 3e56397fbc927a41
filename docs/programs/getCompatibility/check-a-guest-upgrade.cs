using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var upgraded = Avma.GetCompatibility.Invoke(new()
    {
        HostVersion = Avma.Version.Version_2022,
        GuestVersion = Avma.Version.Version_2025,
    });

    return new Dictionary<string, object?>
    {
        ["activates"] = upgraded.Apply(getCompatibilityResult => getCompatibilityResult.Activates),
        ["reason"] = upgraded.Apply(getCompatibilityResult => getCompatibilityResult.Reason),
    };
});

