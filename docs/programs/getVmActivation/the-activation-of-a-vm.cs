using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var web01 = Avma.GetVmActivation.Invoke(new()
    {
        Host = "hv01.example.com",
        VmName = "web01",
    });

    return new Dictionary<string, object?>
    {
        ["guestVersion"] = web01.Apply(getVmActivationResult => getVmActivationResult.GuestVersion),
        ["minutesRemaining"] = web01.Apply(getVmActivationResult => getVmActivationResult.MinutesRemaining),
    };
});

