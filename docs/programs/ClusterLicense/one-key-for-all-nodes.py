import pulumi
import pulumi_avma as avma

config = pulumi.Config()
product_key = config.require_secret("productKey")
cl01 = avma.ClusterLicense("cl01",
    cluster="cl01.example.com",
    product_key=product_key)
pulumi.export("licensedNodes", cl01.licensed_nodes)
