"""`Win32_OperatingSystem` and `Win32_ComputerSystem` of one machine."""

from __future__ import annotations

from avma_simulator.state import language
from avma_simulator.state.machine import Guest, Machine
from avma_simulator.wmi.cim import Instance, declare

OPERATING_SYSTEM = declare(
    "root/cimv2",
    "Win32_OperatingSystem",
    "Name",
    declare(
        "root/cimv2",
        "CIM_OperatingSystem",
        "CreationClassName CSName Name",
        string="Caption CSName CreationClassName Name Version",
        datetime="LastBootUpTime LocalDateTime",
    ),
    string="BuildNumber Caption CSDVersion CSName CreationClassName Name OSArchitecture OtherTypeDescription "
    "PlusProductID PlusVersionNumber Version WindowsDirectory",
    uint32="OperatingSystemSKU OSLanguage ProductType",
    uint16="ServicePackMajorVersion ServicePackMinorVersion",
    sint16="CurrentTimeZone",
    datetime="LastBootUpTime LocalDateTime",
    boolean="Primary",
)
COMPUTER_SYSTEM = declare(
    "root/cimv2",
    "Win32_ComputerSystem",
    "Name",
    declare("root/cimv2", "CIM_ComputerSystem", "CreationClassName Name", string="CreationClassName Name"),
    string="CreationClassName DNSHostName Domain Manufacturer Model Name Workgroup",
    uint16="DomainRole",
    boolean="HypervisorPresent PartOfDomain",
)
_SERVER = 3
# Win32_ComputerSystem.DomainRole
_STANDALONE_SERVER, _MEMBER_SERVER = 2, 3
_WORKGROUP = "WORKGROUP"


def operating_system(machine: Machine) -> Instance:
    """Return the operating system of the machine. Current releases report null for the others."""
    windows = machine.windows
    return Instance(
        OPERATING_SYSTEM,
        {
            "BuildNumber": windows.build,
            "Caption": f"Microsoft {windows.product_name}",
            "CSName": machine.computer_name,
            "CreationClassName": "Win32_OperatingSystem",
            "Name": rf"Microsoft {windows.product_name}|C:\Windows|\Device\Harddisk0\Partition4",
            "OSArchitecture": "64-bit",
            "Version": windows.release,
            "WindowsDirectory": r"C:\Windows",
            "OperatingSystemSKU": windows.sku,
            "OSLanguage": language.LOCALES[machine.spec.language],
            "ProductType": _SERVER,
            "ServicePackMajorVersion": 0,
            "ServicePackMinorVersion": 0,
            "CurrentTimeZone": machine.spec.utc_offset,
            # Recorded by txwinrm: times in root/cimv2 carry the offset of the machine's time zone.
            "LastBootUpTime": machine.started.astimezone(machine.time_zone),
            "LocalDateTime": machine.clock.now().astimezone(machine.time_zone),
            "Primary": True,
        },
    )


def computer_system(machine: Machine) -> Instance:
    """Return the computer system of the machine."""
    virtual = isinstance(machine, Guest)
    return Instance(
        COMPUTER_SYSTEM,
        {
            "CreationClassName": "Win32_ComputerSystem",
            "DNSHostName": machine.spec.dns_host_name,
            "Domain": machine.domain.dns_name if machine.domain else _WORKGROUP,
            "Manufacturer": "Microsoft Corporation" if virtual else "Simulated",
            "Model": "Virtual Machine" if virtual else "Simulated Server",
            "Name": machine.computer_name,
            "Workgroup": None if machine.domain else _WORKGROUP,
            "DomainRole": _MEMBER_SERVER if machine.domain else _STANDALONE_SERVER,
            "HypervisorPresent": True,
            "PartOfDomain": machine.domain is not None,
        },
    )
