"""Facts about the states of a license: its status, the reason, and the time until it ends."""

from __future__ import annotations

from avma import hresult
from avma.windows.licensing import LicenseChannel
from avma.wsman.instance import parse_time
from avma_conformance.fact import Area, NotHere, Observation, On, equal, fact, true
from avma_conformance.licenses import (
    FIRST_GRACE,
    LICENSED,
    NOTIFICATION,
    activated_by_host,
    bought,
    channel,
    hexadecimal,
    in_state,
    without_key,
)
from avma_conformance.subject import CIMV2, Subject

_ERROR = 0x80000000
_DAY = 24 * 60


@fact(Area.LICENSING, "real listings: 0x4004F401, and 0x4004F040 for Office")
def licensed_license_has_no_error_as_reason(subject: Subject) -> Observation:
    """The reason of a licensed license is 0 or informational."""
    reason = in_state(subject, LICENSED).integer("LicenseStatusReason") or 0
    return true("a number below 0x80000000", reason < _ERROR, hexadecimal(reason))


@fact(Area.LICENSING, "slerror.h, slmgr.vbs")
def first_grace_period_is_its_own_reason(subject: Subject) -> Observation:
    """The reason of a license in its first grace period is 0x4004F00C."""
    return equal("0x4004F00C", hexadecimal(in_state(subject, FIRST_GRACE).integer("LicenseStatusReason")))


@fact(Area.LICENSING, "real listings: 0xC004F009, 0xC004F00F, 0xC004F056 and 0xC004FD01")
def notification_has_a_licensing_error_as_reason(subject: Subject) -> Observation:
    """The reason of a license in the state Notification is an error of the Software Protection Platform."""
    reason = in_state(subject, NOTIFICATION).integer("LicenseStatusReason") or 0
    return true("0xC004 and four digits", hresult.is_licensing(reason), hexadecimal(reason))


@fact(Area.LICENSING, "inferred: from the reason of such licenses")
def license_without_a_key_is_unlicensed(subject: Subject) -> Observation:
    """The status of a license without a key is 0."""
    return equal(0, without_key(subject).integer("LicenseStatus"))


@fact(Area.LICENSING, "Microsoft's Best Practices Analyzer for Volume Activation")
def license_without_a_key_gives_it_as_reason(subject: Subject) -> Observation:
    """The reason of a license without a key is 0xC004F014."""
    return equal("0xC004F014", hexadecimal(without_key(subject).integer("LicenseStatusReason")))


@fact(Area.LICENSING, "slmgr.vbs, which calls such a machine permanently activated")
def bought_license_does_not_end(subject: Subject) -> Observation:
    """GracePeriodRemaining is 0 for a license that a purchased key has activated."""
    row = bought(subject)
    if row.integer("LicenseStatus") != LICENSED:
        raise NotHere("the purchased key is not activated")
    return equal(0, row.integer("GracePeriodRemaining"))


@fact(Area.LICENSING, "inferred: from Microsoft's Volume Activation guide for 2008 R2")
def first_grace_period_lasts_at_most_thirty_days(subject: Subject) -> Observation:
    """GracePeriodRemaining is in minutes. The first grace period has 30 days at most."""
    return _minutes(in_state(subject, FIRST_GRACE).integer("GracePeriodRemaining"), 30)


@fact(Area.LICENSING, "inferred: from the description of the property in SppWmi")
def notification_has_no_time_left(subject: Subject) -> Observation:
    """GracePeriodRemaining is 0 in the state Notification."""
    return equal(0, in_state(subject, NOTIFICATION).integer("GracePeriodRemaining"))


@fact(Area.LICENSING, "slmgr.vbs, which prints the expiration of an automatic activation", on=On.GUEST)
def avma_license_ends(subject: Subject) -> Observation:
    """A license that a host has activated ends after a time."""
    _, row = activated_by_host(subject)
    left = row.integer("GracePeriodRemaining") or 0
    return true("more than 0 minutes", left > 0, f"{left} minutes")


@fact(Area.LICENSING, "inferred: from the figure that several web sites quote", on=On.GUEST)
def avma_license_lasts_at_most_seven_days(subject: Subject) -> Observation:
    """A license that a host has activated ends after seven days, unless it is renewed."""
    _, row = activated_by_host(subject)
    return _minutes(row.integer("GracePeriodRemaining"), 7)


@fact(Area.LICENSING, "slmgr.vbs, which prints the host machine name", on=On.GUEST)
def avma_license_names_its_host(subject: Subject) -> Observation:
    """AutomaticVMActivationHostMachineName is the computer name of the host, perhaps with its domain."""
    _, row = activated_by_host(subject)
    host = (subject.row("SELECT Name FROM Win32_ComputerSystem").text("Name") or "").lower()
    named = (row.text("AutomaticVMActivationHostMachineName") or "").lower()
    return equal("the host", "the host" if named.partition(".")[0] == host else "another name" if named else "nothing")


@fact(Area.LICENSING, "slmgr.vbs, which prints the activation time", on=On.GUEST)
def avma_license_has_an_activation_time(subject: Subject) -> Observation:
    """AutomaticVMActivationLastActivationTime of an activated guest is not later than the clock of the guest."""
    guest, row = activated_by_host(subject)
    query = "SELECT LocalDateTime FROM Win32_OperatingSystem"
    systems = guest.wmi.query(subject.context, CIMV2, query)
    now = parse_time(systems[0].text("LocalDateTime") or "") if systems else None
    when = row.time("AutomaticVMActivationLastActivationTime")
    if now is None:
        raise NotHere("the guest reports no time")
    return equal("a time in the past", "no time" if when is None else _tense(when <= now))


def _tense(past: bool) -> str:
    return "a time in the past" if past else "a time in the future"


@fact(Area.LICENSING, "KMS client documentation, slmgr.vbs")
def license_of_a_kms_host_lasts_at_most_180_days(subject: Subject) -> Observation:
    """A license that a KMS host has activated ends after 180 days, unless it is renewed."""
    row = in_state(subject, LICENSED)
    if channel(row) is not LicenseChannel.KMS_CLIENT:
        raise NotHere("no KMS host has activated the machine")
    return _minutes(row.integer("GracePeriodRemaining"), 180)


def _minutes(left: int | None, days: int) -> Observation:
    found = left or 0
    return true(f"1 to {days * _DAY} minutes", 0 < found <= days * _DAY, f"{found} minutes")
