"""The operation of each row in the table of rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avma.configuration import Transport
from avma.diagnosis.host_diagnosis import HostDiagnosis
from avma.functions import FUNCTIONS
from avma.inventory.collect import Collector
from avma.inventory.request import HostRequest, InventoryRequest
from avma.resources.cluster_license.cluster_resource import ClusterLicenseResource
from avma.resources.resource import Resource, Result
from avma.resources.vm_activation.vm_resource import VmActivationResource
from avma.settings import AddressedSettings
from avma.wording import NEUTRAL
from core.rights.lab import BARE, CLUSTER, LICENSED, LOCAL, SECOND, Act, Bench, Prepare, Problem
from core.runner import HOST_KEY, OTHER_KEY, Runner, stored

Wanted = dict[str, Any]
_FUNCTIONS = {function.name: function for function in FUNCTIONS}
_HOST, _CLUSTER, _VM = Runner.host, ClusterLicenseResource(), VmActivationResource()
_ON_BARE: Wanted = {"host": BARE, "product_key": HOST_KEY}
_ON_LOCAL: Wanted = {"host": LOCAL, "product_key": HOST_KEY}
_ON_CLUSTER: Wanted = {"cluster": CLUSTER, "product_key": HOST_KEY}
_ACTIVE: Wanted = {"host": LICENSED, "vm_name": "active"}


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


def _vm_operations() -> Mapping[str, Prepare]:
    fresh = {**_ACTIVE, "vm_name": "fresh"}
    dark = {"host": SECOND, "vm_name": "dark", "manage_data_exchange": True}
    return {
        "preview": _preview(_VM, _ACTIVE),
        "refresh": _refresh(_VM, _ACTIVE),
        "import": _import(_VM, _ACTIVE),
        "create": _create(_VM, fresh),
        "update": _update(_VM, _ACTIVE, {}, drifted="active"),
        "create with `manageDataExchange`": _create(_VM, dark),
        "delete with `retain`": _delete(_VM, _ACTIVE, "retain"),
        "delete with `uninstallKey`": _delete(_VM, _ACTIVE, "uninstallKey"),
        "delete with `restoreKmsClientKey`": _delete(_VM, _ACTIVE, "restoreKmsClientKey"),
    }


def _local_operations() -> Mapping[str, Prepare]:
    return {
        "preview": _preview(_HOST, _ON_LOCAL),
        "refresh": _refresh(_HOST, _ON_LOCAL),
        "import": _import(_HOST, _ON_LOCAL),
        "create": _create(_HOST, _ON_LOCAL),
        "update": _update(_HOST, _ON_LOCAL, {"product_key": OTHER_KEY}),
        "delete with `retain`": _delete(_HOST, _ON_LOCAL, "retain"),
    }


def _report(run: Runner) -> None:
    """Report one host. Raise Problem for each of its machines that did not answer."""
    request = InventoryRequest(run.configuration, hosts=(HostRequest(LICENSED),))
    collector = Collector(
        request, run.machines, seconds=60, at_once=1, show_progress=_ignore, warn=_ignore, redact=lambda text: text
    )
    (host,) = collector.collect().hosts
    problems = [f"{seen.problem}. {NEUTRAL.render(seen.remedy or '')}" for seen in (host, *host.vms) if seen.problem]
    if problems:
        raise Problem("\n".join(problems))


def _doctor(run: Runner) -> None:
    guest = run.configuration.guest
    assert guest is not None
    settings = AddressedSettings(
        https=False,
        username=run.configuration.username,
        password=run.configuration.password,
    )
    transport = guest.transport or Transport.POWERSHELL_DIRECT
    failed = [
        step.error for step in HostDiagnosis(LICENSED, settings, transport, run.machines, _ignore).run() if step.error
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
    "ClusterLicense": {
        "preview": _preview(_CLUSTER, _ON_CLUSTER),
        "refresh": _refresh(_CLUSTER, _ON_CLUSTER),
        "import": _import(_CLUSTER, _ON_CLUSTER),
        "create": _create(_CLUSTER, _ON_CLUSTER),
        "update": _update(_CLUSTER, _ON_CLUSTER, {"product_key": OTHER_KEY}),
        "delete": _delete(_CLUSTER, _ON_CLUSTER),
    },
    "VmActivation through the host (PowerShell Direct)": _vm_operations(),
    "VmActivation through the host with JEA": _vm_operations(),
    "VmActivation over the network (`guest.transport: winrm`)": _vm_operations(),
    "Functions": {
        "`getAvmaKey`": _function("get_avma_key", version="2022", edition="Standard"),
        "`getCompatibility`": _function("get_compatibility", host_version="2022", guest_version="2019"),
        "`getHostLicense`": _function("get_host_license", host=LICENSED),
        "`getHostVms`": _function("get_host_vms", host=LICENSED),
        "`getVmActivation` through the host": _function("get_vm_activation", **_ACTIVE),
        "`getVmActivation` over the network": _function("get_vm_activation", **_ACTIVE),
        "`getClusterNodes`": _function("get_cluster_nodes", cluster=CLUSTER),
    },
    "Commands": {
        "`avma report`": lambda bench: _report,
        "`avma report --guest-transport winrm`": lambda bench: _report,
        "`avma doctor`": lambda bench: _doctor,
        "`avma doctor --guest-transport winrm`": lambda bench: _doctor,
    },
}
