"""The phases of the operations, in which a machine can become silent."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from avma import errors
from avma.configuration import Transport
from avma.functions import FUNCTIONS
from avma.resources.cluster_activation.activation_resource import ClusterActivationResource
from avma.resources.cluster_license.cluster_resource import ClusterLicenseResource
from avma_simulator import EstateServer, load_estate, running
from core.azure_local.lab import ESTATE as AZURE_LOCAL
from core.azure_local.lab import KEY_2022, OTHER
from core.powershell_direct.lab import ESTATE as DIRECT
from core.runner import ADMINISTRATOR, HOST_KEY, HV01, OTHER_KEY, PASSWORD, Runner, stored
from core.runner import ESTATE as HOSTS
from core.silence import Silence
from loopback import address

CLUSTER = address(100)
ACCOUNT = f"http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}"
CLUSTERS = f"""
keys:
  - {{key: {HOST_KEY}, channel: MAK, version: "2022", edition: Datacenter, activations: 4}}
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter}}
hosts:
  - {{name: n1, version: "2022", edition: Datacenter, license: {{key: {OTHER_KEY}}}, address: {address(1)}, {ACCOUNT}}}
  - {{name: n2, version: "2022", edition: Datacenter, address: {address(2)}, {ACCOUNT}}}
clusters:
  - {{name: cl01, nodes: [n1, n2], address: {CLUSTER}, http: {{port: 5985}}}}
