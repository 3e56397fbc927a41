"""Previews read the machines, change nothing, and report future problems."""

import pytest

from avma.keys import KeyKind
from e2e.estate import HOST, HOST_KEY, SPARE_KEY, estate, host_license, machine, published, vm_activation
from loopback import address

OLD_KEY = published(KeyKind.KMS_CLIENT, "2012 R2", "Datacenter")
WEB = machine("web01", "2022", "Standard", address(21))
NEW = machine("new01", "2025", "Standard", address(22))
TRIAL = machine("trial01", "2022", "Datacenter", address(23), evaluation=True)
AZURE = machine("azure01", "2022", "Datacenter Azure Edition", address(24))
DEAF = machine("deaf01", "2022", "Standard", address(28), dataExchange=False)
OFF = machine("off01", "2022", "Standard", address(25), state="off")
STANDARD = machine("standard", "2022", "Standard", address(12), vms=[machine("a01", "2022", "Standard", address(26))])
EVALUATION = machine("evaluation", "2022", "Datacenter", address(13), evaluation=True)
UNLICENSED = machine(
    "unlicensed", "2022", "Datacenter", address(14), vms=[machine("b01", "2022", "Standard", address(27))]
)
PAYG = machine(
    "payg",
    "2025",
    "Datacenter",
    address(15),
    payAsYouGo=True,
    vms=[machine("c01", "2022", "Standard", address(31))],
)
OLD = machine(
    "old",
    "2012 R2",
    "Datacenter",
    address(16),
    license={"key": OLD_KEY},
    vms=[machine("d01", "2012 R2", "Standard", address(32))],
)
OTHER = machine("hv02", "2022", "Datacenter", address(17), vms=[machine("away01", "2022", "Standard", address(33))])
NODE_2022 = machine("n1", "2022", "Datacenter", address(18))
NODE_2025 = machine("n2", "2025", "Datacenter", address(19))
LOCAL = machine(
    "local01",
    "23H2",
    "Azure Stack HCI",
    address(20),
    serverKey=HOST_KEY,
    vms=[machine("e01", "2025", "Datacenter", address(34))],
)
CLUSTER = {"name": "cl01", "nodes": ["n1", "n2"], "address": address(29), "http": {"port": 5985}}
OTHER_KEY = published(KeyKind.AVMA, "2019", "Standard")
SAME_VERSION_KEY = published(KeyKind.AVMA, "2022", "Datacenter")
KMS_KEY = published(KeyKind.KMS_CLIENT, "2022", "Standard")


@pytest.fixture
def server(serve):
    hosts = (STANDARD, EVALUATION, UNLICENSED, PAYG, OLD, OTHER, NODE_2022, NODE_2025, LOCAL)
    declared = estate(WEB, NEW, TRIAL, AZURE, OFF, DEAF, hosts=hosts, license={"key": HOST_KEY})
    return serve({**declared, "clusters": [CLUSTER]})


def on(host: str, vm: str, **properties: object) -> dict:
    return vm_activation(vm, host=host, **properties)


def invoked(server) -> list[str]:
    return [op for counts in server.counts().values() for op in counts["operations"] if op.startswith("Invoke")]


