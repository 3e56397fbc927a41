using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var config = new Config();
    var guestPassword = config.RequireSecret("guestPassword");
    var databasePassword = config.RequireSecret("databasePassword");
    var guests = new Avma.ClusterActivation("guests", new()
    {
        Hosts = new[]
        {
            "hv01.example.com",
            "hv02.example.com",
        },
        Guest = new Avma.Inputs.GuestDefaultsArgs
        {
            Username = "Administrator",
            Password = guestPassword,
        },
        Guests = 
        {
            { "db01", new Avma.Inputs.GuestSettingsArgs
            {
                Username = "db-admin",
                Password = databasePassword,
            } },
        },
        UnreachableGuests = Avma.UnreadGuests.Fail,
    });

    return new Dictionary<string, object?>
    {
        ["notActivated"] = guests.NotActivated,
    };
});

