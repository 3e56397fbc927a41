r"""Facts about the WMI of a Hyper-V host: its own row, its VMs, and their settings in root\virtualization\v2."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree.ElementTree import Element

from avma.windows import hyperv
from avma.windows.hyperv import VirtualMachine
from avma.wsman import envelope
from avma.wsman.envelope import XSI, local_name
from avma.wsman.instance import Instance
from avma_conformance.fact import Area, NotHere, Observation, On, equal, fact, present, true
from avma_conformance.fault_form import NO_FAULT
from avma_conformance.subject import CIMV2, HYPER_V, Subject

_SYSTEMS = "SELECT {} FROM Msvm_ComputerSystem"
_DOCUMENTED_STATES = (2, 3, 4, 6, 9, 10, *range(32768, 32778))
"""`EnabledState` at learn.microsoft.com."""
_RECORDED = (
    "Caption CommunicationStatus CreationClassName Description DetailedStatus ElementName EnabledDefault EnabledState "
    "EnhancedSessionModeState FailedOverReplicationType HealthState InstallDate InstanceID "
    "LastApplicationConsistentReplicationTime LastReplicationTime LastReplicationType LastSuccessfulBackupTime Name "
    "NameFormat NumberOfNumaNodes OnTimeInMilliseconds OperatingStatus OperationalStatus OtherEnabledState "
    "PrimaryOwnerContact PrimaryOwnerName PrimaryStatus ProcessID ReplicationHealth ReplicationMode ReplicationState "
    "RequestedState ResetCapability Status StatusDescriptions TimeOfLastConfigurationChange TimeOfLastStateChange "
    "TransitioningToState"
)
"""The properties in a recorded row, without HwThreadsPerCoreRealized and ManagementVtlImage, which are newer."""
_REALIZED = "Microsoft:Hyper-V:System:Realized"
_SETTING = "Msvm_VirtualSystemSettingData"
_LISTED = ("Name", "ElementName", "EnabledState", "OnTimeInMilliseconds")
"""The columns of the product's list of VMs."""


def _virtual_machines(subject: Subject) -> tuple[VirtualMachine, ...]:
    """Return the VMs of the host.

    Raises:
        NotHere: it has none.
    """
    found = subject.server.virtual_machines(subject.deadline)
    if not found:
        raise NotHere("the host has no VM")
    return found


def _stopped(subject: Subject) -> VirtualMachine:
    found = next((vm for vm in _virtual_machines(subject) if vm.state is hyperv.VmState.OFF), None)
    if found is None:
        raise NotHere("no VM is off")
    return found


def _of_vm(vm: VirtualMachine, columns: str) -> str:
    return f"{_SYSTEMS.format(columns)} WHERE Name = '{vm.id}'"


def _raw(subject: Subject, wql: str) -> list[Element]:
    """Return the properties of the first row of a query as the machine sent them."""
    answer = subject.exchange(envelope.enumerate_query(HYPER_V, wql))
    items = next((each for each in answer.iter() if local_name(each) == "Items"), None)
    if items is None or len(items) == 0:
        raise NotHere(f"the first answer has no rows: {wql}")
    return list(items[0])


def _own_row(subject: Subject, columns: str) -> list[Instance]:
    return [row for row in subject.query(_SYSTEMS.format(f"Name,{columns}"), HYPER_V) if not _is_vm(row)]


def _rows_of_vms(subject: Subject, columns: str) -> Sequence[Instance]:
    """Return the rows of the VMs.

    Raises:
        NotHere: the host has no VM.
    """
    rows = subject.query(_SYSTEMS.format(f"Name,{columns}"), HYPER_V)
    return present([row for row in rows if _is_vm(row)], "the host has no VM")


def _is_vm(row: Instance) -> bool:
    return hyperv.is_vm_id(row.text("Name") or "")


@fact(Area.HYPER_V, "recorded by go-wsman", on=On.HYPER_V)
def host_lists_itself_once(subject: Subject) -> Observation:
    """Msvm_ComputerSystem contains one row of the host itself. Its Name is not a GUID."""
    return equal(1, len(_own_row(subject, "ElementName")))


