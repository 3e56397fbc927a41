"""`Msvm_VirtualSystemManagementService` of a host, which turns a VM's Data Exchange on and off.

See "ModifyGuestServiceSettings method" at learn.microsoft.com. It takes embedded instances in CIM-XML.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import defusedxml
from defusedxml.ElementTree import fromstring

from avma_simulator.state import language
from avma_simulator.state.machine import Guest, Machine
from avma_simulator.wmi import hyperv
from avma_simulator.wmi.cim import Instance, Value, declare
from avma_simulator.wmi.methods import Arguments, Method

SERVICE = declare(
    hyperv.NAMESPACE,
    "Msvm_VirtualSystemManagementService",
    "CreationClassName Name SystemCreationClassName SystemName",
    string="Caption CreationClassName ElementName Name SystemCreationClassName SystemName",
    uint16="EnabledState",
)
_SWITCHES = {"2": True, "3": False}
_INVALID_PARAMETER = 32773


class _Unusable(Exception):
    """The setting cannot be changed."""


def services(host: Machine) -> list[Instance]:
    """Return the service of the host."""
    name = language.translated("Hyper-V Virtual System Management Service", host.spec.language)
    values: dict[str, Value] = {
        "Caption": name,
        "CreationClassName": SERVICE.name,
        "ElementName": name,
        "Name": "vmms",
        "SystemCreationClassName": hyperv.COMPUTER_SYSTEM.name,
        "SystemName": host.computer_name,
        "EnabledState": 2,
    }
    return [Instance(SERVICE, values)]


def methods(guests: Callable[[], list[Guest]]) -> dict[str, Method]:
    """Return the methods of the service, for a host with these guests."""

    async def modify(host: Machine, service: Instance, arguments: Arguments) -> int:
        """Change all settings or none. Simplified: it never starts a job.

        Inferred (setting-of-a-missing-vm-is-invalid-parameter): the number for a wrong setting.
        """
        try:
            changes = [_change(guests(), text) for text in arguments.texts("GuestServiceSettings")]
        except _Unusable:
            return _INVALID_PARAMETER
        for guest, on in changes:
            guest.data_exchange = on
        return 0 if changes else _INVALID_PARAMETER

    return {"ModifyGuestServiceSettings": modify}


def _change(guests: list[Guest], text: str) -> tuple[Guest, bool]:
    try:
        instance = fromstring(text, forbid_dtd=True)
    except (ET.ParseError, defusedxml.DefusedXmlException, ValueError):
        raise _Unusable from None
    given = {prop.get("NAME", ""): prop.findtext("VALUE") or "" for prop in instance.iter("PROPERTY")}
    guest = next((one for one in guests if _same(hyperv.setting_id(one), given.get("InstanceID", ""))), None)
    on = _SWITCHES.get(given.get("EnabledState", ""))
    if instance.get("CLASSNAME") != hyperv.KVP_SETTING.name or guest is None or on is None:
        raise _Unusable
    return guest, on


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()
