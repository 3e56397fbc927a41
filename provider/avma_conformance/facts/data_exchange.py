"""Facts about Data Exchange (key-value pairs) on a Hyper-V host, and about the method that turns it on."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from xml.etree.ElementTree import Element

from avma.windows import hyperv
from avma.windows.hyperv import VirtualMachine
from avma.wsman import envelope
from avma.wsman.envelope import CimMethod, local_name
from avma.wsman.instance import Instance
from avma_conformance.fact import Area, Effect, NotHere, Observation, On, equal, fact, one_of, present, true
from avma_conformance.fault_form import fault_form
from avma_conformance.subject import HYPER_V, Subject

_COMPONENT = "Msvm_KvpExchangeComponent"
_SETTING = "Msvm_KvpExchangeComponentSettingData"
_SERVICE = "Msvm_VirtualSystemManagementService"
_KEYS = ("CreationClassName", "Name", "SystemCreationClassName", "SystemName")
_KVP = "2A34B1C2-FD73-4043-8A5B-DD2159BC743F"
_MODIFY = CimMethod(HYPER_V, _SERVICE, "ModifyGuestServiceSettings")
_ON, _OFF = 2, 3
_OF_WINDOWS = {"FullyQualifiedDomainName", "OSName", "OSVersion", "OSBuildNumber", "OSPlatformId"}
_INVALID_PARAMETER = 32773
"""The return value of Hyper-V's methods for an invalid parameter."""


def _components(subject: Subject) -> Mapping[str, list[Instance]]:
    """Return the Data Exchange components of the host by VM id."""
    found: dict[str, list[Instance]] = {}
    for row in subject.query(f"SELECT SystemName,GuestIntrinsicExchangeItems FROM {_COMPONENT}", HYPER_V):
        found.setdefault((row.text("SystemName") or "").lower(), []).append(row)
    return found


def _running(subject: Subject) -> list[VirtualMachine]:
    return [vm for vm in subject.server.virtual_machines(subject.deadline) if vm.running]


def _reported(subject: Subject) -> Instance:
    """Return the Data Exchange component of a running VM with items.

    Raises:
        NotHere: no guest reports items.
    """
    listed = _components(subject)
    rows = (row for vm in _running(subject) for row in listed.get(vm.id, []))
    found = next((row for row in rows if row.strings("GuestIntrinsicExchangeItems")), None)
    if found is None:
        raise NotHere("no guest reports items")
    return found


def _settings(subject: Subject) -> list[Instance]:
    return subject.query(f"SELECT InstanceID,EnabledState FROM {_SETTING}", HYPER_V)


@fact(Area.HYPER_V, "inferred: each public script finds the component of a running VM", on=On.VM)
def running_vm_has_one_data_exchange_component(subject: Subject) -> Observation:
    """Each running VM has one Msvm_KvpExchangeComponent, whatever it reports."""
    listed = _components(subject)
    counts = {len(listed.get(vm.id, [])) for vm in _running(subject)}
    return equal({1}, counts)


@fact(Area.HYPER_V, "inferred: the component has an EnabledState of its own", on=On.HYPER_V)
def data_exchange_that_is_off_keeps_its_component(subject: Subject) -> Observation:
    """A running VM whose Data Exchange is off has a component without items."""
    exchange = subject.server.data_exchange(subject.deadline)
    off = [vm for vm in _running(subject) if vm.id in exchange and not exchange[vm.id].enabled]
    if not off:
        raise NotHere("Data Exchange of each running VM is on")
    rows = _components(subject).get(off[0].id, [])
    return equal([0], [len(row.strings("GuestIntrinsicExchangeItems")) for row in rows])


@fact(Area.HYPER_V, "inferred: a guest that is off reports nothing", on=On.HYPER_V)
def stopped_vm_reports_no_items(subject: Subject) -> Observation:
    """A VM that is off has one component without items."""
    off = [vm for vm in subject.server.virtual_machines(subject.deadline) if vm.state is hyperv.VmState.OFF]
    if not off:
        raise NotHere("no VM is off")
    rows = _components(subject).get(off[0].id, [])
    return equal([0], [len(row.strings("GuestIntrinsicExchangeItems")) for row in rows])


@fact(Area.HYPER_V, "Msvm_KvpExchangeComponent at learn.microsoft.com, recorded by libvirt and virt-who", on=On.VM)
def data_exchange_items_are_embedded_instances(subject: Subject) -> Observation:
    """Each item is an instance of Msvm_KvpExchangeDataItem as CIM-XML text."""
    items = _reported(subject).strings("GuestIntrinsicExchangeItems")
    kinds = {item[: item.find(">")].replace("'", '"').strip("<") for item in items}
    return equal({'INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"'}, kinds)


@fact(Area.HYPER_V, "Hyper-V test scripts; Data Exchange at learn.microsoft.com", on=On.VM)
def windows_guest_reports_its_name_and_release(subject: Subject) -> Observation:
    """A Windows guest reports the items of its full name and its release."""
    names = {item.text("Name") for item in _reported(subject).embedded("GuestIntrinsicExchangeItems")}
    if "ProcessorArchitecture" in names and "OSPlatformId" not in names:
        raise NotHere("the guest with items does not run Windows")
    missing = {name for name in _OF_WINDOWS if name not in names}
    return true("all items", not missing, f"without {', '.join(sorted(missing))}" if missing else "all items")