@fact(Area.HYPER_V, "recorded by go-wsman", on=On.HYPER_V)
def host_row_has_the_computer_name(subject: Subject) -> Observation:
    """The Name of the host's own row is the name of the computer."""
    name = subject.row("SELECT Name FROM Win32_ComputerSystem", CIMV2).text("Name") or ""
    own = _own_row(subject, "ElementName")
    same = bool(own) and (own[0].text("Name") or "").lower() == name.lower()
    return equal("the same", "the same" if same else "another")


@fact(Area.HYPER_V, "recorded by go-wsman", on=On.HYPER_V)
def host_row_has_no_uptime(subject: Subject) -> Observation:
    """OnTimeInMilliseconds of the host's own row is nil."""
    name = subject.row("SELECT Name FROM Win32_ComputerSystem", CIMV2).text("Name")
    found = _raw(subject, f"{_SYSTEMS.format('*')} WHERE Name = '{name}'")
    uptime = [each for each in found if local_name(each) == "OnTimeInMilliseconds"]
    return equal(["nil"], ["nil" if each.get(f"{{{XSI}}}nil") == "true" else "a value" for each in uptime])


@fact(Area.HYPER_V, "Msvm_VirtualSystemManagementService at learn.microsoft.com", on=On.HYPER_V)
def host_has_one_management_service(subject: Subject) -> Observation:
    """A host has one Msvm_VirtualSystemManagementService, whose Name is vmms."""
    rows = subject.query("SELECT Name FROM Msvm_VirtualSystemManagementService", HYPER_V)
    return equal(["vmms"], [row.text("Name") for row in rows])


@fact(Area.HYPER_V, "Msvm_ComputerSystem at learn.microsoft.com, recorded by go-wsman", on=On.VM)
def vm_row_has_the_listed_properties(subject: Subject) -> Observation:
    """A row of a VM has a value for each property of the product's list."""
    found = _raw(subject, _of_vm(subject.running_vm, ",".join(_LISTED)))
    return equal(set(_LISTED), {local_name(each) for each in found if (each.text or "").strip()})


@fact(Area.HYPER_V, "recorded by go-wsman", on=On.VM)
def vm_row_has_the_recorded_properties(subject: Subject) -> Observation:
    """A row of a running VM has each recorded property. Newer releases may add some, and null arrays are absent."""
    found = {local_name(each) for each in _raw(subject, _of_vm(subject.running_vm, "*"))}
    missing = sorted(set(_RECORDED.split()) - found)
    shown = f"{len(found)} properties, without {', '.join(missing)}" if missing else "each property"
    return true("each property", not missing, shown)


@fact(Area.HYPER_V, "recorded by go-wsman", on=On.VM)
def running_vm_has_its_recorded_states(subject: Subject) -> Observation:
    """A running VM has EnabledState 2 and EnabledDefault 2. Its RequestedState is 5, which is no change."""
    names = ("EnabledState", "EnabledDefault", "RequestedState")
    row = subject.row(_of_vm(subject.running_vm, ",".join(names)), HYPER_V)
    return equal("2, 2, 5", ", ".join(row.text(name) or "null" for name in names))


@fact(Area.HYPER_V, "recorded by go-wsman", on=On.HYPER_V)
def stopped_vm_has_its_recorded_states(subject: Subject) -> Observation:
    """A VM that is off has EnabledState 3 and EnabledDefault 3, and an uptime of 0."""
    names = ("EnabledState", "EnabledDefault", "OnTimeInMilliseconds")
    row = subject.row(_of_vm(_stopped(subject), ",".join(names)), HYPER_V)
    return equal("3, 3, 0", ", ".join(row.text(name) or "null" for name in names))


@fact(Area.HYPER_V, "recorded on a Japanese host", on=On.VM)
def vm_description_is_english(subject: Subject) -> Observation:
    """The Description of a VM is English on a host of any language."""
    row = subject.row(_of_vm(subject.running_vm, "Description"), HYPER_V)
    return equal("Microsoft Virtual Machine", row.text("Description"))


@fact(Area.HYPER_V, '"Msvm_ComputerSystem class" at learn.microsoft.com', on=On.HYPER_V)
def vm_states_are_documented(subject: Subject) -> Observation:
    """The EnabledState of each VM is one of the documented numbers."""
    rows = _rows_of_vms(subject, "EnabledState")
    found = {row.integer("EnabledState") for row in rows}
    return true("documented numbers", found <= set(_DOCUMENTED_STATES), found)


