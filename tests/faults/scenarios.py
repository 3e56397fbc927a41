"""The operations: for each, the estate, the programs before and after it, and the command that a fault hits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from avma.configuration import Transport
from avma_simulator.state.keys import Channel, ProductKey
from avma_simulator.state.licensing import LicenseStatus
from avma_simulator.state.phone_activation import confirmation_id, installation_id
from faults.engine import Declared, Engine, Program, Run
from faults.estates import HOST_KEY, KEY_2025, SPARE_KEY
from faults.lab import Lab
from faults.wire import Planned
from loopback import address

Command = Callable[[Engine, Planned | None], Run]


def _nothing(_: Lab) -> None:
    pass


@dataclass(frozen=True)
class Scenario:
    """One operation.

    Attributes:
        name: the kind of resource and the operation.
        estate: the name of the estate.
        command: the command that the fault hits.
        after: the program whose state the next `up` must reach.
        before: the program of the state before the command.
        prepare: changes of the machines before the command, outside of Pulumi.
        transport: how the provider connects to guests.
        reads_only: whether the command and the next `up` must change no machine.
        moves: whether the program follows a VM to another host.
        finds_drift: whether the next `up` needs `--refresh`, because the machines changed outside of Pulumi.
    """

    name: str
    estate: str
    command: Command
    after: Program
    before: Program = field(default_factory=dict)
    prepare: Callable[[Lab], None] = _nothing
    transport: Transport = Transport.WINRM
    reads_only: bool = False
    moves: bool = False
    finds_drift: bool = False


def _up(program: Program, refresh: bool = False) -> Command:
    return lambda engine, planned: engine.up(program, planned, refresh)


def _preview(program: Program) -> Command:
    return lambda engine, planned: engine.preview(program, planned)


def _refresh(engine: Engine, planned: Planned | None) -> Run:
    return engine.refresh(planned)


def _import(name: str, kind: str, identifier: str) -> Command:
    return lambda engine, planned: engine.take_over(name, kind, identifier, planned)


def _call(function: str, **arguments: Any) -> Command:
    return lambda engine, planned: engine.call(function, arguments, planned)


def _lapsed(*machines: str) -> Callable[[Lab], None]:
    """Return a change: the licenses of these machines lapse."""

    def lapse(lab: Lab) -> None:
        for name in machines:
            lab.state.machine(name).licensing.set_status(LicenseStatus.Notification)

    return lapse


def _unlicensed(*machines: str) -> Callable[[Lab], None]:
    """Return a change: these machines lose their keys."""

    def uninstall(lab: Lab) -> None:
        for name in machines:
            lab.state.machine(name).licensing.uninstall_key()

    return uninstall


def _joined(lab: Lab) -> None:
    lab.state.clusters[0].nodes.append(lab.state.host("n3"))


def _host(host: str = "hv01", key: str | None = HOST_KEY, **more: Any) -> Declared:
    return Declared("HostLicense", {"host": host, **({"productKey": key} if key else {}), **more})


def _vm(vm: str = "web01", **more: Any) -> Declared:
    placed: Mapping[str, Any] = {} if "hosts" in more else {"host": "hv03"}
    return Declared("VmActivation", {"vmName": vm, **placed, **more})


def _cluster(**more: Any) -> Declared:
    return Declared("ClusterLicense", {"cluster": "cl01", "productKey": HOST_KEY, **more})


def _confirmation(host: str, key: str) -> str:
    """Return the confirmation ID of the activation center for a key on a host."""
    product_key = ProductKey(key, Channel.MAK, "2022", "Datacenter")
    return confirmation_id(installation_id(host, product_key))


def _hosts() -> Iterator[Scenario]:
    plain = {"hv01": _host()}
    adopting = {"hv03": _host("hv03", None)}
    removing = {"hv01": _host(onDelete="uninstallKey")}
    other = {"hv01": _host(key=SPARE_KEY)}
    moved = {"hv01": _host("hv02", onDelete="uninstallKey")}
    renamed = {"hv01": _host(address(11), onDelete="uninstallKey")}
    by_phone = {"hv01": _host(confirmationId=_confirmation("hv01", HOST_KEY))}
    name, estate = "HostLicense", "hosts"
    yield Scenario(f"{name}: preview of a creation", estate, _preview(plain), plain)
    yield Scenario(f"{name}: create", estate, _up(plain), plain)
    yield Scenario(f"{name}: create by phone", estate, _up(by_phone), by_phone)
    yield Scenario(f"{name}: create, adopting", estate, _up(adopting), adopting, reads_only=True)
    yield Scenario(f"{name}: refresh", estate, _refresh, plain, plain, reads_only=True)
    yield Scenario(f"{name}: refresh of drift", estate, _refresh, plain, plain, _unlicensed("hv01"), finds_drift=True)
    yield Scenario(f"{name}: preview of an update", estate, _preview(other), other, plain)
    yield Scenario(f"{name}: update", estate, _up(other), other, plain)
    repair = _up(plain, refresh=True)
    lapsed = _lapsed("hv01")
    yield Scenario(f"{name}: update of a lapsed license", estate, repair, plain, plain, lapsed, finds_drift=True)
    yield Scenario(f"{name}: replace", estate, _up(moved), moved, removing)
    yield Scenario(f"{name}: replace on one machine", estate, _up(renamed), renamed, removing)
    yield Scenario(f"{name}: delete, retain", estate, _up({}), {}, plain, reads_only=True)
    yield Scenario(f"{name}: delete, uninstallKey", estate, _up({}), {}, removing)
    yield Scenario(f"{name}: import", estate, _import("hv03", name, "hv03"), adopting, reads_only=True)
    yield Scenario(f"{name}: getHostLicense", estate, _call("getHostLicense", host="hv03"), {}, reads_only=True)


def _guests(transport: Transport) -> Iterator[Scenario]:
    for scenario in _of_guests(f"VmActivation ({transport.value})"):
        yield replace(scenario, transport=transport)


def _of_guests(name: str) -> Iterator[Scenario]:
    estate = "guests"
    plain, other = {"web01": _vm()}, {"web01": _vm("app01", onDelete="uninstallKey")}
    removing, restoring = {"web01": _vm(onDelete="uninstallKey")}, {"web01": _vm(onDelete="restoreKmsClientKey")}
    spread = {"web01": _vm(hosts=["hv03", "hv04"])}
    whole = {"hv01": _host(), "web01": _vm(host="hv01", manageDataExchange=True)}
    imported = "hv03/web01"
    yield Scenario(f"{name}: preview of a creation", estate, _preview(plain), plain)
    yield Scenario(f"{name}: create", estate, _up(plain), plain)
    yield Scenario(f"{name}: create on several hosts", estate, _up(spread), spread, moves=True)
    yield Scenario(f"{name}: create with its host", "one guest", _up(whole), whole)
    yield Scenario(f"{name}: refresh", estate, _refresh, plain, plain, reads_only=True)
    yield Scenario(f"{name}: refresh on several hosts", estate, _refresh, spread, spread, moves=True)
    yield Scenario(f"{name}: refresh of drift", estate, _refresh, plain, plain, _unlicensed("web01"), finds_drift=True)
    repair = _up(plain, refresh=True)
    drift = _unlicensed("web01")
    yield Scenario(f"{name}: update", estate, repair, plain, plain, drift, finds_drift=True)
    yield Scenario(f"{name}: preview of a replacement", estate, _preview(other), other, removing)
    yield Scenario(f"{name}: replace", estate, _up(other), other, removing)
    yield Scenario(f"{name}: delete, retain", estate, _up({}), {}, plain, reads_only=True)
    yield Scenario(f"{name}: delete, uninstallKey", estate, _up({}), {}, removing)
    yield Scenario(f"{name}: delete, restoreKmsClientKey", estate, _up({}), {}, restoring)
    yield Scenario(f"{name}: import", estate, _import("web01", "VmActivation", imported), plain, plain)
    call = _call("getVmActivation", host="hv03", vmName="web01")
    yield Scenario(f"{name}: getVmActivation", estate, call, plain, plain, reads_only=True)


def _all_guests() -> Iterator[Scenario]:
    """Yield the operations on two guests of one host, and of a cluster of two nodes.

    If one cannot be read, it is an error, so the next `up` helps. If a VM is on another host during the listing, it is
    a new VM later, which only a refresh finds.
    """

    def program(**more: Any) -> Program:
        selected = {"include": ["web01", "app01"], "unreachableGuests": "fail", "stoppedGuests": "fail"}
        return {"all": Declared("ClusterActivation", {**selected, **more})}

    plain, removing = program(hosts=["hv03"]), program(hosts=["hv03"], onDelete="uninstallKey")
    restoring = program(hosts=["hv03"], onDelete="restoreKmsClientKey")
    drift = _unlicensed("web01")
    network, direct = "ClusterActivation (winrm)", "ClusterActivation (powershellDirect)"
    scenario = partial(Scenario, estate="guests", transport=Transport.POWERSHELL_DIRECT, finds_drift=True)
    reading = partial(scenario, after=plain, before=plain, reads_only=True)
    create = scenario(f"{direct}: create", command=_up(plain), after=plain)
    delete = scenario(f"{direct}: delete, uninstallKey", command=_up({}), after={}, before=removing)
    yield scenario(f"{direct}: preview of a creation", command=_preview(plain), after=plain)
    yield create
    yield reading(f"{direct}: refresh", command=_refresh)
    yield scenario(f"{direct}: refresh of drift", command=_refresh, after=plain, before=plain, prepare=drift)
    yield scenario(f"{direct}: update", command=_up(plain, refresh=True), after=plain, before=plain, prepare=drift)
    yield scenario(f"{direct}: delete, retain", command=_up({}), after={}, before=plain, reads_only=True)
    yield delete
    yield scenario(f"{direct}: delete, restoreKmsClientKey", command=_up({}), after={}, before=restoring)
    yield reading(f"{direct}: getClusterGuests", command=_call("getClusterGuests", hosts=["hv03"]))
    yield replace(create, name=f"{network}: create", transport=Transport.WINRM)
    yield replace(delete, name=f"{network}: delete, uninstallKey", transport=Transport.WINRM)
    yield from _cluster_guests(program(cluster="cl01"))


def _cluster_guests(plain: Program) -> Iterator[Scenario]:
    """Yield the operations that find the guests by the name of their cluster."""
    name = "ClusterActivation of a cluster"
    scenario = partial(Scenario, estate="cluster with guests", after=plain, moves=True, finds_drift=True)
    yield scenario(f"{name}: create", command=_up(plain))
    yield scenario(f"{name}: refresh", command=_refresh, before=plain)
    yield scenario(f"{name}: import", command=_import("all", "ClusterActivation", "cl01"))
    yield scenario(f"{name}: getClusterGuests", command=_call("getClusterGuests", cluster="cl01"), before=plain)


def _clusters() -> Iterator[Scenario]:
    name, estate = "ClusterLicense", "cluster"
    plain = {"cl01": _cluster()}
    listed = {"cl01": Declared(name, {"nodes": ["n1", "n2"], "productKeys": {"n1": HOST_KEY, "n2": SPARE_KEY}})}
    by_node = {"cl01": Declared(name, {"nodes": ["n1", "n2"], "productKey": HOST_KEY})}
    yield Scenario(f"{name}: preview of a creation", estate, _preview(plain), plain)
    yield Scenario(f"{name}: create", estate, _up(plain), plain)
    yield Scenario(f"{name}: create with a key for each node", estate, _up(listed), listed)
    yield Scenario(f"{name}: refresh", estate, _refresh, plain, plain, reads_only=True)
    yield Scenario(f"{name}: refresh of drift", estate, _refresh, plain, plain, _unlicensed("n2"), finds_drift=True)
    yield Scenario(
        f"{name}: update for a new node", estate, _up(plain, refresh=True), plain, plain, _joined, finds_drift=True
    )
    yield Scenario(f"{name}: replace", estate, _up(by_node), by_node, plain)
    yield Scenario(f"{name}: delete", estate, _up({}), {}, plain, reads_only=True)
    yield Scenario(f"{name}: import", estate, _import("cl01", name, "cl01"), plain, plain, reads_only=True)
    yield Scenario(f"{name}: getClusterNodes", estate, _call("getClusterNodes", cluster="cl01"), {}, reads_only=True)


def _azure_local() -> Iterator[Scenario]:
    estate = "azure local"
    host, newer = {"node1": _host("node1")}, {"node1": _host("node1", KEY_2025)}
    adopting = {"node3": _host("node3", None)}
    name = "Azure Local, HostLicense"
    yield Scenario(f"{name}: preview of a creation", estate, _preview(host), host)
    yield Scenario(f"{name}: create", estate, _up(host), host)
    yield Scenario(f"{name}: refresh", estate, _refresh, host, host, reads_only=True)
    yield Scenario(f"{name}: update", estate, _up(newer), newer, host)
    yield Scenario(f"{name}: delete", estate, _up({}), {}, host, reads_only=True)
    yield Scenario(f"{name}: import", estate, _import("node3", "HostLicense", "node3"), adopting, reads_only=True)
    yield Scenario(f"{name}: getHostLicense", estate, _call("getHostLicense", host="node3"), {}, reads_only=True)
    opaque = {"node4": _host("node4")}
    newer = {"node4": _host("node4", KEY_2025)}
    name = "Azure Local without a report, HostLicense"
    yield Scenario(f"{name}: create", estate, _up(opaque), opaque)
    yield Scenario(f"{name}: refresh", estate, _refresh, opaque, opaque, reads_only=True)
    yield Scenario(f"{name}: update", estate, _up(newer), newer, opaque)
    yield from _azure_local_cluster(estate)
    for transport in Transport:
        yield from (replace(each, transport=transport) for each in _azure_local_guest(estate, transport.value))


def _azure_local_cluster(estate: str) -> Iterator[Scenario]:
    name = "Azure Local, ClusterLicense"
    cluster = {"cl02": _cluster(cluster="cl02")}
    yield Scenario(f"{name}: create", estate, _up(cluster), cluster)
    yield Scenario(f"{name}: refresh", estate, _refresh, cluster, cluster, reads_only=True)
    yield Scenario(
        f"{name}: import", estate, _import("cl02", "ClusterLicense", "cl02"), cluster, cluster, reads_only=True
    )
    yield Scenario(f"{name}: delete", estate, _up({}), {}, cluster, reads_only=True)


def _azure_local_guest(estate: str, transport: str) -> Iterator[Scenario]:
    name = f"Azure Local, VmActivation ({transport})"
    guest = {"app01": _vm("app01", host="node3", onDelete="uninstallKey")}
    yield Scenario(f"{name}: create", estate, _up(guest), guest)
    yield Scenario(f"{name}: refresh", estate, _refresh, guest, guest, reads_only=True)
    yield Scenario(f"{name}: delete, uninstallKey", estate, _up({}), {}, guest)


def _lists() -> Iterator[Scenario]:
    yield Scenario("getHostVms", "guests", _call("getHostVms", host="hv03"), {}, reads_only=True)


SCENARIOS = (
    *_hosts(),
    *_guests(Transport.POWERSHELL_DIRECT),
    *_guests(Transport.WINRM),
    *_all_guests(),
    *_clusters(),
    *_azure_local(),
    *_lists(),
)
