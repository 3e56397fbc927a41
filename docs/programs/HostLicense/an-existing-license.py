import pulumi
import pulumi_avma as avma

hv01 = avma.HostLicense("hv01", host="hv01.example.com")
pulumi.export("licenseChannel", hv01.license_channel)
