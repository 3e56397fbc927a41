import pulumi
import pulumi_avma as avma

config = pulumi.Config()
first_key = config.require_secret("firstKey")
second_key = config.require_secret("secondKey")
cl01 = avma.ClusterLicense("cl01",
    nodes=[
        "hv01.example.com",
        "hv02.example.com",
    ],
    product_keys={
        "hv01.example.com": first_key,
        "hv02.example.com": second_key,
    })
pulumi.export("licensedNodes", cl01.licensed_nodes)
