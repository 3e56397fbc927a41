"""The differences between the stored and the wanted state of a HostLicense."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from avma import keys
from avma.addresses import canonical
from avma.properties import UNKNOWN, Values
from avma.resources.host_license.host_properties import HostLicenseInputs, LicenseSource, digits
from avma.resources.host_state import Platform
from avma.resources.resource import Change, Drift, Stored, input_changes
from avma.windows.licensing import LicenseStatus

_NORMAL: Mapping[str, Callable[[Any], Any]] = {
    "host": canonical,
    "product_key": keys.normalize,
    "confirmation_id": digits,
}
"""The normal forms for the comparison of inputs."""


def changes(stored: Stored, wanted: Values) -> list[Change]:
    """Return the differences."""
    found = list(input_changes(HostLicenseInputs, stored.inputs, wanted, _NORMAL))
    if _adopts(stored, wanted):
        found = [change for change in found if change.path != "product_key"]
    key_changes = any(change.path == "product_key" for change in found)
    return found + list(_drift(stored.outputs, wanted, key_changes))


def _adopts(stored: Stored, wanted: Values) -> bool:
    """Return True if a key is declared for the first time, and the host already has it."""
    key = wanted.get("product_key")
    return (
        stored.inputs.get("product_key") is None
        and isinstance(key, str)
        and stored.outputs.get("partial_product_key") == keys.partial(key)
    )


def _drift(outputs: Values, wanted: Values, key_changes: bool) -> Iterator[Change]:
    """Yield the properties of the license that no longer match."""

    def drift(name: str, value: Any) -> Change:
        return Change(name, drift=Drift(str(wanted.get("host")), outputs.get(name), value))

    key = wanted.get("product_key")
    if isinstance(key, str) and not key_changes and outputs.get("partial_product_key") != keys.partial(key):
        yield drift("partial_product_key", keys.partial(key))
    active = wanted.get("activate") in (None, True, UNKNOWN)
    subscribed = str(outputs.get("subscription_status")).lower() == "active"
    if wanted.get("license_source") == LicenseSource.SUBSCRIPTION and not subscribed:
        yield drift("subscription_status", "active")
    local = outputs.get("platform") == Platform.AZURE_LOCAL
    if active and not local and outputs.get("license_status") != LicenseStatus.LICENSED:
        yield drift("license_status", LicenseStatus.LICENSED.value)
    elif active and outputs.get("activates_guests") is False and outputs.get("hyper_v") is not False:
        # No key installs the Hyper-V role, so its absence is a warning and not drift.
        yield drift("activates_guests", True)
