import pulumi
import pulumi_avma as avma

node01 = avma.HostLicense("node01",
    host="node01.example.com",
    license_source=avma.LicenseSource.SUBSCRIPTION)
pulumi.export("subscriptionStatus", node01.subscription_status)
