import pulumi
import pulumi_avma as avma

cl01 = avma.get_cluster_nodes(cluster="cl01.example.com")
pulumi.export("firstNode", cl01.nodes[0].node)
pulumi.export("state", cl01.nodes[0].state)