FAILURES = {
    "a host that is Standard": (
        host_license(host=address(12)),
        "it runs Windows Server 2022 Standard. Upgrade the host to Datacenter",
    ),
    "a host that is an evaluation": (host_license(host=address(13)), "it runs an evaluation"),
    "a host that is paid as it goes": (
        host_license(host=address(15)),
        "pay-as-you-go licenses Windows on the host but not in its guests",
    ),
    "a guest on a host that is paid as it goes": (
        on(address(15), "c01"),
        "the host is not licensed for its guests: Azure Arc pay-as-you-go licenses",
    ),
    "a host's key of another version": (
        host_license(productKey="${hostKey}", productKeyVersion="2025"),
        "but `productKeyVersion` is 2025. Correct `productKeyVersion`, or set `productKey`",
    ),
    "a guest's key on a host": (
        host_license(productKey="${key}"),
        "which does not license a host. Set the",
    ),
    "a key of the wrong kind in a guest": (on(HOST, "web01", productKey="${kmsKey}"), "is the generic KMS client key"),
    "a key of another edition": (
        on(HOST, "web01", productKey="${sameVersionKey}"),
        "the declared key is for Windows Server 2022 Datacenter. Remove `productKey`",
    ),
    "a cluster of mixed versions": (
        {"type": "avma:ClusterLicense", "properties": {"cluster": address(29), "productKey": "${hostKey}"}},
        "the nodes run different releases: n1 2022, n2 2025. Upgrade all nodes to the same release",
    ),
    "PowerShell Direct on a host of 2012 R2": (
        on(address(16), "d01", guest={"transport": "powershellDirect"}),
        f"requires Windows Server 2016 or later, and the host {address(16)} runs build 9600. "
        "Set `guest.transport: winrm`",
    ),
    "a guest that is newer than the key of its Azure Local host": (
        on(address(20), "e01"),
        "the key of its host activates guests only up to Windows Server 2022. Set a Datacenter key",
    ),
    "a key below the one on Azure Local": (
        host_license(host=address(20), productKey="${hostKey}", productKeyVersion="2019"),
        "its key is for Windows Server 2022, and it accepts no older key, but `productKeyVersion` is 2019",
    ),
    "a host without a licence and without a key": (host_license(host=address(14)), "`productKey` is not set"),
    "a guest on a Standard host": (on(address(12), "a01"), "only Datacenter activates guests"),
    "a guest on a host without a licence": (on(address(14), "b01"), "License the host first"),
    "a guest that is newer than its host": (on(HOST, "new01"), "Move the VM to a newer host"),
    "a guest that is an evaluation": (on(HOST, "trial01"), "/Set-Edition:ServerDatacenter /ProductKey:KEY"),
    "an Azure Edition guest on Windows Server": (on(HOST, "azure01"), "only Azure and Azure Local can activate"),
    "Data Exchange that is off": (on(HOST, "deaf01"), "Data Exchange integration service of deaf01 is off"),
    "a key of another version": (
        on(HOST, "web01", productKey="${key}"),
        "the declared key is for Windows Server 2019",
    ),
    "a wrong password of the guest": (
        {**on(HOST, "web01"), "properties": {"host": HOST, "vmName": "web01", "guest": {"password": "Not-It-At-All"}}},
        f"web01 ({address(21)}:5985): could not identify the machine: "
        "the service rejected the sign-in of Administrator",
    ),
}
SECRETS = {"key": OTHER_KEY, "sameVersionKey": SAME_VERSION_KEY, "kmsKey": KMS_KEY, "hostKey": SPARE_KEY}
WARNINGS = {
    "a VM that is off": (on(HOST, "off01"), "the state of the VM off01 is Off. Run `Get-VM -Id"),
    "a VM that is not there": (on(HOST, "absent"), "there is no VM absent"),
    "a VM on another host": (on(HOST, "away01"), "If the VM moves between hosts, list all of them in `hosts`"),
    "a machine that cannot be reached": (host_license(connection={"port": 1}), "nothing listens on that port"),
}


@pytest.mark.parametrize("finding", FAILURES)
def test_a_preview_fails_with_the_remedy(server, workspace, finding):
    declared, text = FAILURES[finding]
    failed = workspace({"x": declared}, SECRETS).run("preview", check=False)
    assert failed.returncode != 0
    assert text in " ".join(failed.stdout.split())
    assert invoked(server) == []


@pytest.mark.parametrize("finding", WARNINGS)
def test_a_preview_warns_of_what_the_run_may_mend(server, workspace, finding):
    declared, text = WARNINGS[finding]
    printed = workspace({"x": declared}).run("preview").stdout
    assert ": could not " in printed
    assert text in " ".join(printed.split())
    assert invoked(server) == []


def test_a_host_that_the_same_run_licenses_is_no_failure(serve, workspace):
    server = serve(estate(WEB))
    program = {"hv01": host_license(productKey="${productKey}"), "web01": vm_activation("web01")}
    stack = workspace(program, {"productKey": HOST_KEY})
    stack.run("preview")
    assert invoked(server) == []


def test_a_preview_predicts_what_up_then_finds(serve, workspace):
    serve(estate(WEB))
    program = {"hv01": host_license(productKey="${productKey}"), "web01": vm_activation("web01")}
    stack = workspace(program, {"productKey": HOST_KEY})
    stack.write_outputs(
        {name: f"${{web01.{name}}}" for name in ("vmId", "guestVersion", "guestEdition", "partialProductKey")}
    )
    previewed = stack.run("preview").stdout
    stack.run("up", "--yes", "--skip-preview")
    found = stack.run("stack", "output", "--json").stdout
    for value in ("2022", "Standard", "78VHK"):
        assert f'"{value}"' in previewed
        assert f'"{value}"' in found


def test_without_the_probe_no_machine_is_asked(server, workspace):
    stack = workspace({"x": FAILURES["a host that is Standard"][0]}, **{"avma:previewProbe": "false"})
    stack.run("preview")
    assert all(counts["requests"] == 0 for counts in server.counts().values())
