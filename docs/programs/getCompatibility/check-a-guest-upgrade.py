import pulumi
import pulumi_avma as avma

upgraded = avma.get_compatibility(host_version=avma.Version.VERSION_2022,
    guest_version=avma.Version.VERSION_2025)
pulumi.export("activates", upgraded.activates)
pulumi.export("reason", upgraded.reason)
