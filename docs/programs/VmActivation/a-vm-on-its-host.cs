using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var config = new Config();
    var guestPassword = config.RequireSecret("guestPassword");
    var hv01 = new Avma.HostLicense("hv01", new()
    {
        Host = "hv01.example.com",
    });

    var web01 = new Avma.VmActivation("web01", new()
    {
        Host = hv01.Host,
        VmName = "web01",
        Guest = new Avma.Inputs.GuestArgs
        {
            Username = "Administrator",
            Password = guestPassword,
        },
    });

    return new Dictionary<string, object?>
    {
        ["activatedByHost"] = web01.ActivatedByHost,
    };
});

