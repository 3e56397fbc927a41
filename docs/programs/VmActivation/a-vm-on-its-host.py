import pulumi
import pulumi_avma as avma

config = pulumi.Config()
guest_password = config.require_secret("guestPassword")
hv01 = avma.HostLicense("hv01", host="hv01.example.com")
web01 = avma.VmActivation("web01",
    host=hv01.host,
    vm_name="web01",
    guest={
        "username": "Administrator",
        "password": guest_password,
    })
pulumi.export("activatedByHost", web01.activated_by_host)
