"""The consistency checks for a machine of Azure Stack HCI (Azure Local). It takes no key of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from avma_simulator.fields import Location
from avma_simulator.state.windows import AZURE_LOCAL, LOCAL_VERSIONS, VERSIONS

if TYPE_CHECKING:
    from avma_simulator.estate import Host, Vm

_OWN = {
    "server_key": "serverKey",
    "subscription": "subscription",
    "synced": "synced",
    "oem_license": "oemLicense",
    "module": "module",
    "opaque": "opaque",
}
_NOT = {
    "license": "license",
    "leftover_key": "leftoverKey",
    "leftover_status": "leftoverStatus",
    "leftover_evaluation": "leftoverEvaluation",
    "extended_security_updates": "extendedSecurityUpdates",
    "pay_as_you_go": "payAsYouGo",
}
_FIRST_SUBSCRIPTION, _FIRST_OEM = "21H2", "23H2"


def mistakes(
    known: Mapping[str, tuple[str, str]], location: Location, machine: Host | Vm
) -> Iterator[tuple[Location, str]]:
    """Yield each contradiction with its location. `known` maps each key to its version and edition."""
    given = machine.model_fields_set
    if machine.edition != AZURE_LOCAL:
        for name in _OWN.keys() & given:
            yield (*location, _OWN[name]), f"requires the edition {AZURE_LOCAL}, but the machine runs {machine.edition}"
        return
    for name in _NOT.keys() & given:
        yield (*location, _NOT[name]), f"is not available for {AZURE_LOCAL}. Use `serverKey` or `subscription`"
    if machine.version in LOCAL_VERSIONS:
        yield from _by_release(location, machine)
    key = getattr(machine, "server_key", None)
    if key is None:
        return
    version, edition = known.get(key, ("", ""))
    if edition != "Datacenter" or version not in VERSIONS[VERSIONS.index("2019") :]:
        yield (*location, "serverKey"), "must be a key for Windows Server Datacenter 2019 or later from `keys`"


def _by_release(location: Location, machine: Host | Vm) -> Iterator[tuple[Location, str]]:
    release, runs = LOCAL_VERSIONS.index(machine.version), f"but the machine runs {machine.version}"
    if getattr(machine, "subscription", False) and release < LOCAL_VERSIONS.index(_FIRST_SUBSCRIPTION):
        yield (*location, "subscription"), f"requires version {_FIRST_SUBSCRIPTION} or later, {runs}"
    if getattr(machine, "oem_license", False) and release < LOCAL_VERSIONS.index(_FIRST_OEM):
        yield (*location, "oemLicense"), f"requires version {_FIRST_OEM} or later, {runs}"
