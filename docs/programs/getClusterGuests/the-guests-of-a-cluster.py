import pulumi
import pulumi_avma as avma

cl01 = avma.get_cluster_guests(cluster="cl01.example.com")
pulumi.export("activated", cl01.activated)
pulumi.export("notActivated", cl01.not_activated)
