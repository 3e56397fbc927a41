import pulumi
import pulumi_avma as avma

hv01 = avma.get_host_vms(host="hv01.example.com")
pulumi.export("firstVm", hv01.vms[0].vm_name)
pulumi.export("running", hv01.vms[0].running)
