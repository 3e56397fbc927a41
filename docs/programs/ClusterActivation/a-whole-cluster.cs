using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var config = new Config();
    var guestPassword = config.RequireSecret("guestPassword");
    var guests = new Avma.ClusterActivation("guests", new()
    {
        Cluster = "cl01.example.com",
        Exclude = new[]
        {
            "test-*",
        },
        Guest = new Avma.Inputs.GuestDefaultsArgs
        {
            Username = "Administrator",
            Password = guestPassword,
        },
    });

    return new Dictionary<string, object?>
    {
        ["activated"] = guests.Activated,
    };
});

