"""What the account of a machine may do in each WMI namespace, and what a stopped service hides.

The sources stand beside each rule. What is inferred and not recorded is marked.
"""

from __future__ import annotations

from typing import Literal

from avma_simulator import hyperv, mscluster
from avma_simulator.machine import Machine

Access = Literal["full", "read", "empty", "denied"]
"""`read` lists instances and denies methods; `empty` lists nothing and denies methods."""

SERVICE_NOT_ACTIVE = 0x80070426
SERVICE_NOT_ACTIVE_TEXT = "The service has not been started."
"""Recorded for a stopped licensing service (massgravel/Microsoft-Activation-Scripts#1456)."""
_CIMV2 = "root/cimv2"
_LICENSING = "softwarelicensing"
# Recorded: an account outside of Hyper-V Administrators gets zero rows and no error (containers/libhvee#224). Standard
# users may read the licensing classes (Microsoft's Volume Activation guide). Inferred: that they are denied clusters.
_USER: dict[str, Access] = {
    _CIMV2: "read",
    hyperv.NAMESPACE: "empty",
    mscluster.NAMESPACE: "denied",
}
# Inferred: the providers of these namespaces list nothing while the service behind them is stopped.
_HOSTED_BY = {hyperv.NAMESPACE: "vmms", mscluster.NAMESPACE: "ClusSvc"}


def access(machine: Machine, namespace: str) -> Access:
    """Return what the account may do in a namespace of the machine now."""
    wanted = namespace.lower()
    if _HOSTED_BY.get(wanted) in machine.stopped_services:
        return "empty"
    declared = {name.lower(): kind for name, kind in machine.spec.namespaces.items()}
    if wanted in declared:
        return declared[wanted]
    return _USER.get(wanted, "denied") if machine.rights == "user" else "full"


def is_stopped(machine: Machine, class_name: str) -> bool:
    """Return True if the class belongs to the licensing service and that service is stopped."""
    return class_name.lower().startswith(_LICENSING) and "sppsvc" in machine.stopped_services
