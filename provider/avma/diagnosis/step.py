"""The data of a diagnosis: the checks, and the result of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from avma.errors import AvmaError
from avma.properties import Choice


class Check(Choice):
    """The checks, in the order of their execution."""

    NAME = "name", "Name"
    PORT = "port", "Port"
    TLS = "tls", "TLS"
    LOGON = "logon", "Authentication"
    CIM = "cim", "Rights for WMI"
    VIRTUALIZATION = "virtualization", "Rights for Hyper-V"
    SHELL = "shell", "Rights for scripts"
    SYSTEM = "system", "Operating system"
    LICENSE = "license", "License"
    HYPER_V = "hyper_v", "Hyper-V"
    DIRECT = "powershell_direct", "PowerShell Direct"
    VM = "vm", "VM"
    CLUSTER = "cluster", "Cluster"
    PEER = "peer", "Peer"


class Status(str, Enum):
    """The status of a check."""

    PASSED = "pass"
    WARNING = "warn"
    """Worth knowing, but no obstacle to an activation."""
    FAILED = "fail"
    SKIPPED = "skip"
    """Not checked: it is not needed, or a previous check failed."""


@dataclass(frozen=True)
class Step:
    """The result of one check: the machine, VM or node, the finding, and the error if it failed.

    `vm_id` is the id of the VM, empty for a step about something else.
    """

    check: Check
    subject: str
    status: Status
    found: str
    error: AvmaError | None = None
    vm_id: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All steps of one host."""

    host: str
    steps: Sequence[Step]

    @property
    def cause(self) -> Step | None:
        """The first failed step. It can be the cause of later failures. None without a failed step."""
        return next((step for step in self.steps if step.status is Status.FAILED), None)

    @property
    def passed(self) -> bool:
        """Whether no step has failed."""
        return self.cause is None