@fact(Area.HYPER_V, f"{_SETTING} at learn.microsoft.com; the ids of OpenStack", on=On.VM)
def data_exchange_setting_names_its_vm(subject: Subject) -> Observation:
    """Each VM has one Data Exchange setting. Its InstanceID contains the ids of the VM and of the service."""
    found = [(row.text("InstanceID") or "").lower() for row in _settings(subject)]
    vms = [vm.id for vm in subject.server.virtual_machines(subject.deadline)]
    counts = {found.count(rf"microsoft:{vm_id}\{_KVP}".lower()) for vm_id in vms}
    return equal({1}, counts)


@fact(Area.HYPER_V, f"{_SETTING} at learn.microsoft.com", on=On.HYPER_V)
def data_exchange_has_a_default_setting(subject: Subject) -> Observation:
    """The list of settings also contains a definition with the default, which belongs to no VM."""
    ids = [row.text("InstanceID") or "" for row in _settings(subject)]
    definitions = [each for each in ids if each.lower().startswith("microsoft:definition\\")]
    default = rf"Microsoft:Definition\{_KVP}\Default"
    return true("a definition with the default", default.lower() in map(str.lower, definitions), definitions)


@fact(Area.HYPER_V, f"{_SETTING} at learn.microsoft.com", on=On.VM)
def data_exchange_setting_is_on_or_off(subject: Subject) -> Observation:
    """The EnabledState of a Data Exchange setting is 2 or 3."""
    found = {row.integer("EnabledState") for row in present(_settings(subject), "the host lists no setting")}
    return true("2 or 3", found <= {_ON, _OFF}, found)


def _setting(instance_id: str, state: int) -> str:
    return (
        f'<INSTANCE CLASSNAME="{_SETTING}"><PROPERTY NAME="InstanceID" TYPE="string"><VALUE>{instance_id}</VALUE>'
        f'</PROPERTY><PROPERTY NAME="EnabledState" TYPE="uint16"><VALUE>{state}</VALUE></PROPERTY></INSTANCE>'
    )


def _modify(subject: Subject, setting: str, names: tuple[str, ...] = _KEYS) -> str:
    """Call ModifyGuestServiceSettings, and return its return value or its fault."""
    row = subject.row(f"SELECT {','.join(_KEYS)} FROM {_SERVICE}", HYPER_V)
    keys = {name: row.text(name) or "" for name in names}
    return _returned(subject.exchange(envelope.invoke(_MODIFY, keys, {"GuestServiceSettings": setting})))


def _returned(answer: Element) -> str:
    value = next((each.text or "" for each in answer.iter() if local_name(each) == "ReturnValue"), "")
    return value or str(fault_form(answer))


def _of_nobody() -> str:
    return _setting(rf"Microsoft:{str(uuid.uuid4()).upper()}\{_KVP}", _ON)


def _states(subject: Subject) -> list[tuple[str | None, int | None]]:
    return [(row.text("InstanceID"), row.integer("EnabledState")) for row in _settings(subject)]


@fact(
    Area.HYPER_V,
    "inferred: return values of ModifyGuestServiceSettings at learn.microsoft.com",
    on=On.HYPER_V,
    effect=Effect.HARMLESS,
)
def setting_of_a_missing_vm_is_invalid_parameter(subject: Subject) -> Observation:
    """ModifyGuestServiceSettings for a VM that does not exist returns 32773, and changes nothing."""
    before = _states(subject)
    returned = _modify(subject, _of_nobody())
    same = "the same settings" if _states(subject) == before else "other settings"
    return equal(f"{_INVALID_PARAMETER}, the same settings", f"{returned}, {same}")


@fact(Area.HYPER_V, "recorded by go-wsman", on=On.HYPER_V, effect=Effect.HARMLESS)
def method_accepts_some_keys_of_its_service(subject: Subject) -> Observation:
    """A method of Msvm_VirtualSystemManagementService runs with some keys of the service as with all of them."""
    all_keys, one_key = (_modify(subject, _of_nobody(), names) for names in (_KEYS, _KEYS[1:2]))
    # The return value shows that the method ran. A fault for both calls would not.
    return true("a return value, the same for both", all_keys.isdecimal() and all_keys == one_key, [all_keys, one_key])


@fact(
    Area.HYPER_V,
    "inferred: ModifyGuestServiceSettings at learn.microsoft.com may return 0 or start a job",
    on=On.VM,
    effect=Effect.HARMLESS,
)
def unchanged_setting_is_accepted(subject: Subject) -> Observation:
    """ModifyGuestServiceSettings with the present EnabledState of a VM returns 0, or 4096 for a job."""
    exchange = subject.server.data_exchange(subject.deadline)
    present = exchange[subject.running_vm.id]
    return one_of(("0", "4096"), _modify(subject, _setting(present.instance_id, _ON if present.enabled else _OFF)))
