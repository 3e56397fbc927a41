"""The machine of a stored resource. Before an update or a deletion changes a machine, it must be that one.

The name of a host can lead to another machine: after a change in DNS, a new address, or new hardware. Keys prove
nothing, because many hosts share one. The name of a cluster can lead to another cluster, whose nodes all seem new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


def another_cluster(
    stored: Sequence[Values], found: Mapping[str, str | None], where: str, tried: str
) -> errors.Refused | None:
    """Return the error if none of the nodes that a cluster reports is one of the stored nodes. None if one can be.

    A node is a stored one by its name or by its identity. Without an identity, its name alone counts.

    Args:
        stored: the stored nodes. Older versions stored no identity.
        found: the identities of the reported nodes, by name. None for a node that could not be read.
        where: the cluster.
        tried: the purpose as a verb phrase.
    """
    names = {str(node.get("node")) for node in stored}
    identified = [node for node in stored if node.get("machine_id")]
    read = [identity for identity in found.values() if identity is not None]
    is_known = any(not is_another(node, identity) for node in identified for identity in read)
    if not identified or not read or is_known or names & found.keys():
        return None
    before, now = ", ".join(sorted(names)), ", ".join(sorted(found))
    answer = f"the cluster with the nodes {now} answers there, and this resource has the nodes {before}"
    remedy = (
        f"check the name in DNS, {setting('cluster')} and {setting('connection')}; if the nodes {now} take the place "
        f"of the others, {REFRESH}, so that the state describes them"
    )
    return errors.Refused(tried, where, answer, remedy)


def warn_of_another_cluster(error: errors.Refused, operation: Operation) -> None:
    """Warn in a refresh that the state is going to describe another cluster than before."""
    operation.warn(
        f"{error.where}: {error.answer}. The state now describes the nodes that answer, so {NEXT_RUN} changes them. If "
        f"this is wrong, correct the name in DNS, {setting('cluster')} or {setting('connection')}, and {REFRESH} again"
    )