"""
CLUSTER_LICENSE, ALL_GUESTS = ClusterLicenseResource(), ClusterActivationResource()
NODES = {"cluster": CLUSTER, "product_keys": {"n2": HOST_KEY}}
WINRM = {"transport": Transport.WINRM, "https": False, "username": ADMINISTRATOR, "password": PASSWORD}

Call = Callable[[], object]
LISTING_VMS = "Enumerate Msvm_ComputerSystem"
READING = "Enumerate SoftwareLicensingProduct"


def serving(folder: Path, estate: str, silence: Silence) -> AbstractContextManager[EstateServer]:
    """Run the simulator with an estate, in which a machine becomes silent."""
    file = folder / "estate.yaml"
    file.write_text(estate)
    return running(load_estate(file), silence.service)


def changes(estate: EstateServer) -> int:
    """Return the number of all method calls that arrived at the machines."""
    counts = [machine["operations"] for machine in estate.counts().values()]
    return sum(count for each in counts for name, count in each.items() if name.startswith("Invoke"))


def open_shells(estate: EstateServer) -> int:
    """Return the number of all shells that are open on the machines."""
    return sum(machine["openShells"] for machine in estate.counts().values())


def causes(error: errors.AvmaError) -> list[errors.AvmaError]:
    """Return the errors of the single machines in an error."""
    cause = error.cause if isinstance(error, errors.PartlyDone) else error
    return list(cause.causes) if isinstance(cause, errors.NodesFailed) else [cause]


def license_host(run: Runner) -> Call:
    return run.license


def preview_host(run: Runner) -> Call:
    return lambda: run.host.probe({"host": HV01, "product_key": HOST_KEY}, run.operation())


def refresh_host(run: Runner) -> Call:
    result = run.license()
    return lambda: run.host.read(result.identifier, stored(result), run.operation())


def import_host(run: Runner) -> Call:
    return lambda: run.host.read(HV01, None, run.operation())


def delete_license(run: Runner) -> Call:
    result = run.license()
    before = stored(result, on_delete="uninstallKey", force_destroy=True)
    return lambda: run.host.delete(result.identifier, before, run.operation())


def apply_key(run: Runner) -> Call:
    return lambda: run.license(OTHER, KEY_2022)


def activate_guest(run: Runner) -> Call:
    return run.activate


def preview_guest(run: Runner) -> Call:
    return lambda: run.vm.probe({"host": HV01, "vm_name": "web01"}, run.operation())


def refresh_guest(run: Runner) -> Call:
    result = run.activate()
    return lambda: run.vm.read(result.identifier, stored(result), run.operation())


def import_guest(run: Runner) -> Call:
    return lambda: run.vm.read(f"{HV01}/web01", None, run.operation())


def uninstall_in_guest(run: Runner) -> Call:
    result = run.activate()
    before = stored(result, on_delete="uninstallKey")
    return lambda: run.vm.delete(result.identifier, before, run.operation())


def restore_client_key(run: Runner) -> Call:
    result = run.activate()
    before = stored(result, on_delete="restoreKmsClientKey")
    return lambda: run.vm.delete(result.identifier, before, run.operation())


def activate_over_winrm(run: Runner) -> Call:
    run.license()
    return lambda: run.activate(guest=WINRM)


def uninstall_over_winrm(run: Runner) -> Call:
    run.license()
    result = run.activate(guest=WINRM)
    before = stored(result, on_delete="uninstallKey")
    return lambda: run.vm.delete(result.identifier, before, run.operation())


def license_cluster(run: Runner) -> Call:
    return lambda: CLUSTER_LICENSE.create(NODES, run.operation())


def preview_cluster(run: Runner) -> Call:
    return lambda: CLUSTER_LICENSE.probe(NODES, run.operation())


def refresh_cluster(run: Runner) -> Call:
    result = CLUSTER_LICENSE.create(NODES, run.operation())
    return lambda: CLUSTER_LICENSE.read(result.identifier, stored(result), run.operation())


GUESTS = {"hosts": [HV01], "include": ["web01", "app0?"]}
"""Eleven guests."""


def activate_all_guests(run: Runner) -> Call:
    return lambda: ALL_GUESTS.create(GUESTS, run.operation())


def refresh_all_guests(run: Runner) -> Call:
    result = ALL_GUESTS.create(GUESTS, run.operation())
    return lambda: ALL_GUESTS.read(result.identifier, stored(result), run.operation())


def uninstall_in_all_guests(run: Runner) -> Call:
    result = ALL_GUESTS.create(GUESTS, run.operation())
    before = stored(result, on_delete="uninstallKey")
    return lambda: ALL_GUESTS.delete(result.identifier, before, run.operation())


def function(name: str, **values: object) -> Callable[[Runner], Call]:
    (found,) = [each for each in FUNCTIONS if each.name == name]
    return lambda run: lambda: found.call(values, run.operation)


@dataclass(frozen=True)
class Phase:
    """A phase of an operation, in which a machine becomes silent.

    Args:
        estate: the estate file.
        prepare: makes the changes before the operation, and returns it.
        request: the request that the machine does not answer.
        most: the maximum number of method calls that arrive.
        partial: whether the state so far is kept, because a change has begun.
        skip: the number of such requests that the machine answers.
        machine: its name.
        locked: whether the machine stays locked, because an activation may still be running there.
    """

    estate: str
    prepare: Callable[[Runner], Call]
    request: str
    most: int = 0
    partial: bool = False
    skip: int = 0
    machine: str = "hv01"
    locked: bool = False

    def begin(self, run: Runner, estate: EstateServer, silence: Silence) -> Call:
        """Prepare the operation and return it. Only then, the machine can become silent, and the counts begin."""
        silence.armed = False
        call = self.prepare(run)
        estate.reset_counts()
        silence.armed = True
        return call


PHASES = {
    "identifying": Phase(HOSTS, license_host, "Enumerate Win32_ComputerSystemProduct"),
    "reading": Phase(HOSTS, license_host, READING),
    "reading again": Phase(HOSTS, license_host, READING, skip=1),
    "installing": Phase(HOSTS, license_host, "InstallProductKey", most=1, partial=True),
    "activating": Phase(HOSTS, license_host, "Activate", most=2, partial=True, locked=True),
    "deleting": Phase(HOSTS, delete_license, "UninstallProductKey", most=1),
    "preview of a host": Phase(HOSTS, preview_host, READING),
    "refresh of a host": Phase(HOSTS, refresh_host, READING),
    "import of a host": Phase(HOSTS, import_host, READING),
    "function about a host": Phase(HOSTS, function("get_host_license", host=HV01), READING),
    "function that lists VMs": Phase(HOSTS, function("get_host_vms", host=HV01), LISTING_VMS),
    "listing": Phase(DIRECT, activate_guest, LISTING_VMS),
    "starting PowerShell": Phase(DIRECT, activate_guest, "RunspacePool/Create"),
    "opening PowerShell": Phase(DIRECT, activate_guest, "RunspacePool/Receive"),
    "sending a script": Phase(DIRECT, activate_guest, "Pipeline/Command"),
    "in a script": Phase(DIRECT, activate_guest, "Pipeline/Receive"),
    "changing a guest": Phase(DIRECT, activate_guest, "Pipeline/Command", most=1, partial=True, skip=1),
    "preview of a guest": Phase(DIRECT, preview_guest, "Pipeline/Receive"),
    "refresh of a guest": Phase(DIRECT, refresh_guest, "Pipeline/Receive"),
    "import of a guest": Phase(DIRECT, import_guest, "Pipeline/Receive"),
    "function about a guest": Phase(
        DIRECT, function("get_vm_activation", host=HV01, vm_name="web01"), "Pipeline/Receive"
    ),
    "reading a guest before its deletion": Phase(DIRECT, uninstall_in_guest, "Pipeline/Command"),
    "deleting in a guest": Phase(DIRECT, uninstall_in_guest, "Pipeline/Command", most=1, skip=1),
    "reading over winrm": Phase(HOSTS, activate_over_winrm, READING, machine="web01"),
    "installing over winrm": Phase(
        HOSTS, activate_over_winrm, "InstallProductKey", most=1, partial=True, machine="web01"
    ),
    "deleting over winrm": Phase(HOSTS, uninstall_over_winrm, "UninstallProductKey", most=1, machine="web01"),
    "listing nodes": Phase(CLUSTERS, license_cluster, "Enumerate MSCluster_Node", machine="n1"),
    "reading a node": Phase(CLUSTERS, license_cluster, READING, machine="n2"),
    "installing on a node": Phase(CLUSTERS, license_cluster, "InstallProductKey", most=1, partial=True, machine="n2"),
    "activating a node": Phase(CLUSTERS, license_cluster, "Activate", most=2, partial=True, machine="n2", locked=True),
    "preview of a cluster": Phase(CLUSTERS, preview_cluster, READING, machine="n2"),
    "refresh of a cluster": Phase(CLUSTERS, refresh_cluster, READING, machine="n2"),
    "function that lists nodes": Phase(
        CLUSTERS, function("get_cluster_nodes", cluster=CLUSTER), "Enumerate MSCluster_Node", machine="n1"
    ),
    "function that reads nodes": Phase(CLUSTERS, function("get_cluster_nodes", cluster=CLUSTER), READING, machine="n2"),
    "listing all guests": Phase(DIRECT, activate_all_guests, LISTING_VMS),
    "reading all guests": Phase(DIRECT, activate_all_guests, "Pipeline/Receive"),
    "reading the host of all guests": Phase(DIRECT, activate_all_guests, READING),
    "changing all guests": Phase(DIRECT, activate_all_guests, "Pipeline/Command", most=11, partial=True, skip=1),
    "refresh of all guests": Phase(DIRECT, refresh_all_guests, "Pipeline/Receive"),
    "deleting in all guests": Phase(DIRECT, uninstall_in_all_guests, "Pipeline/Command", most=11, skip=1),
    "locking a machine": Phase(AZURE_LOCAL, apply_key, "Pipeline/Command", skip=1, machine="other"),
    "applying a key": Phase(
        AZURE_LOCAL, apply_key, "Pipeline/Command", partial=True, skip=3, machine="other", locked=True
    ),
}
