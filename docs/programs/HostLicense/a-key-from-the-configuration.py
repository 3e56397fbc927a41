import pulumi
import pulumi_avma as avma

config = pulumi.Config()
product_key = config.require_secret("productKey")
hv01 = avma.HostLicense("hv01",
    host="hv01.example.com",
    product_key=product_key,
    product_key_version=avma.Version.VERSION_2025)
pulumi.export("activatesGuests", hv01.activates_guests)
