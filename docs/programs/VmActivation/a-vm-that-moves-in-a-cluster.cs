using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var config = new Config();
    var guestPassword = config.RequireSecret("guestPassword");
    var cl01 = new Avma.ClusterLicense("cl01", new()
    {
        Cluster = "cl01.example.com",
    });

    var web01 = new Avma.VmActivation("web01", new()
    {
        Hosts = new[]
        {
            "hv01.example.com",
            "hv02.example.com",
        },
        VmName = "web01",
        Guest = new Avma.Inputs.GuestArgs
        {
            Transport = Avma.Transport.Winrm,
            Username = "Administrator",
            Password = guestPassword,
        },
        OnDelete = Avma.GuestOnDelete.RestoreKmsClientKey,
    }, new CustomResourceOptions
    {
        DependsOn =
        {
            cl01,
        },
    });

});

