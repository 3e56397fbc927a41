using System.Collections.Generic;
using System.Linq;
using Pulumi;
using Avma = PulumiAvma.Avma;

return await Deployment.RunAsync(() => 
{
    var node01 = new Avma.HostLicense("node01", new()
    {
        Host = "node01.example.com",
        LicenseSource = Avma.LicenseSource.Subscription,
    });

    return new Dictionary<string, object?>
    {
        ["subscriptionStatus"] = node01.SubscriptionStatus,
    };
});

