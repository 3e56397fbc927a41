import pulumi
import pulumi_avma as avma

config = pulumi.Config()
guest_password = config.require_secret("guestPassword")
cl01 = avma.ClusterLicense("cl01", cluster="cl01.example.com")
web01 = avma.VmActivation("web01",
    hosts=[
        "hv01.example.com",
        "hv02.example.com",
    ],
    vm_name="web01",
    guest={
        "transport": avma.Transport.WINRM,
        "username": "Administrator",
        "password": guest_password,
    },
    on_delete=avma.GuestOnDelete.RESTORE_KMS_CLIENT_KEY,
    opts = pulumi.ResourceOptions(depends_on=[cl01]))
