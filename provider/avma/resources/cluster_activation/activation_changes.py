"""The differences between the stored and the wanted state of a ClusterActivation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from avma.addresses import canonical
from avma.properties import Values
from avma.resources.cluster_activation.activation_properties import (
    ActivationState,
    ClusterActivationInputs,
    UnreadGuests,
)
from avma.resources.resource import Change, Drift, Stored, input_changes


def _lower_set(entries: list[str]) -> list[str]:
    return sorted({entry.lower() for entry in entries})


def _host_set(hosts: list[str]) -> list[str]:
    return sorted({canonical(host) for host in hosts})


_NORMAL: Mapping[str, Callable[[Any], Any]] = {
    "cluster": canonical,
    "hosts": _host_set,
    "include": _lower_set,
    "exclude": _lower_set,
}
"""The normal forms for the comparison of inputs."""


def changes(stored: Stored, wanted: Values) -> list[Change]:
    """Return the differences."""
    return [*input_changes(ClusterActivationInputs, stored.inputs, wanted, _NORMAL), *_drift(stored.outputs, wanted)]


def _drift(outputs: Values, wanted: Values) -> Iterator[Change]:
    """Yield the state of each guest to activate, and of each guest that the user wants to be an error."""
    wrong = {ActivationState.NOT_ACTIVATED.value}
    if wanted.get("unreachable_guests") == UnreadGuests.FAIL.value:
        wrong.add(ActivationState.UNREACHABLE.value)
    if wanted.get("stopped_guests") == UnreadGuests.FAIL.value:
        wrong.add(ActivationState.STOPPED.value)
    for index, guest in enumerate(outputs.get("guest_activations") or []):
        state, reason = guest.get("state"), guest.get("reason")
        if state in wrong:
            found = f"{state} ({reason})" if reason else state
            name = str(guest.get("vm_name"))
            yield Change(f"guest_activations[{index}].state", drift=Drift(name, found, ActivationState.ACTIVATED.value))
