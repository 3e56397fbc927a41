import pulumi
import pulumi_avma as avma

web01 = avma.get_vm_activation(host="hv01.example.com",
    vm_name="web01")
pulumi.export("guestVersion", web01.guest_version)
pulumi.export("minutesRemaining", web01.minutes_remaining)
