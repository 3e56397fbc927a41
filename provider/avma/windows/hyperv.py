"""The virtual machines of one Hyper-V host, and the reports of their guests: WMI namespace root\\virtualization\\v2.

Each query lists all VMs of the host (classes `Msvm_ComputerSystem` and `Msvm_KvpExchangeComponent`,
learn.microsoft.com/windows/win32/hyperv_v2). Data Exchange is not protected against false reports from a guest. It
helps to find the guest and is never proof of activation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from avma import addresses, compatibility, errors
from avma.characters import xml_text
from avma.context import Context
from avma.deadline import Deadline
from avma.windows.computer import System
from avma.windows.wmi import HYPER_V_HOST, Wmi, require_row
from avma.wsman.envelope import CimMethod
from avma.wsman.instance import Instance


class VmState(Enum):
    """A state of a VM, as shown by Get-VM."""

    RUNNING = "Running"
    OFF = "Off"
    SAVED = "Saved"
    PAUSED = "Paused"
    STARTING = "Starting"
    RESUMING = "Resuming"
    SAVING = "Saving"
    PAUSING = "Pausing"
    STOPPING = "Stopping"
    OTHER = "Other"
    """A state outside of the table."""


# learn.microsoft.com, "Msvm_ComputerSystem class" and "Virtual Machines: VmState". Numbers below 100 come from
# CIM_EnabledLogicalElement, the others from Hyper-V. The same state can have a number of either kind.
_STATES = {
    2: VmState.RUNNING,
    3: VmState.OFF,
    4: VmState.STOPPING,
    6: VmState.SAVED,
    9: VmState.PAUSED,
    10: VmState.STARTING,
    32768: VmState.PAUSED,
    32769: VmState.SAVED,
    32770: VmState.STARTING,
    32773: VmState.SAVING,
    32774: VmState.STOPPING,
    32776: VmState.PAUSING,
    32777: VmState.RESUMING,
}
_WITHOUT_MEMORY = (VmState.OFF, VmState.SAVED)
_START = {VmState.OFF: "Start-VM", VmState.SAVED: "Start-VM", VmState.PAUSED: "Resume-VM"}
_COMING = (VmState.STARTING, VmState.RESUMING)


def vm_state(enabled_state: int | None) -> VmState:
    """Return the state for a value of EnabledState."""
    return _STATES.get(enabled_state or 0, VmState.OTHER)


def in_memory(state: VmState) -> bool:
    """Return True for a VM with a process on its host: it is running, or resumes without a new start of Windows."""
    return state not in _WITHOUT_MEMORY


def to_running(state: VmState, vm_id: str) -> str:
    """Return the instruction to get a VM from this state to running."""
    if state in _START:
        return f"run `{on_vm(vm_id, _START[state])}` on the host"
    if state in _COMING:
        return "wait until it is running"
    return (
        f"wait until its state no longer changes (`{on_vm(vm_id, 'Format-List Name, State, Status')}`), then start it"
    )


def on_vm(vm_id: str, command: str) -> str:
    """Return a PowerShell command for one VM. It uses the VM's id: a name can be ambiguous, or contain wildcards."""
    return f"Get-VM -Id {vm_id} | {command}"


NAMESPACE = "root/virtualization/v2"

_GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_RUNNING = 2
_LONGEST_BUILD = 9
_EXCHANGED = "SELECT SystemName,GuestIntrinsicExchangeItems FROM Msvm_KvpExchangeComponent"
_ADDRESSES = ("NetworkAddressIPv4", "NetworkAddressIPv6")
_SERVICE = "Msvm_VirtualSystemManagementService"
_MODIFY_GUEST_SERVICE = CimMethod(NAMESPACE, _SERVICE, "ModifyGuestServiceSettings")
# Product names are the same in every language. The longer one comes first.
_EDITIONS = (
    ("Azure Edition", compatibility.AZURE_EDITION),
    ("Datacenter", compatibility.DATACENTER),
    ("Standard", compatibility.STANDARD),
    ("Essentials", compatibility.ESSENTIALS),
)


@dataclass(frozen=True)
class VirtualMachine:
    """A VM on a host: its lowercase GUID, its name, its state, and its uptime in seconds."""

    id: str
    name: str
    state: VmState
    on_for: float = 0.0

    @property
    def running(self) -> bool:
        """Whether the VM is running. Only then can its Windows answer."""
        return self.state is VmState.RUNNING


