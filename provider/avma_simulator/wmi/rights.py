"""The rights of a machine's account in each WMI namespace, and the effects of stopped services.

Each rule has its source next to it. The rule of an assumption names the fact that tests it.
"""

from __future__ import annotations

from typing import Literal

from avma_simulator.state.groups import ADMINISTRATORS, HYPER_V, Groups
from avma_simulator.state.machine import Machine
from avma_simulator.wmi import hyperv, mscluster

Access = Literal["full", "read", "empty", "denied"]
"""`read` lists instances and denies methods. `empty` lists nothing and denies methods."""

SERVICE_NOT_ACTIVE = 0x80070426
SERVICE_NOT_ACTIVE_TEXT = "The service has not been started."
"""Recorded for a stopped licensing service (massgravel/Microsoft-Activation-Scripts#1456)."""
_CIMV2 = "root/cimv2"
_LICENSING = "softwarelicensing"
# Recorded: an account outside of Hyper-V Administrators gets zero rows and no error (containers/libhvee#224). Standard
# users may read the licensing classes (Microsoft's Volume Activation guide).
# Inferred (cluster-shows-nothing-to-a-user): they have no access to clusters.
_USER: dict[str, Access] = {
    _CIMV2: "read",
    hyperv.NAMESPACE: "empty",
    mscluster.NAMESPACE: "denied",
}
# Inferred (stopped-hyper-v-service-lists-nothing, stopped-cluster-service-lists-nothing): the providers of these
# namespaces list nothing while their service is stopped.
_HOSTED_BY = {hyperv.NAMESPACE: "vmms", mscluster.NAMESPACE: "ClusSvc"}


def access(machine: Machine, namespace: str) -> Access:
    """Return the current access of the account to a namespace of the machine, over the network."""
    wanted = namespace.lower()
    if _HOSTED_BY.get(wanted) in machine.stopped_services:
        return "empty"
    declared = {name.lower(): kind for name, kind in machine.grants.namespaces.items()}
    groups = machine.grants.groups
    if groups is not None and ADMINISTRATORS not in groups:
        # By default, all others have rights on the local computer only ("Managing WMI security" on TechNet).
        return _narrowed(machine, wanted, groups, declared.get(wanted, "denied"))
    if wanted in declared:
        return declared[wanted]
    return _USER.get(wanted, "denied") if groups is None and machine.rights == "user" else "full"


def local_access(machine: Machine, namespace: str, run_as: Groups | None = None) -> Access:
    """Return the access of a script on the machine. `run_as` are the groups of a virtual account.

    Every account has rights to the namespaces there ("Managing WMI security" on TechNet).
    """
    groups, wanted = machine.grants.groups if run_as is None else run_as, namespace.lower()
    if groups is None or _HOSTED_BY.get(wanted) in machine.stopped_services:
        return access(machine, namespace)
    return "full" if ADMINISTRATORS in groups else _narrowed(machine, wanted, groups, "full")


def _narrowed(machine: Machine, namespace: str, groups: Groups, granted: Access) -> Access:
    """Return the access of an account with a right to the namespace, after the checks of the provider behind it.

    Inferred (cluster-shows-nothing-to-a-user): a cluster without a right lists nothing, as Hyper-V does. The licensing
    classes deny their methods to accounts that are not administrators (SL_E_LUA_ACCESSDENIED), whatever the namespace
    grants.
    """
    hidden = (namespace == hyperv.NAMESPACE and HYPER_V not in groups) or (
        namespace == mscluster.NAMESPACE and not machine.grants.cluster_access
    )
    if hidden and granted != "denied":
        return "empty"
    return "read" if namespace == _CIMV2 and granted == "full" else granted


def is_stopped(machine: Machine, class_name: str) -> bool:
    """Return True if the class belongs to the licensing service and the service is stopped."""
    return class_name.lower().startswith(_LICENSING) and "sppsvc" in machine.stopped_services
