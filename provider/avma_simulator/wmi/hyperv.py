"""The classes of Hyper-V on a host: VMs, their Data Exchange, and the items that guests report.

See "Hyper-V WMI provider (V2)" at learn.microsoft.com: Msvm_ComputerSystem, Msvm_KvpExchangeComponent and
Msvm_KvpExchangeComponentSettingData.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
import zlib
from collections.abc import Sequence
from functools import lru_cache

from avma_simulator import estate, fields
from avma_simulator.state import language
from avma_simulator.state.licensing import NEVER
from avma_simulator.state.machine import Guest, Machine, Replication
from avma_simulator.wmi.cim import Instance, Value, declare

NAMESPACE = "root/virtualization/v2"
_KVP = "2A34B1C2-FD73-4043-8A5B-DD2159BC743F"
_ENABLED, _DISABLED = 2, 3
_AMD64, _WIN32_NT = "9", "2"
_IPV4, _IPV6 = "IPv4", "IPv6"

COMPUTER_SYSTEM = declare(
    NAMESPACE,
    "Msvm_ComputerSystem",
    "CreationClassName Name",
    declare(
        NAMESPACE,
        "CIM_ComputerSystem",
        "CreationClassName Name",
        string="Caption CreationClassName Description ElementName Name",
        uint16="EnabledDefault EnabledState HealthState RequestedState",
        datetime="InstallDate TimeOfLastConfigurationChange",
    ),
    # The properties of Msvm_ComputerSystem at learn.microsoft.com.
    string="Caption CreationClassName Description ElementName InstanceID Name NameFormat OtherEnabledState"
    " PrimaryOwnerContact PrimaryOwnerName Status",
    strings="IdentifyingDescriptions OtherDedicatedDescriptions OtherIdentifyingInfo Roles StatusDescriptions",
    uint16="CommunicationStatus DetailedStatus EnabledDefault EnabledState EnhancedSessionModeState"
    " FailedOverReplicationType HealthState LastReplicationType NumberOfNumaNodes OperatingStatus PrimaryStatus"
    " ReplicationHealth ReplicationMode ReplicationState RequestedState ResetCapability TransitioningToState",
    uint16s="AvailableRequestedStates Dedicated OperationalStatus PowerManagementCapabilities",
    uint32="HwThreadsPerCoreRealized ProcessID",
    uint64="OnTimeInMilliseconds",
    datetime="InstallDate LastApplicationConsistentReplicationTime LastReplicationTime LastSuccessfulBackupTime"
    " TimeOfLastConfigurationChange TimeOfLastStateChange",
)
_OK, _RESET_DISABLED_BY_VENDOR = 2, 1
_HOST_REQUESTS_NOTHING, _VM_REQUESTS_NOTHING = 12, 5
_GUEST_HAS_ENHANCED_SESSIONS, _NO_ENHANCED_SESSIONS = 6, 3
_REPLICATING = 3
_FIRST_PROCESS = 4096
# learn.microsoft.com, "Msvm_ComputerSystem class" and "Virtual Machines: VmState".
# Inferred (vm-in-transition-has-the-number-of-cim, vm-in-memory-has-a-process): a state with a number in CIM has that
# number, as OpenStack reads it, and a VM with a process has the values of a running one.
_STATES: dict[fields.VmState, int] = {
    "running": _ENABLED,
    "off": _DISABLED,
    "stopping": 4,
    "saved": 6,
    "paused": 9,
    "starting": 10,
    "saving": 32773,
    "pausing": 32776,
    "resuming": 32777,
}
_WITHOUT_PROCESS = ("off", "saved")
KVP_COMPONENT = declare(
    NAMESPACE,
    "Msvm_KvpExchangeComponent",
    "CreationClassName DeviceID SystemCreationClassName SystemName",
    string="Caption CreationClassName DeviceID ElementName SystemCreationClassName SystemName",
    uint16="EnabledState",
    strings="GuestExchangeItems GuestIntrinsicExchangeItems",
)
KVP_SETTING = declare(
    NAMESPACE,
    "Msvm_KvpExchangeComponentSettingData",
    "InstanceID",
    string="Caption ElementName InstanceID",
    uint16="EnabledState",
)


def computer_systems(host: Machine, guests: list[Guest]) -> list[Instance]:
    """Return the row of the host, whose Name is not a GUID, and one for each VM."""
    return [_host(host), *(_virtual_machine(guest) for guest in guests)]


def _host(host: Machine) -> Instance:
    """Return the row of the host. Recorded by go-wsman: all values. All other properties are null."""
    caption = language.translated("Hosting Computer System", host.spec.language)
    values: dict[str, Value] = {
        "Caption": caption,
        "Description": f"Microsoft {caption}",
        "ElementName": host.computer_name,
        "EnabledDefault": _ENABLED,
        "EnabledState": _ENABLED,
        "Name": host.computer_name,
        "RequestedState": _HOST_REQUESTS_NOTHING,
        "StatusDescriptions": (language.translated("OK", host.spec.language),),
    }
    return Instance(COMPUTER_SYSTEM, _COMMON | values)


def _virtual_machine(guest: Guest) -> Instance:
    """Return the row of a VM. Recorded by go-wsman: the values of a running VM and of one that never ran.

    The Description of a VM is English on a host of any language. Its Caption and status use the language of the host.
    """
    locale = guest.host.spec.language
    replicated = guest.replication is not Replication.NONE
    values: dict[str, Value] = {
        "Caption": language.translated("Virtual Machine", locale),
        "Description": "Microsoft Virtual Machine",
        "ElementName": guest.name,
        "EnabledDefault": _ENABLED if guest.running else _DISABLED,
        "EnabledState": _STATES[guest.state],
        "EnhancedSessionModeState": _GUEST_HAS_ENHANCED_SESSIONS if guest.ready else _NO_ENHANCED_SESSIONS,
        "FailedOverReplicationType": 0,
        "InstallDate": guest.created,
        "LastApplicationConsistentReplicationTime": NEVER,
        "LastReplicationTime": NEVER,
        "LastReplicationType": 0,
        "Name": guest.identifier,
        "OnTimeInMilliseconds": 0,
        "ReplicationHealth": int(replicated),
        "ReplicationMode": int(guest.replication),
        "ReplicationState": _REPLICATING if replicated else 0,
        "RequestedState": _VM_REQUESTS_NOTHING,
        "StatusDescriptions": (language.translated("Operating normally", locale),),
        "TimeOfLastConfigurationChange": guest.created,
        "TimeOfLastStateChange": guest.started if guest.running else NEVER,
    }
    return Instance(COMPUTER_SYSTEM, _COMMON | values | ({} if guest.state in _WITHOUT_PROCESS else _running(guest)))


def _running(guest: Guest) -> dict[str, Value]:
    """Return the properties that only a running VM has."""
    on_for = guest.clock.now() - guest.started
    return {
        "HwThreadsPerCoreRealized": 2,
        "OnTimeInMilliseconds": int(on_for.total_seconds() * 1000),
        "ProcessID": _FIRST_PROCESS + 4 * (zlib.crc32(guest.identifier.encode()) % _FIRST_PROCESS),
    }


_COMMON: dict[str, Value] = {
    "CreationClassName": COMPUTER_SYSTEM.name,
    "HealthState": 5,
    "NumberOfNumaNodes": 1,
    "OperationalStatus": (_OK,),
    "ResetCapability": _RESET_DISABLED_BY_VENDOR,
    "Status": "OK",
}


def kvp_components(guests: list[Guest]) -> list[Instance]:
    """Return the Data Exchange component of each VM.

    Inferred (stopped-vm-reports-no-items): a VM that is off has one without items.
    """
    return [_kvp_component(guest) for guest in guests]


def kvp_settings(host: Machine, guests: list[Guest]) -> list[Instance]:
    """Return the Data Exchange setting of each VM, and the default for new VMs."""
    name = _service_name(host)
    definition = _kvp_setting(name, rf"Microsoft:Definition\{_KVP}\Default", _ENABLED)
    return [definition, *(_kvp_setting(name, setting_id(guest), _switch(guest)) for guest in guests)]


def _service_name(host: Machine) -> str:
    """Return the name of Data Exchange in the language of the host."""
    return language.translated("Key-Value Pair Exchange", host.spec.language)


def _kvp_component(guest: Guest) -> Instance:
    speaks = guest.ready and guest.data_exchange
    values: dict[str, Value] = {
        "Caption": _service_name(guest.host),
        "CreationClassName": KVP_COMPONENT.name,
        "DeviceID": setting_id(guest),
        "ElementName": _service_name(guest.host),
        "EnabledState": _switch(guest),
        "GuestIntrinsicExchangeItems": _items(guest) if speaks else None,
        "SystemCreationClassName": COMPUTER_SYSTEM.name,
        "SystemName": guest.identifier,
    }
    return Instance(KVP_COMPONENT, values)


def _kvp_setting(name: str, instance_id: str, state: int) -> Instance:
    values: dict[str, Value] = {
        "Caption": name,
        "ElementName": name,
        "InstanceID": instance_id,
        "EnabledState": state,
    }
    return Instance(KVP_SETTING, values)


def setting_id(guest: Guest) -> str:
    """Return the InstanceID of a VM's Data Exchange setting."""
    return rf"Microsoft:{guest.identifier}\{_KVP}"


