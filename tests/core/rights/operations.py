"""The operation of each row in the table of rights."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from avma.configuration import Transport
from avma.diagnosis.host_diagnosis import HostDiagnosis
from avma.functions import FUNCTIONS
from avma.functions.get_cluster_nodes import GetClusterNodes
from avma.inventory.collect import Collector
from avma.inventory.request import HostRequest, InventoryRequest
from avma.resources.cluster_activation.activation_resource import ClusterActivationResource
from avma.resources.cluster_license.cluster_resource import ClusterLicenseResource
from avma.resources.resource import Resource, Result
from avma.resources.vm_activation.vm_resource import VmActivationResource
from avma.settings import AddressedSettings
from avma.wording import NEUTRAL
from core.rights.lab import (
    BARE,
    CLUSTER,
    LICENSED,
    LICENSED_CLUSTER,
    LICENSED_LOCAL,
    LOCAL,
    LOCAL_CLUSTER,
    MEMBER,
    SECOND,
    SECOND_LOCAL,
    SECOND_MEMBER,
    Act,
    Bench,
    Prepare,
    Problem,
)
from core.runner import HOST_KEY, OTHER_KEY, Runner, stored

Wanted = dict[str, Any]
_FUNCTIONS = {function.name: function for function in FUNCTIONS}
_HOST, _CLUSTER, _VM = Runner.host, ClusterLicenseResource(), VmActivationResource()
_GUESTS = ClusterActivationResource()
_ON_BARE: Wanted = {"host": BARE, "product_key": HOST_KEY}
_ON_LOCAL: Wanted = {"host": LOCAL, "product_key": HOST_KEY}
_ON_CLUSTER: Wanted = {"cluster": CLUSTER, "product_key": HOST_KEY}
_ON_LOCAL_CLUSTER: Wanted = {"cluster": LOCAL_CLUSTER, "product_key": HOST_KEY}
_ACTIVE: Wanted = {"host": LICENSED, "vm_name": "active"}
_ACTIVE_ON_LOCAL: Wanted = {"host": LICENSED_LOCAL, "vm_name": "active-on-local"}
_ON_WINDOWS: tuple[Wanted, Wanted, Wanted] = (
    _ACTIVE,
    {"host": LICENSED, "vm_name": "fresh"},
    {"host": SECOND, "vm_name": "dark"},
)
"""An activated guest, a new one, and one without Data Exchange."""
_ON_AZURE_LOCAL: tuple[Wanted, Wanted, Wanted] = (
    _ACTIVE_ON_LOCAL,
    {"host": LICENSED_LOCAL, "vm_name": "fresh-on-local"},
    {"host": SECOND_LOCAL, "vm_name": "dark-on-local"},
)
_IN_CLUSTER: tuple[Wanted, Wanted, Wanted] = (
    {"host": MEMBER, "vm_name": "active-in-cluster"},
    {"host": MEMBER, "vm_name": "fresh-in-cluster"},
    {"host": SECOND_MEMBER, "vm_name": "dark-in-cluster"},
)
_GUESTS_ON_WINDOWS: Wanted = {"hosts": [LICENSED], "include": ["active"]}
_GUESTS_ON_AZURE_LOCAL: Wanted = {"hosts": [LICENSED_LOCAL], "include": ["active-on-local"]}


def _preview(resource: Resource, wanted: Wanted) -> Prepare:
    return lambda bench: lambda run: resource.probe(wanted, run.operation())


def _create(resource: Resource, wanted: Wanted) -> Prepare:
    return lambda bench: lambda run: resource.create(wanted, run.operation())


def _refresh(resource: Resource, wanted: Wanted) -> Prepare:
    def prepare(bench: Bench) -> Act:
        result = _existing(resource, wanted, bench)
        return lambda run: _required(resource.read(result.identifier, stored(result), run.operation()))

    return prepare


def _import(resource: Resource, wanted: Wanted) -> Prepare:
    def prepare(bench: Bench) -> Act:
        result = _existing(resource, wanted, bench)
        return lambda run: _required(resource.read(result.identifier, None, run.operation()))

    return prepare


def _required(result: Result | None) -> None:
    assert result is not None


def _update(resource: Resource, wanted: Wanted, changed: Wanted, drifted: str = "") -> Prepare:
    """Update a resource, possibly after somebody removed the key of a machine."""

    def prepare(bench: Bench) -> Act:
        result = _existing(resource, wanted, bench)
        if drifted:
            bench.estate.uninstall_key(drifted)
        return lambda run: resource.update(result.identifier, stored(result), {**wanted, **changed}, run.operation())

    return prepare


def _delete(resource: Resource, wanted: Wanted, on_delete: str | None = None) -> Prepare:
    def prepare(bench: Bench) -> Act:
        result = _existing(resource, wanted if on_delete is None else {**wanted, "on_delete": on_delete}, bench)
        return lambda run: resource.delete(result.identifier, stored(result), run.operation())

    return prepare


def _existing(resource: Resource, wanted: Wanted, bench: Bench) -> Result:
    assert resource.check(wanted) == []
    return resource.create(wanted, bench.administrator().operation())


def _function(name: str, **arguments: object) -> Prepare:
    def act(run: Runner) -> None:
        assert _FUNCTIONS[name].check(arguments) == []
        _FUNCTIONS[name].call(arguments, run.operation)

    return lambda bench: act


def _guests(**arguments: object) -> Prepare:
    return _with_all_guests(_function("get_cluster_guests", **arguments))


def _cluster_nodes(cluster: str, licenses: bool) -> Prepare:
    """List the nodes of a cluster. With licenses, raise Problem for each node that has an error instead."""

    def act(run: Runner) -> None:
        found = GetClusterNodes().call({"cluster": cluster}, run.operation)
        assert found.nodes
        problems = [node.error for node in found.nodes if node.error]
        if licenses and problems:
            raise Problem("\n".join(problems))

    return lambda bench: act


def _with_all_guests(prepare: Prepare) -> Prepare:
    """Raise Problem if the operation of a ClusterActivation only warns about a guest that it could not read."""

    def prepared(bench: Bench) -> Act:
        act = prepare(bench)

        def checked(run: Runner) -> None:
            act(run)
            problems = [text for text in run.told if "See: avma explain" in text]
            if problems:
                raise Problem("\n".join(problems))

        return checked

    return prepared


def _guests_of(active: Wanted, fresh: Wanted, dark: Wanted, cluster: str | None = None) -> Mapping[str, Prepare]:
    """Return the operations of a ClusterActivation with one guest each."""

    def several(vm: Wanted) -> Wanted:
        place = {"cluster": cluster} if cluster else {"hosts": [vm["host"]]}
        return {**place, "include": [vm["vm_name"]]}

    operations = _operations_on(_GUESTS, several(active), several(fresh), several(dark), drifted=active["vm_name"])
    return {name: _with_all_guests(prepare) for name, prepare in operations.items()}


def _vm_operations() -> Mapping[str, Prepare]:
    return _of_vms(*_ON_WINDOWS)


def _vm_operations_on_local() -> Mapping[str, Prepare]:
    return _of_vms(*_ON_AZURE_LOCAL)


def _of_vms(active: Wanted, fresh: Wanted, dark: Wanted) -> Mapping[str, Prepare]:
    return _operations_on(_VM, active, fresh, dark, drifted=active["vm_name"])


def _operations_on(
    resource: Resource, active: Wanted, fresh: Wanted, dark: Wanted, drifted: str
) -> Mapping[str, Prepare]:
    return {
        "preview": _preview(resource, active),
        "refresh": _refresh(resource, active),
        "import": _import(resource, active),
        "create": _create(resource, fresh),
        "update": _update(resource, active, {}, drifted=drifted),
        "create with `manageDataExchange`": _create(resource, {**dark, "manage_data_exchange": True}),
        "delete with `retain`": _delete(resource, active, "retain"),
        "delete with `uninstallKey`": _delete(resource, active, "uninstallKey"),
        "delete with `restoreKmsClientKey`": _delete(resource, active, "restoreKmsClientKey"),
    }


def _local_operations() -> Mapping[str, Prepare]:
    return {
        "preview": _preview(_HOST, _ON_LOCAL),
        "refresh": _refresh(_HOST, _ON_LOCAL),
        "import": _import(_HOST, _ON_LOCAL),
        "create with an existing license": _create(_HOST, {"host": LICENSED_LOCAL}),
        "create": _create(_HOST, _ON_LOCAL),
        "update": _update(_HOST, _ON_LOCAL, {"product_key": OTHER_KEY}),
        "delete with `retain`": _delete(_HOST, _ON_LOCAL, "retain"),
    }


def _cluster_operations(wanted: Wanted) -> Mapping[str, Prepare]:
    return {
        "preview": _preview(_CLUSTER, wanted),
        "refresh": _refresh(_CLUSTER, wanted),
        "import": _import(_CLUSTER, wanted),
        "create": _create(_CLUSTER, wanted),
        "update": _update(_CLUSTER, wanted, {"product_key": OTHER_KEY}),
        "delete": _delete(_CLUSTER, wanted),
    }


def _local_functions() -> Mapping[str, Prepare]:
    return {
        "`getHostLicense`": _function("get_host_license", host=LICENSED_LOCAL),
        "`getHostVms`": _function("get_host_vms", host=LICENSED_LOCAL),
        "`getVmActivation` through the host": _function("get_vm_activation", **_ACTIVE_ON_LOCAL),
        "`getVmActivation` over the network": _function("get_vm_activation", **_ACTIVE_ON_LOCAL),
        "`getClusterGuests` through the hosts": _guests(**_GUESTS_ON_AZURE_LOCAL),
        "`getClusterGuests` over the network": _guests(**_GUESTS_ON_AZURE_LOCAL),
        "`getClusterNodes` with licenses": _cluster_nodes(LOCAL_CLUSTER, True),
        "`getClusterNodes` without licenses": _cluster_nodes(LOCAL_CLUSTER, False),
    }


def _commands(host: str) -> Mapping[str, Prepare]:
    report, doctor = partial(_report, host), partial(_doctor, host)
    return {
        "`avma report`": lambda bench: report,
        "`avma report --guest-transport winrm`": lambda bench: report,
        "`avma doctor`": lambda bench: doctor,
        "`avma doctor --guest-transport winrm`": lambda bench: doctor,
    }


def _report(host: str, run: Runner) -> None:
    """Report one host. Raise Problem for each of its machines that did not answer."""
    request = InventoryRequest(run.configuration, hosts=(HostRequest(host),))
    collector = Collector(
        request, run.machines, seconds=60, at_once=1, show_progress=_ignore, warn=_ignore, redact=lambda text: text
    )
    (found,) = collector.collect().hosts
    problems = [f"{seen.problem}. {NEUTRAL.render(seen.remedy or '')}" for seen in (found, *found.vms) if seen.problem]
    if problems:
        raise Problem("\n".join(problems))


def _doctor(host: str, run: Runner) -> None:
    guest = run.configuration.guest
    assert guest is not None
    settings = AddressedSettings(
        https=False,
        username=run.configuration.username,
        password=run.configuration.password,
        configuration_name=run.configuration.configuration_name,
    )
    transport = guest.transport or Transport.POWERSHELL_DIRECT
    failed = [
        step.error for step in HostDiagnosis(host, settings, transport, run.machines, _ignore).run() if step.error
    ]
    problems = [NEUTRAL.render(error.message) for error in failed]
    if problems:
        raise Problem("\n".join(problems))


def _ignore(*_: object) -> None:
    """Ignore progress."""


OPERATIONS: Mapping[str, Mapping[str, Prepare]] = {
    "HostLicense on Windows Server": {
        "preview": _preview(_HOST, _ON_BARE),
        "refresh": _refresh(_HOST, _ON_BARE),
        "import": _import(_HOST, _ON_BARE),
        "create with an existing license": _create(_HOST, {"host": LICENSED}),
        "create": _create(_HOST, _ON_BARE),
        "update": _update(_HOST, _ON_BARE, {"product_key": OTHER_KEY}),
        "delete with `retain`": _delete(_HOST, _ON_BARE, "retain"),
        "delete with `uninstallKey`": _delete(_HOST, _ON_BARE, "uninstallKey"),
    },
    "HostLicense on Azure Local": _local_operations(),
    "HostLicense on Azure Local with JEA": _local_operations(),
    "ClusterLicense": _cluster_operations(_ON_CLUSTER),
    "ClusterLicense on Azure Local": _cluster_operations(_ON_LOCAL_CLUSTER),
    "ClusterLicense on Azure Local with JEA": _cluster_operations(_ON_LOCAL_CLUSTER),
    "ClusterActivation through the hosts (PowerShell Direct)": _guests_of(*_ON_WINDOWS),
    "ClusterActivation with `cluster` instead of `hosts`": _guests_of(*_IN_CLUSTER, cluster=LICENSED_CLUSTER),
    "ClusterActivation through the hosts with JEA": _guests_of(*_ON_WINDOWS),
    "ClusterActivation over the network (`guest.transport: winrm`)": _guests_of(*_ON_WINDOWS),
    "ClusterActivation on Azure Local through the hosts": _guests_of(*_ON_AZURE_LOCAL),
    "ClusterActivation on Azure Local through the hosts with JEA": _guests_of(*_ON_AZURE_LOCAL),
    "VmActivation through the host (PowerShell Direct)": _vm_operations(),
    "VmActivation through the host with JEA": _vm_operations(),
    "VmActivation over the network (`guest.transport: winrm`)": _vm_operations(),
    "VmActivation on Azure Local through the host": _vm_operations_on_local(),
    "VmActivation on Azure Local through the host with JEA": _vm_operations_on_local(),
    "VmActivation on Azure Local over the network": _vm_operations_on_local(),
    "VmActivation on Azure Local over the network with JEA": _vm_operations_on_local(),
    "Functions": {
        "`getAvmaKey`": _function("get_avma_key", version="2022", edition="Standard"),
        "`getCompatibility`": _function("get_compatibility", host_version="2022", guest_version="2019"),
        "`getHostLicense`": _function("get_host_license", host=LICENSED),
        "`getHostVms`": _function("get_host_vms", host=LICENSED),
        "`getVmActivation` through the host": _function("get_vm_activation", **_ACTIVE),
        "`getVmActivation` over the network": _function("get_vm_activation", **_ACTIVE),
        "`getClusterGuests` through the hosts": _guests(**_GUESTS_ON_WINDOWS),
        "`getClusterGuests` over the network": _guests(**_GUESTS_ON_WINDOWS),
        "`getClusterNodes` with licenses": _cluster_nodes(CLUSTER, True),
        "`getClusterNodes` without licenses": _cluster_nodes(CLUSTER, False),
    },
    "Functions on Azure Local": _local_functions(),
    "Functions on Azure Local with JEA": _local_functions(),
    "Commands": {**_commands(LICENSED), "`avma doctor` on a node of a cluster": lambda bench: partial(_doctor, MEMBER)},
    "Commands on Azure Local": _commands(LICENSED_LOCAL),
    "Commands on Azure Local with JEA": _commands(LICENSED_LOCAL),
}
