import pulumi
import pulumi_avma as avma

config = pulumi.Config()
guest_password = config.require_secret("guestPassword")
database_password = config.require_secret("databasePassword")
guests = avma.ClusterActivation("guests",
    hosts=[
        "hv01.example.com",
        "hv02.example.com",
    ],
    guest={
        "username": "Administrator",
        "password": guest_password,
    },
    guests={
        "db01": {
            "username": "db-admin",
            "password": database_password,
        },
    },
    unreachable_guests=avma.UnreadGuests.FAIL)
pulumi.export("notActivated", guests.not_activated)