def _switch(guest: Guest) -> int:
    return _ENABLED if guest.data_exchange else _DISABLED


def _items(guest: Guest) -> tuple[str, ...]:
    if guest.data_exchange_items is not None:
        return guest.data_exchange_items
    reported = _of_windows(guest) if guest.linux is None else _of_linux(guest, guest.linux)
    if guest.has_network:
        reported |= _reported_addresses(guest.reported_addresses)
    return tuple(_item(name, data) for name, data in reported.items())


def _of_windows(guest: Guest) -> dict[str, str]:
    major, minor, build = guest.windows.release.split(".")
    return {
        "FullyQualifiedDomainName": guest.full_name,
        "OSName": guest.windows.product_name,
        "OSVersion": guest.windows.release,
        "OSMajorVersion": major,
        "OSMinorVersion": minor,
        "OSBuildNumber": build,
        "OSPlatformId": _WIN32_NT,
        "ProcessorArchitecture": _AMD64,
        "IntegrationServicesVersion": f"{guest.windows.release}.1",
    }


def _of_linux(guest: Guest, linux: estate.Linux) -> dict[str, str]:
    """Return the items of a Linux guest, as in hv_kvp_daemon.c of the Linux kernel."""
    return {
        "FullyQualifiedDomainName": guest.full_name.lower(),
        "IntegrationServicesVersion": "3.1",
        "OSBuildNumber": linux.kernel,
        "OSName": linux.name,
        "OSMajorVersion": linux.version,
        "OSMinorVersion": "",
        "OSVersion": linux.kernel.partition("-")[0],
        "ProcessorArchitecture": "x86_64",
    }


def _reported_addresses(addresses: Sequence[str]) -> dict[str, str]:
    """Return the items for a guest's addresses: one list per IP version, separated by semicolons."""
    texts = {version: ";".join(a for a in addresses if (":" in a) is (version == _IPV6)) for version in (_IPV4, _IPV6)}
    return {f"NetworkAddress{version}": text for version, text in texts.items() if text}


@lru_cache(maxsize=4096)  # guests share most items, and a listing of many guests would build each one again
def _item(name: str, data: str) -> str:
    """Return one item as an embedded CIM-XML instance, like Hyper-V."""
    instance = ET.Element("INSTANCE", CLASSNAME="Msvm_KvpExchangeDataItem")
    for inherited in ("Caption", "Description", "ElementName"):
        ET.SubElement(instance, "PROPERTY", NAME=inherited, PROPAGATED="true", TYPE="string")
    for own, cim_type, value in (("Data", "string", data), ("Name", "string", name), ("Source", "uint16", "2")):
        prop = ET.SubElement(instance, "PROPERTY", NAME=own, TYPE=cim_type)
        ET.SubElement(prop, "VALUE").text = value
    return ET.tostring(instance, encoding="unicode")
