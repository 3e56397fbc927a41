"""The associations between instances of a Hyper-V host, as ASSOCIATORS OF follows them.

See Msvm_SettingsDefineState, Msvm_SystemDevice and Msvm_ElementSettingData at learn.microsoft.com.
"""

from __future__ import annotations

from dataclasses import dataclass

from avma_simulator.wmi import hyperv, identity
from avma_simulator.wmi.cim import CimClass, Instance


@dataclass(frozen=True)
class _End:
    cim_class: CimClass
    property: str


@dataclass(frozen=True)
class Association:
    """An association of two classes. It joins instances if a property of each has the same value."""

    name: str
    ends: tuple[_End, _End]

    def other(self, cim_class: CimClass) -> CimClass | None:
        """Return the class at the other end, or None if the class is at neither end."""
        first, second = (end.cim_class for end in self.ends)
        return {first: second, second: first}.get(cim_class)

    def joins(self, one: Instance, other: Instance) -> bool:
        """Return True if the association joins two instances, one of each class."""
        properties = {end.cim_class: end.property for end in self.ends}
        return one.get(properties[one.cim_class]) == other.get(properties[other.cim_class])


ASSOCIATIONS = (
    Association(
        "Msvm_SettingsDefineState",
        (_End(hyperv.COMPUTER_SYSTEM, "Name"), _End(identity.SETTING, "VirtualSystemIdentifier")),
    ),
    Association(
        "Msvm_SystemDevice",
        (_End(hyperv.COMPUTER_SYSTEM, "Name"), _End(hyperv.KVP_COMPONENT, "SystemName")),
    ),
    Association(
        "Msvm_ElementSettingData",
        (_End(hyperv.KVP_COMPONENT, "DeviceID"), _End(hyperv.KVP_SETTING, "InstanceID")),
    ),
)
