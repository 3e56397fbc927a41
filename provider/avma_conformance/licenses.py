"""The licenses of a machine under observation, its published keys, and calls that Windows must reject."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from avma import keys
from avma.keys import KeyKind, PublishedKey
from avma.windows.licensing import BOUGHT, WINDOWS, LicenseChannel
from avma.windows.machine import GuestMachine
from avma.wsman import envelope
from avma.wsman.envelope import CimMethod, local_name
from avma.wsman.instance import Instance
from avma_conformance.fact import NotHere
from avma_conformance.fault_form import NO_FAULT, FaultForm, fault_form
from avma_conformance.subject import CIMV2, Subject

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SERVICE, PRODUCT = "SoftwareLicensingService", "SoftwareLicensingProduct"
MISSING_ID = "00000000-0000-0000-0000-000000000000"
"""The ID of no license."""
_COLUMNS = (
    "SELECT ID,Description,LicenseFamily,LicenseStatus,LicenseStatusReason,PartialProductKey,ProductKeyChannel,"
    "GracePeriodRemaining,LicenseIsAddon,AutomaticVMActivationHostMachineName,AutomaticVMActivationLastActivationTime "
    f"FROM {PRODUCT} WHERE ApplicationID = '{WINDOWS}'"
)
_REPAIR = "Install your key again with `slmgr /ipk KEY`, and activate it with `slmgr /ato`"
LICENSED, FIRST_GRACE, NOTIFICATION = 1, 2, 5
"""Values of `LicenseStatus`."""


def licenses(subject: Subject) -> list[Instance]:
    """Return all licenses of Windows, with and without a key."""
    return subject.query(_COLUMNS)


def with_keys(subject: Subject) -> list[Instance]:
    """Return the licenses of Windows and of its add-ons that have a key."""
    return subject.query(f"{_COLUMNS} AND PartialProductKey IS NOT NULL")


def installed(subject: Subject) -> Instance:
    """Return the license of Windows with the installed key. A licensed one comes first.

    Raises:
        NotHere: no key is installed.
    """
    return _installed(with_keys(subject))


def without_key(subject: Subject) -> Instance:
    """Return a license of Windows without a key.

    Raises:
        NotHere: all licenses have keys.
    """
    rows = [row for row in licenses(subject) if not row.text("PartialProductKey") and not row.boolean("LicenseIsAddon")]
    if not rows:
        raise NotHere("each license of Windows has a key")
    return rows[0]


def in_state(subject: Subject, status: int) -> Instance:
    """Return the installed license if it has that `LicenseStatus`.

    Raises:
        NotHere: the license has another one.
    """
    row = installed(subject)
    if row.integer("LicenseStatus") != status:
        raise NotHere(f"the license status is {row.integer('LicenseStatus')}")
    return row


def bought(subject: Subject) -> Instance:
    """Return the installed license if its key is a purchased one.

    Raises:
        NotHere: the key has another channel.
    """
    row = installed(subject)
    if channel(row) not in BOUGHT:
        raise NotHere("the installed key is not a MAK, retail or OEM key")
    return row


def activated_by_host(subject: Subject) -> tuple[GuestMachine, Instance]:
    """Return a guest and its license, if its Hyper-V host has activated it.

    Raises:
        NotHere: no host activated it.
    """
    guest = subject.guest
    row = _installed(guest.wmi.query(subject.context, CIMV2, f"{_COLUMNS} AND PartialProductKey IS NOT NULL"))
    if channel(row) is not LicenseChannel.AVMA or row.integer("LicenseStatus") != LICENSED:
        raise NotHere("the guest is not activated with an AVMA key")
    return guest, row


def _installed(rows: list[Instance]) -> Instance:
    own = [row for row in rows if not row.boolean("LicenseIsAddon")]
    if not own:
        raise NotHere("no key is installed")
    return min(own, key=lambda row: row.integer("LicenseStatus") != LICENSED)


def channel(row: Instance) -> LicenseChannel:
    """Return the channel in the Description of a license."""
    description = row.text("Description") or ""
    return next((each for each in LicenseChannel if each.value in description), LicenseChannel.OTHER)


def hexadecimal(number: int | None) -> str:
    """Return a number as errors quote it."""
    return "nothing" if number is None else f"0x{number:08X}"


def version_of_service(subject: Subject) -> dict[str, str]:
    """Return the key property of the licensing service."""
    return {"Version": subject.row(f"SELECT Version FROM {SERVICE}").text("Version") or ""}


def installed_published_key(subject: Subject) -> PublishedKey:
    """Return the installed key, if Microsoft publishes it. Only the last five characters of other keys are known.

    Raises:
        NotHere: another key is installed.
    """
    partial, system = installed(subject).text("PartialProductKey"), subject.server.system(subject.deadline)
    found = [each for each in keys.AVMA_KEYS + keys.KMS_CLIENT_KEYS if each.partial == partial]
    if not found or found[0].edition != system.edition:
        raise NotHere("the installed key is not a published one")
    return found[0]


def key_of_another_release(subject: Subject) -> str:
    """Return a published key that this release cannot accept.

    No release knows the keys of a later one. 2022 and later have no edition Essentials, so no license can take its key.
    """
    without_essentials = subject.server.system(subject.deadline).build >= _FIRST_WITHOUT_ESSENTIALS
    edition = ("2012 R2", "Essentials") if without_essentials else ("2025", "Datacenter Azure Edition")
    return _published(*edition)


_FIRST_WITHOUT_ESSENTIALS = 20348


def key_of_this_release(subject: Subject, edition: str) -> str:
    """Return the AVMA key of an edition of the machine's release.

    Raises:
        NotHere: Microsoft publishes none.
    """
    return _published(subject.server.system(subject.deadline).version, edition)


def _published(version: str, edition: str) -> str:
    found = keys.find(KeyKind.AVMA, version, edition)
    if found is None:
        raise NotHere(f"Microsoft publishes no AVMA key for {version} {edition}")
    return found.key


def install(subject: Subject, key: str) -> FaultForm | str:
    """Request the installation of a key, and return the fault."""
    return call(subject, SERVICE, "InstallProductKey", version_of_service(subject), {"ProductKey": key})


def call(
    subject: Subject, cim_class: str, name: str, selectors: Mapping[str, str], parameters: Mapping[str, str]
) -> FaultForm | str:
    """Call a method once, and return its fault, or `NO_FAULT`."""
    return fault_form(answer(subject, cim_class, name, selectors, parameters)) or NO_FAULT


def answer(
    subject: Subject, cim_class: str, name: str, selectors: Mapping[str, str], parameters: Mapping[str, str]
) -> Element:
    """Call a method once, and return the whole answer."""
    return subject.exchange(envelope.invoke(CimMethod(CIMV2, cim_class, name), selectors, parameters))


@dataclass
class Unchanged:
    """The licenses of a machine before a call that must change nothing. `accepted`: the call did not fail."""

    subject: Subject
    accepted: bool = False

    def __post_init__(self) -> None:
        self._before = self._state()

    def note(self) -> str:
        """Return an addition to the found value: empty if the licenses are the same as before."""
        return "" if self._state() == self._before else ", and the licenses of the machine changed"

    def partial_keys(self) -> str:
        """Return the last characters of the keys before the call."""
        return ", ".join(sorted(key for _, key, _ in self._before if key)) or "none"

    def _state(self) -> set[tuple[str | None, ...]]:
        columns = ("ID", "PartialProductKey", "LicenseStatus")
        return {tuple(row.text(each) for each in columns) for row in with_keys(self.subject)}


@contextlib.contextmanager
def must_reject(subject: Subject) -> Iterator[Unchanged]:
    """Stop all further changes of the run if the licenses changed in the block."""
    unchanged = Unchanged(subject)
    try:
        yield unchanged
    finally:
        if unchanged.accepted or unchanged.note():
            subject.warn(
                f"Before, the last characters of the installed keys were: {unchanged.partial_keys()}. {_REPAIR}"
            )


def rejected_key(subject: Subject, key: str, unchanged_note: str = "") -> str:
    """Return the number of the fault for a key that Windows must reject, and any change of the licenses."""
    with must_reject(subject) as unchanged:
        fault = install(subject, key)
        unchanged.accepted = fault == NO_FAULT
        return f"{number(fault)}{unchanged.note() or unchanged_note}"


def install_rejected(subject: Subject, key: str) -> FaultForm | str:
    """Request the installation of a key that Windows must reject, and return the fault."""
    with must_reject(subject) as unchanged:
        fault = install(subject, key)
        unchanged.accepted = fault == NO_FAULT
        return fault


def rejected_call(
    subject: Subject, name: str, license_id: str, parameters: Mapping[str, str] | None = None
) -> tuple[FaultForm | str, str]:
    """Return the fault for a method of a license that Windows must reject, and any change of the licenses."""
    with must_reject(subject) as unchanged:
        fault = call(subject, PRODUCT, name, {"ID": license_id}, parameters or {})
        return fault, unchanged.note()


def number(fault: FaultForm | str) -> str:
    """Return the number of a fault."""
    return fault if isinstance(fault, str) else hexadecimal(fault.number)


def value_of(found: Element, name: str) -> str | None:
    """Return the text of the first element of that name, or None without one."""
    return next((each.text or "" for each in found.iter() if local_name(each) == name), None)
