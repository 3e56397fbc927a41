"""Azure Local with the real engine: a key for guests, and the guests."""

from avma import keys
from e2e.estate import HOST, HOST_KEY, SPARE_KEY, host_license, machine, vm_activation
from loopback import address


def local(**more) -> dict:
    """Return one machine of Azure Local with two guests. One guest is newer than the first key."""
    guests = [
        machine("web01", "2022", "Standard", address(21)),
        machine("new01", "2025", "Datacenter", address(22)),
    ]
    fields = {"version": "23H2", "edition": "Azure Stack HCI"}
    product_keys = [
        {"key": HOST_KEY, "channel": "MAK", "version": "2022", "edition": "Datacenter", "activations": 1},
        {"key": SPARE_KEY, "channel": "Retail", "version": "2025", "edition": "Datacenter"},
    ]
    return {"keys": product_keys, "hosts": [{**machine("hv01", **fields, address=HOST), "vms": guests, **more}]}


def test_a_key_is_applied_guests_are_activated_and_a_newer_key_follows(serve, workspace):
    server = serve(local())
    program = {"hv01": host_license(productKey="${productKey}"), "web01": vm_activation("web01")}
    stack = workspace(program, {"productKey": HOST_KEY})
    stack.run("up", "--yes")
    assert server.machine("hv01")["automaticActivation"]["PartialProductKey"] == keys.partial(HOST_KEY)
    assert server.machine("web01")["activatedByHost"] == "HV01"
    stack.run("preview", "--expect-no-changes")
    stack.run("refresh", "--yes", "--expect-no-changes", "--skip-preview")
    assert server.keys()[keys.partial(HOST_KEY)] == 0

    stack.write_resources({**program, "new01": vm_activation("new01")})
    stack.run("config", "set", "--secret", "productKey", SPARE_KEY)
    stack.run("up", "--yes")
    assert server.machine("new01")["activatedByHost"] == "HV01"
    stack.run("destroy", "--yes", "--skip-preview")
    assert server.machine("hv01")["automaticActivation"]["PartialProductKey"] == keys.partial(SPARE_KEY)


def test_a_subscription_is_observed_and_never_bought(serve, workspace):
    server = serve(local())
    stack = workspace({"hv01": host_license(licenseSource="subscription")})
    failed = stack.run("preview", check=False)
    assert failed.returncode != 0
    assert "Set-AzStackHCI -EnableWSSubscription" in failed.stdout
    server.subscription("hv01", True)
    stack.run("up", "--yes")
    assert server.machine("hv01")["automaticActivation"]["Source"] == "Subscription"
    imported = workspace({"hv01": host_license()})
    imported.run("import", "avma:index:HostLicense", "hv01", HOST, "--yes", "--protect=false")
    imported.run("preview", "--expect-no-changes")
