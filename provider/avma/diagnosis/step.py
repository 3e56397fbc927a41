"""What a diagnosis consists of: the rungs of the ladder, and the result of each. It asks no machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from avma.errors import AvmaError
from avma.properties import Choice


class Rung(Choice):
    """The questions, in the order in which they are asked."""

    NAME = "name", "Name"
    PORT = "port", "Port"
    TLS = "tls", "TLS"
    LOGON = "logon", "Logon"
    CIM = "cim", "Rights for WMI"
    VIRTUALIZATION = "virtualization", "Rights for Hyper-V"
    SHELL = "shell", "Rights for scripts"
    SYSTEM = "system", "Operating system"
    LICENSE = "license", "Licence"
    HYPER_V = "hyperV", "Hyper-V"
    DIRECT = "powershellDirect", "PowerShell Direct"
    VM = "vm", "VM"
    CLUSTER = "cluster", "Cluster"
    PEER = "peer", "Peer"


class Status(str, Enum):
    """How a rung came out."""

    PASSED = "pass"
    WARNING = "warn"
    """Nothing that stops an activation, and worth knowing."""
    FAILED = "fail"
    SKIPPED = "skip"
    """Not looked at: it is not wanted, or something before it failed."""


@dataclass(frozen=True)
class Step:
    """The result of one rung: the machine, VM or node that it is about, what was found, and the error if it failed.

    `vm_id` is the id of the VM, empty for a step about something else.
    """

    rung: Rung
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
        """The first step that failed, which the later ones may follow from; None when all is well."""
        return next((step for step in self.steps if step.status is Status.FAILED), None)

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return self.cause is None