@dataclass(frozen=True)
class GuestFacts:
    """The report of a guest to its host through Data Exchange (key-value pairs)."""

    values: Mapping[str, str]
    malformed: bool = False
    """Whether the report is not valid CIM-XML. Then `values` is empty."""
    listed: bool = True
    """Whether the host lists the VM's Data Exchange. If not, the report of the guest is unknown."""

    @property
    def fully_qualified_domain_name(self) -> str:
        """The guest's DNS name, empty if it reports none."""
        return self.values.get("FullyQualifiedDomainName", "")

    @property
    def build(self) -> int | None:
        """The guest's build number, None if it reports none."""
        text = self.values.get("OSBuildNumber", "")
        return int(text) if text.isdecimal() and len(text) <= _LONGEST_BUILD else None

    @property
    def system(self) -> System | None:
        """The guest's Windows Server, from its build and product name. None if they do not determine it."""
        name = self.values.get("OSName", "")
        edition = next((edition for words, edition in _EDITIONS if words in name), None)
        if self.build is None or edition is None:
            return None
        return System(self.build, edition, evaluation="Evaluation" in name)

    @property
    def ip_addresses(self) -> tuple[str, ...]:
        """The guest's IPv4 addresses, then its IPv6 addresses. Invalid addresses are left out."""
        texts = (text for name in _ADDRESSES for text in self.values.get(name, "").split(";"))
        found = (addresses.parse_ip(text.strip().partition("%")[0]) for text in texts)
        return tuple(dict.fromkeys(str(address) for address in found if address is not None))


_MALFORMED = GuestFacts({}, malformed=True)
_NOT_LISTED = GuestFacts({}, listed=False)


def is_vm_id(text: str) -> bool:
    """Return True if the text is a GUID, as all VM ids are."""
    return _GUID.fullmatch(text) is not None


def canonical_vm_id(text: str) -> str | None:
    """Return a VM id in lower case and without braces. None if the text is not a GUID."""
    bare = text[1:-1] if text.startswith("{") and text.endswith("}") else text
    return bare.lower() if is_vm_id(bare) else None


def list_virtual_machines(wmi: Wmi, deadline: Deadline) -> tuple[VirtualMachine, ...]:
    """Return all VMs of the host.

    Raises:
        EmptyAnswer: the host does not list itself, so the listing proves nothing about its VMs.
        AvmaError: the host could not be queried, or has no Hyper-V.
    """
    query = "SELECT Name,ElementName,EnabledState,OnTimeInMilliseconds FROM Msvm_ComputerSystem"
    context = Context("list the virtual machines", wmi.where, deadline)
    rows = wmi.query(context, NAMESPACE, query)
    # The host's own row is the only one whose Name is not a GUID. Captions are localized.
    vms = [row for row in rows if is_vm_id(row.text("Name") or "")]
    own = [row for row in rows if row.text("Name") and row not in vms]
    require_row(context, own, HYPER_V_HOST)
    return tuple(_virtual_machine(row) for row in vms)


def _rows_of_vms(context: Context, wmi: Wmi, query: str) -> list[Instance]:
    """Return the rows of a listing without a row for the host. If it is empty, query another listing with such a row.

    Raises:
        EmptyAnswer: the listing is empty, and the host does not list its own service either.
    """
    rows = wmi.query(context, NAMESPACE, query)
    if not rows:
        own = wmi.query(context, NAMESPACE, f"SELECT Name FROM {_SERVICE}")
        require_row(context, own, HYPER_V_HOST)
    return rows


def list_guest_facts(wmi: Wmi, deadline: Deadline) -> Mapping[str, GuestFacts]:
    """Return the reports of the guests by VM id. A guest reports nothing if it is off or its Data Exchange is off.

    A guest writes its own data, and must not spoil those of its neighbors. Malformed data affects only its own VM. If
    the answer for all VMs cannot be parsed, the function reads each VM separately.

    Raises:
        EmptyAnswer: the host lists nothing, not even itself.
        AvmaError: the host could not be queried, or has no Hyper-V.
    """
    context = Context("read the Data Exchange reports of the guests", wmi.where, deadline)
    try:
        rows = _rows_of_vms(context, wmi, _EXCHANGED)
    except errors.UnexpectedAnswer:
        found = {vm.id: _facts_of_one(context, wmi, vm.id) for vm in list_virtual_machines(wmi, deadline)}
        return {vm_id: facts for vm_id, facts in found.items() if facts is not None}
    return _GuestReports({(row.text("SystemName") or "").lower(): row for row in rows})


