"""The texts in the tables of an inventory, shared by all output formats with tables."""

from __future__ import annotations

from dataclasses import dataclass

from avma import compatibility
from avma.inventory.inventory import Answer, Inventory, Seen, SeenHost, SeenVm


@dataclass(frozen=True)
class Verdict:
    """The status of a machine at a glance: a sign that works without color, a word, and a kind for styles."""

    sign: str
    word: str
    kind: str


_GOOD, _BAD, _OPEN, _IDLE = "good", "bad", "open", "idle"
_UNASKED = {
    Answer.DOWN: Verdict("!", "Down", _BAD),
    Answer.FAILED: Verdict("?", "Not read", _OPEN),
    Answer.OFF: Verdict("○", "Off", _IDLE),
    Answer.NOT_ASKED: Verdict("○", "Not queried", _IDLE),
}


def verdict(seen: Seen) -> Verdict:
    """Return the status of a machine at a glance."""
    if seen.license_status is None:
        return _UNASKED.get(seen.answer, Verdict("?", "Not read", _OPEN))
    if isinstance(seen, SeenHost):
        return Verdict("✓", "Licensed", _GOOD) if seen.covered else Verdict("✗", _why_not(seen), _BAD)
    if isinstance(seen, SeenVm) and seen.activated:
        return Verdict("✓", "Activated", _GOOD)
    if seen.licensed:
        return Verdict("✓", "Licensed without AVMA", _GOOD)
    return Verdict("✗", "Not licensed", _BAD)


def _why_not(host: SeenHost) -> str:
    return "Cannot activate guests" if host.licensed else "Not licensed"


def system(version: str | None, edition: str | None) -> str:
    """Return release and edition, empty if both are unknown."""
    return " ".join(part for part in (version, edition) if part)


def guest_system(vm: SeenVm) -> str:
    """Return the system in a VM, from the guest itself or from its Data Exchange."""
    return system(vm.guest_version, vm.guest_edition) or vm.guest_os or ""


def time(text: str | None) -> str:
    """Return an ISO 8601 time in readable form, to the minute, empty if unknown."""
    return text[:16].replace("T", " ") if text else ""


def key(seen: Seen) -> str:
    """Return the last five characters of the key. A report never shows more."""
    return f"…{seen.partial_product_key}" if seen.partial_product_key else ""


def channel(seen: Seen) -> str:
    """Return the channel of the key, as named by WMI."""
    return seen.license_channel.value if seen.license_channel else ""


def note(seen: Seen) -> str:
    """Return why the license status is unknown, or the status in the words of WMI if the machine is not licensed."""
    if seen.problem or seen.license_status is None or seen.licensed:
        return seen.problem or ""
    return f"the license status is {seen.license_status.value}"


def sentences(problem: str, remedy: str | None) -> str:
    """Return a problem and its remedy as sentences."""
    return f"{problem.rstrip('.')}. {remedy}" if remedy else problem


@dataclass(frozen=True)
class Summary:
    """The numbers above the tables."""

    hosts: int
    hosts_answered: int
    hosts_licensed: int
    vms: int
    vms_licensed: int
    vms_unlicensed: int
    vms_unread: int
    vms_off: int


def summary(inventory: Inventory) -> Summary:
    """Return the numbers of an inventory."""
    vms = [vm for _, vm in inventory.vms]
    read = [vm for vm in vms if vm.license_status is not None]
    licensed = sum(vm.licensed for vm in read)
    off = sum(vm.answer is Answer.OFF for vm in vms)
    return Summary(
        hosts=len(inventory.hosts),
        hosts_answered=sum(host.license_status is not None for host in inventory.hosts),
        hosts_licensed=sum(host.license_status is not None and host.covered for host in inventory.hosts),
        vms=len(vms),
        vms_licensed=licensed,
        vms_unlicensed=len(read) - licensed,
        vms_unread=len(vms) - len(read) - off,
        vms_off=off,
    )


def matrix(inventory: Inventory) -> dict[tuple[str, str], int]:
    """Count the VMs for each pair of host release and guest release, if both are known."""
    counted: dict[tuple[str, str], int] = {}
    for host, vm in inventory.vms:
        pair = host.os_version or "", vm.guest_version or ""
        if all(version in compatibility.VERSIONS for version in pair):
            counted[pair] = counted.get(pair, 0) + 1
    return counted
