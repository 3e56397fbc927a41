"""The rights of a machine's account in each WMI namespace, and the effects of stopped services.

Each rule has its source next to it. Rules without a recording are marked as Inferred.
"""

from __future__ import annotations

from typing import Literal

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
# users may read the licensing classes (Microsoft's Volume Activation guide). Inferred: they have no access to clusters.
_USER: dict[str, Access] = {
    _CIMV2: "read",
    hyperv.NAMESPACE: "empty",
    mscluster.NAMESPACE: "denied",
}
# Inferred: the providers of these namespaces list nothing while their service is stopped.
_HOSTED_BY = {hyperv.NAMESPACE: "vmms", mscluster.NAMESPACE: "ClusSvc"}


def access(machine: Machine, namespace: str) -> Access:
    """Return the current access of the account to a namespace of the machine."""
    wanted = namespace.lower()
    if _HOSTED_BY.get(wanted) in machine.stopped_services:
        return "empty"
    declared = {name.lower(): kind for name, kind in machine.spec.namespaces.items()}
    if wanted in declared:
        return declared[wanted]
    return _USER.get(wanted, "denied") if machine.rights == "user" else "full"


def is_stopped(machine: Machine, class_name: str) -> bool:
    """Return True if the class belongs to the licensing service and the service is stopped."""
    return class_name.lower().startswith(_LICENSING) and "sppsvc" in machine.stopped_services