class _GuestReports(Mapping[str, GuestFacts]):
    """The reports of the guests by VM id. Each is parsed when it is first used: an operation needs one of many."""

    def __init__(self, rows: Mapping[str, Instance]) -> None:
        self._rows = rows
        self._parsed: dict[str, GuestFacts] = {}

    def __getitem__(self, vm_id: str) -> GuestFacts:
        if vm_id not in self._parsed:
            self._parsed[vm_id] = _guest_facts(self._rows[vm_id])
        return self._parsed[vm_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def facts_of_vm(listing: Mapping[str, GuestFacts], vm: VirtualMachine) -> GuestFacts:
    """Return the report of a guest.

    A running VM has a row. Without one, the listing proves nothing about the guest.

    Inferred (running-vm-has-one-data-exchange-component, data-exchange-that-is-off-keeps-its-component): Hyper-V keeps
    the row of a running VM even if its Data Exchange is off.
    """
    return listing.get(vm.id, _NOT_LISTED if vm.running else GuestFacts({}))


def _facts_of_one(context: Context, wmi: Wmi, vm_id: str) -> GuestFacts | None:
    try:
        rows = wmi.query(context, NAMESPACE, f"{_EXCHANGED} WHERE SystemName = '{vm_id}'")
    except errors.UnexpectedAnswer:
        return _MALFORMED
    return _guest_facts(rows[0]) if rows else None


@dataclass(frozen=True)
class DataExchange:
    """The Data Exchange integration service of a VM: the id of its setting, and whether the host has it enabled."""

    instance_id: str
    enabled: bool


def list_data_exchange(wmi: Wmi, deadline: Deadline) -> Mapping[str, DataExchange]:
    """Return the Data Exchange setting of each VM by VM id: `Msvm_KvpExchangeComponentSettingData`.

    The VM comes from the setting's id, because display names are localized.

    Raises:
        EmptyAnswer: the host lists nothing, not even itself.
        AvmaError: the host could not be queried, or has no Hyper-V.
    """
    query = "SELECT InstanceID,EnabledState FROM Msvm_KvpExchangeComponentSettingData"
    rows = _rows_of_vms(Context("read the Data Exchange settings", wmi.where, deadline), wmi, query)
    ids = [(_GUID.search(row.text("InstanceID") or ""), row) for row in rows]
    return {
        found.group().lower(): DataExchange(row.text("InstanceID") or "", row.integer("EnabledState") == _RUNNING)
        for found, row in ids
        if found is not None and (row.text("InstanceID") or "").startswith(f"Microsoft:{found.group()}")
    }


def enable_data_exchange(wmi: Wmi, setting: DataExchange, deadline: Deadline) -> None:
    """Enable a VM's Data Exchange with `Msvm_VirtualSystemManagementService.ModifyGuestServiceSettings`.

    Raises:
        WsmanFault: Hyper-V rejected the change.
        AnswerLost: no answer came. Data Exchange may be on.
    """
    context = Context("turn on Data Exchange", wmi.where, deadline)
    names = ("CreationClassName", "Name", "SystemCreationClassName", "SystemName")
    rows = wmi.query(context, NAMESPACE, f"SELECT {','.join(names)} FROM {_SERVICE}")
    require_row(context, rows, HYPER_V_HOST)
    keys = {name: rows[0].text(name) or "" for name in names}
    instance = (
        '<INSTANCE CLASSNAME="Msvm_KvpExchangeComponentSettingData">'
        f'<PROPERTY NAME="InstanceID" TYPE="string"><VALUE>{xml_text(setting.instance_id)}</VALUE></PROPERTY>'
        f'<PROPERTY NAME="EnabledState" TYPE="uint16"><VALUE>{_RUNNING}</VALUE></PROPERTY></INSTANCE>'
    )
    try:
        wmi.invoke(context, _MODIFY_GUEST_SERVICE, keys, {"GuestServiceSettings": instance})
    except errors.AccessDenied as error:
        remedy = f"grant it Execute Methods on {NAMESPACE} of the host (wmimgmt.msc), and {HYPER_V_HOST.grant}"
        raise context.error(errors.AccessDenied, error.answer, remedy, error.code) from error


def list_firmware_uuids(wmi: Wmi, deadline: Deadline) -> Mapping[str, str]:
    """Return the firmware UUID of each VM by VM id: `Msvm_VirtualSystemSettingData.BIOSGUID`.

    Raises:
        EmptyAnswer: the host lists nothing, not even itself.
        AvmaError: the host could not be queried, or has no Hyper-V.
    """
    query = (
        "SELECT VirtualSystemIdentifier,BIOSGUID FROM Msvm_VirtualSystemSettingData "
        "WHERE VirtualSystemType = 'Microsoft:Hyper-V:System:Realized'"
    )
    rows = _rows_of_vms(Context("read the identities of the virtual machines", wmi.where, deadline), wmi, query)
    return {
        (row.text("VirtualSystemIdentifier") or "").lower(): (row.text("BIOSGUID") or "").strip("{}") for row in rows
    }


def _virtual_machine(row: Instance) -> VirtualMachine:
    state = vm_state(row.integer("EnabledState"))
    on_for = (row.integer("OnTimeInMilliseconds") or 0) / 1000
    return VirtualMachine((row.text("Name") or "").lower(), row.text("ElementName") or "", state, on_for)


def _guest_facts(row: Instance) -> GuestFacts:
    try:
        items = row.embedded("GuestIntrinsicExchangeItems")
    except errors.UnexpectedAnswer:
        return _MALFORMED
    return GuestFacts({item.text("Name") or "": item.text("Data") or "" for item in items})
