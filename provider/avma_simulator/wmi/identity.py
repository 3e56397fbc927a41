"""The classes that identify a VM from inside and from its host by the UUID of its firmware.

See Win32_ComputerSystemProduct and Msvm_VirtualSystemSettingData at learn.microsoft.com.
"""

from __future__ import annotations

import uuid

from avma_simulator.estate import Host
from avma_simulator.state.machine import Guest, Machine
from avma_simulator.wmi.cim import Instance, Value, declare
from avma_simulator.wmi.hyperv import NAMESPACE

PRODUCT = declare(
    "root/cimv2",
    "Win32_ComputerSystemProduct",
    "IdentifyingNumber Name Version",
    string="Caption Description IdentifyingNumber Name UUID Vendor Version",
)
SETTING = declare(
    NAMESPACE,
    "Msvm_VirtualSystemSettingData",
    "InstanceID",
    string="BIOSGUID Caption ElementName InstanceID VirtualSystemIdentifier VirtualSystemType",
)
_FIRMWARE = uuid.UUID("3f0b6c1e-2d55-5f0a-8b1c-6d7e9a1b2c3d")


def product(machine: Machine) -> Instance:
    """Return the firmware's data about a machine."""
    virtual = isinstance(machine, Guest)
    values: dict[str, Value] = {
        "Caption": "Computer System Product",
        "Description": "Computer System Product",
        "IdentifyingNumber": machine.computer_name,
        "Name": "Virtual Machine" if virtual else "Simulated Server",
        "UUID": _firmware_uuid(machine),
        "Vendor": "Microsoft Corporation" if virtual else "Simulated",
        "Version": "Hyper-V UEFI Release v4.1" if virtual else "1.0",
    }
    return Instance(PRODUCT, values)


def settings(guests: list[Guest]) -> list[Instance]:
    """Return the settings of each VM.

    Inferred (firmware-uuid-of-a-guest-is-its-bios-guid, bios-guid-is-in-braces): BIOSGUID is the firmware UUID of the
    guest in braces.
    """
    return [_setting(guest) for guest in guests]


def _setting(guest: Guest) -> Instance:
    values: dict[str, Value] = {
        "BIOSGUID": f"{{{_firmware_uuid(guest)}}}",
        "Caption": "Virtual Machine Settings",
        "ElementName": guest.name,
        "InstanceID": f"Microsoft:{guest.identifier}",
        "VirtualSystemIdentifier": guest.identifier,
        "VirtualSystemType": "Microsoft:Hyper-V:System:Realized",
    }
    return Instance(SETTING, values)


def _firmware_uuid(machine: Machine) -> str:
    declared = machine.spec.firmware_uuid if isinstance(machine.spec, Host) else None
    if declared is not None:
        return declared
    return str(uuid.uuid5(_FIRMWARE, machine.identifier)).upper()