@fact(Area.HYPER_V, "inferred: a VM in memory has the process vmwp.exe, recorded for running and stopped VMs", on=On.VM)
def vm_in_memory_has_a_process(subject: Subject) -> Observation:
    """A VM has a ProcessID unless it is off or saved."""
    rows = _rows_of_vms(subject, "EnabledState,ProcessID")
    wrong = [row for row in rows if hyperv.in_memory(_state(row)) is not bool(row.integer("ProcessID"))]
    return true("each VM", not wrong, f"{len(rows) - len(wrong)} of {len(rows)} VMs, not in state {_states(wrong)}")


def _state(row: Instance) -> hyperv.VmState:
    return hyperv.vm_state(row.integer("EnabledState"))


def _states(rows: list[Instance]) -> str:
    return ", ".join(sorted({_state(row).value for row in rows})) or "any"


@fact(Area.HYPER_V, "Msvm_ComputerSystem at learn.microsoft.com", on=On.VM)
def uptime_of_a_running_vm_grows(subject: Subject) -> Observation:
    """OnTimeInMilliseconds of a running VM is above 0, and grows."""
    wql = _of_vm(subject.running_vm, "OnTimeInMilliseconds")
    first = subject.row(wql, HYPER_V).integer("OnTimeInMilliseconds") or 0
    subject.context.wait(1.1)
    second = subject.row(wql, HYPER_V).integer("OnTimeInMilliseconds") or 0
    return equal(
        "above 0, growing", f"{'above 0' if first > 0 else '0'}, {'growing' if second > first else 'constant'}"
    )


@fact(Area.HYPER_V, "recorded by virt-who; MS-WSMV 3.1.4.8, recorded by go-wsman", on=On.VM)
def get_with_some_keys_is_destination_unreachable(subject: Subject) -> Observation:
    """A Get of a VM by its Name alone fails, because CreationClassName is a key too."""
    fault = subject.fault(envelope.get(HYPER_V, "Msvm_ComputerSystem", {"Name": subject.running_vm.id.upper()}))
    unreachable = "Sender, DestinationUnreachable, 0x80338000, WSManFault, InvalidResourceURI, WMI Provider"
    return equal(unreachable, str(fault))


@fact(Area.HYPER_V, "MS-WSMV 3.1.4.8, recorded by go-wsman", on=On.VM)
def get_with_all_keys_returns_the_vm(subject: Subject) -> Observation:
    """A Get of a VM by Name and CreationClassName returns it."""
    keys = {"Name": subject.running_vm.id.upper(), "CreationClassName": "Msvm_ComputerSystem"}
    return equal(NO_FAULT, str(subject.fault(envelope.get(HYPER_V, "Msvm_ComputerSystem", keys))))


@fact(Area.HYPER_V, "Msvm_VirtualSystemSettingData at learn.microsoft.com", on=On.HYPER_V)
def each_vm_has_one_realized_setting(subject: Subject) -> Observation:
    """Each VM has one Msvm_VirtualSystemSettingData of the type Realized. Those of checkpoints have other types."""
    wql = f"SELECT VirtualSystemIdentifier,VirtualSystemType FROM {_SETTING} WHERE VirtualSystemType = '{_REALIZED}'"
    found = [(row.text("VirtualSystemIdentifier") or "").lower() for row in subject.query(wql, HYPER_V)]
    vms = [vm.id for vm in _virtual_machines(subject)]
    return true("one for each VM", sorted(found) == sorted(vms), f"{len(found)} for {len(vms)} VMs")


@fact(Area.HYPER_V, "inferred: the form of other GUIDs in this namespace", on=On.VM)
def bios_guid_is_in_braces(subject: Subject) -> Observation:
    """BIOSGUID is a GUID in braces."""
    wql = f"SELECT BIOSGUID FROM {_SETTING} WHERE VirtualSystemType = '{_REALIZED}'"
    form = {re.sub("[0-9A-Fa-f]+", "x", row.text("BIOSGUID") or "") for row in subject.query(wql, HYPER_V)}
    return equal({"{x-x-x-x-x}"}, form)
