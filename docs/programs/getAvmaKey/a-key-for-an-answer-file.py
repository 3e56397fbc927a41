import pulumi
import pulumi_avma as avma

standard2022 = avma.get_avma_key(version=avma.Version.VERSION_2022,
    edition=avma.Edition.STANDARD)
pulumi.export("productKey", standard2022.product_key)
