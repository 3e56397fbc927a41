"""Random programs and machines: hosts of every version, with guests of every version and edition they activate."""

import itertools

from avma import compatibility, keys
from e2e.estate import ADMINISTRATOR, PASSWORD, machine
from loopback import address

EDITIONS = (compatibility.DATACENTER, compatibility.STANDARD, compatibility.ESSENTIALS)
ALPHABET = "BCDFGHJKMPQRTVWXY"


def host_key(number: int) -> str:
    return f"{ALPHABET[number] * 5}-HJKMN-PQRTV-WXY23-46789"[:-1] + ALPHABET[number]


def guests(host_version: str) -> list[tuple[str, str]]:
    published = [(key.version, key.edition) for key in keys.AVMA_KEYS if key.edition in EDITIONS]
    return [(version, edition) for version, edition in published if compatibility.activates(host_version, version)]


def test_every_guest_of_every_host_is_activated(serve, workspace):
    hosts, resources, product_keys = [], {}, []
    free = itertools.count(10)
    for number, version in enumerate(compatibility.VERSIONS):
        host = address(number + 1)
        product_keys.append({"key": host_key(number), "channel": "MAK", "version": version, "edition": "Datacenter"})
        resources[f"host{number}"] = {
            "type": "avma:HostLicense",
            "properties": {"host": host, "productKey": f"${{key{number}}}"},
        }
        vms = []
        for index, (guest_version, edition) in enumerate(guests(version)):
            name = f"vm{number}x{index}"
            vms.append(machine(name, guest_version, edition, address(next(free))))
            resources[name] = {
                "type": "avma:VmActivation",
                "properties": {"host": f"${{host{number}.host}}", "vmName": name},
            }
        hosts.append(machine(f"host{number}", version, "Datacenter", host, vms=vms))
    server = serve({"keys": product_keys, "hosts": hosts})
    secrets = {f"key{number}": key["key"] for number, key in enumerate(product_keys)}
    stack = workspace(resources, secrets)
    stack.run("up", "--yes", "--skip-preview", "--parallel", "50")
    states = {m["name"]: server.machine(m["name"]) for m in server.machines()}
    assert len(states) == 5 + 3 + 6 + 9 + 11 + 13
    assert {name for name, state in states.items() if state["status"] != "Licensed"} == set()
    assert not [secret for secret in (*secrets.values(), PASSWORD) if secret in stack.printed]
    assert ADMINISTRATOR not in {state["channel"] for state in states.values()}
    stack.run("preview", "--expect-no-changes")

    server.reset_counts()
    stack.run("refresh", "--yes", "--expect-no-changes", "--skip-preview", "--parallel", "50")
    listings = server.counts()["host4"]["operations"]["Enumerate"]
    # Without sharing, each guest would request three listings from its host. The number of shared ones depends on
    # timing.
    assert listings < 2 * len(guests("2025"))
