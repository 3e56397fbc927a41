"""The machine of a stored resource. Before an update or a deletion changes a machine, it must be that one.

The name of a host can lead to another machine: after a change in DNS, a new address, or new hardware. Keys prove
nothing, because many hosts share one.
"""

from __future__ import annotations

from avma import errors
from avma.properties import Values
from avma.resources.resource import Operation
from avma.windows.computer import may_be_same
from avma.wording import NEXT_RUN, REFRESH, setting


def is_another(stored: Values, found: str) -> bool:
    """Return True if a machine is certainly not the stored one: the `machine_id` in the stored values.

    Older versions stored no identity. Then every machine can be the same. So can one with the same name, if only one of
    the two identities has a firmware UUID, because new firmware can report its first one.
    """
    before = str(stored.get("machine_id") or "")
    (name, _, firmware), (found_name, _, found_firmware) = before.partition("/"), found.partition("/")
    new_firmware = name == found_name and not (firmware and found_firmware)
    return bool(before) and not new_firmware and not may_be_same(before, found)


def another_machine(stored: Values, found: str, where: str, tried: str) -> errors.Refused | None:
    """Return the error for a machine that is certainly not the stored one. None if it can be the same."""
    if not is_another(stored, found):
        return None
    answer = f"the machine {found} answers there, and this resource is the machine {stored['machine_id']}"
    remedy = (
        f"check the name in DNS, and {setting('connection')}; if the machine {found} takes its place, {REFRESH}, so "
        "that the state describes that machine"
    )
    return errors.Refused(tried, where, answer, remedy)


def require_stored_machine(stored: Values, found: str, where: str, tried: str) -> None:
    """Raise Refused if a machine is certainly not the stored one."""
    error = another_machine(stored, found, where, tried)
    if error is not None:
        raise error


def warn_of_another_machine(stored: Values, found: str, name: str, operation: Operation) -> None:
    """Warn in a refresh if the state is going to describe another machine than before."""
    if is_another(stored, found):
        operation.warn(
            f"{name}: the machine {found} answers there, and this resource was the machine {stored['machine_id']}. The "
            f"state now describes the machine {found}, so {NEXT_RUN} and a deletion change that machine. If this is "
            f"wrong, correct the name in DNS or {setting('connection')}, and {REFRESH} again"
        )
