using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var hv01 = Avma.GetHostVms.Invoke(new()
    {
        Host = "hv01.example.com",
    });

    return new Dictionary<string, object?>
    {
        ["firstVm"] = hv01.Apply(getHostVmsResult => getHostVmsResult.Vms[0].VmName),
        ["running"] = hv01.Apply(getHostVmsResult => getHostVmsResult.Vms[0].Running),
    };
});

