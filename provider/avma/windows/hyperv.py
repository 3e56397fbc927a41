"""The virtual machines of one Hyper-V host, and what their guests tell it: WMI namespace root\\virtualization\\v2.

Each question is one enumeration for all VMs of the host (classes `Msvm_ComputerSystem` and
`Msvm_KvpExchangeComponent`, learn.microsoft.com/windows/win32/hyperv_v2). What a guest tells through Data Exchange is
not secured: it helps to find the guest and is never proof of activation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from avma.deadline import Deadline
from avma.windows.wmi import Wmi
from avma.wsman.instance import Instance

NAMESPACE = "root/virtualization/v2"

_GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_RUNNING = 2


@dataclass(frozen=True)
class VirtualMachine:
    """A VM on a host: its GUID in lower case, its name, and whether it is running."""

    id: str
    name: str
    running: bool


@dataclass(frozen=True)
class GuestFacts:
    """What a guest tells its host through Data Exchange (key-value pairs)."""

    values: Mapping[str, str]

    @property
    def fully_qualified_domain_name(self) -> str:
        """The guest's DNS name, empty when it tells none."""
        return self.values.get("FullyQualifiedDomainName", "")

    @property
    def build(self) -> int | None:
        """The guest's build number, None when it tells none."""
        text = self.values.get("OSBuildNumber", "")
        return int(text) if text.isdecimal() else None

    @property
    def ip_addresses(self) -> tuple[str, ...]:
        """The guest's IPv4 addresses."""
        return tuple(a for a in self.values.get("NetworkAddressIPv4", "").split(";") if a)


def is_vm_id(text: str) -> bool:
    """Say whether the text is a GUID, as VM ids are."""
    return _GUID.fullmatch(text) is not None


def list_virtual_machines(wmi: Wmi, deadline: Deadline) -> tuple[VirtualMachine, ...]:
    """Return all VMs of the host.

    Raises:
        AvmaError: the host could not be asked, or has no Hyper-V.
    """
    query = "SELECT Name,ElementName,EnabledState FROM Msvm_ComputerSystem"
    rows = wmi.query(NAMESPACE, query, deadline, "list the virtual machines")
    # The host's own row is the one whose Name is no GUID; captions are localised.
    return tuple(_virtual_machine(row) for row in rows if is_vm_id(row.text("Name") or ""))


def list_guest_facts(wmi: Wmi, deadline: Deadline) -> Mapping[str, GuestFacts]:
    """Return what the guests tell, by VM id; guests that are off or have Data Exchange off tell nothing.

    Raises:
        AvmaError: the host could not be asked, or has no Hyper-V.
    """
    query = "SELECT SystemName,GuestIntrinsicExchangeItems FROM Msvm_KvpExchangeComponent"
    rows = wmi.query(NAMESPACE, query, deadline, "read what the guests tell through Data Exchange")
    return {(row.text("SystemName") or "").lower(): _guest_facts(row) for row in rows}


def list_firmware_uuids(wmi: Wmi, deadline: Deadline) -> Mapping[str, str]:
    """Return the UUID of each VM's firmware, by VM id: `Msvm_VirtualSystemSettingData.BIOSGUID`.

    Raises:
        AvmaError: the host could not be asked, or has no Hyper-V.
    """
    query = (
        "SELECT VirtualSystemIdentifier,BIOSGUID FROM Msvm_VirtualSystemSettingData "
        "WHERE VirtualSystemType = 'Microsoft:Hyper-V:System:Realized'"
    )
    rows = wmi.query(NAMESPACE, query, deadline, "read the identities of the virtual machines")
    return {
        (row.text("VirtualSystemIdentifier") or "").lower(): (row.text("BIOSGUID") or "").strip("{}") for row in rows
    }


def _virtual_machine(row: Instance) -> VirtualMachine:
    running = row.integer("EnabledState") == _RUNNING
    return VirtualMachine((row.text("Name") or "").lower(), row.text("ElementName") or "", running)


def _guest_facts(row: Instance) -> GuestFacts:
    items = [Instance.from_embedded(text) for text in row.strings("GuestIntrinsicExchangeItems")]
    return GuestFacts({item.text("Name") or "": item.text("Data") or "" for item in items})
