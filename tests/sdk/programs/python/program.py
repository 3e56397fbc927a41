"""The quickstart in Python: license a host, and activate a guest on it."""

import pulumi
import pulumi_avma as avma

config = pulumi.Config()
hv01 = avma.HostLicense("hv01", host=config.require("host"), product_key=config.require_secret("productKey"))
web01 = avma.VmActivation("web01", host=hv01.host, vm_name="web01")
pulumi.export("activatedByHost", web01.activated_by_host)
