import pulumi
import pulumi_avma as avma

hv01 = avma.get_host_license(host="hv01.example.com")
pulumi.export("edition", hv01.edition)
pulumi.export("osVersion", hv01.os_version)
