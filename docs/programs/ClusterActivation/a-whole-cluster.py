import pulumi
import pulumi_avma as avma

config = pulumi.Config()
guest_password = config.require_secret("guestPassword")
guests = avma.ClusterActivation("guests",
    cluster="cl01.example.com",
    exclude=["test-*"],
    guest={
        "username": "Administrator",
        "password": guest_password,
    })
pulumi.export("activated", guests.activated)
