"""HRESULTs of the Software Protection Platform, WMI and WS-Management: their names, meanings and remedies.

Windows' own text is localized and often missing on Server Core. So the number decides, and the table explains it.
"""

from __future__ import annotations

from avma.hresult_table import CHECK_KEY, ELEVATE, ONLINE, REMOTE_ADMINISTRATORS, TABLE, Again, HResult

__all__ = [
    "CHECK_KEY",
    "ELEVATE",
    "ONLINE",
    "REMOTE_ADMINISTRATORS",
    "Again",
    "HResult",
    "by_name",
    "canonical",
    "codes",
    "describe",
    "facility",
    "is_licensing",
    "known",
    "lookup",
]

_BY_VALUE = {entry.value: entry for entry in TABLE}
_LOOK = "check the event logs of the machine (Application, and Microsoft-Windows-WMI-Activity/Operational)"
_WIN32 = 0x80070000
_NT_BIT = 0x10000000
_LICENSING = 0xC004
_FACILITIES = {
    _LICENSING: "the Software Protection Platform",
    0xC000: "Windows (NTSTATUS)",
    0xC002: "RPC (NTSTATUS)",
    0x8001: "RPC",
    0x8004: "WMI or COM",
    0x8007: "Windows (Win32)",
    0x8008: "COM",
    0x8009: "Windows security",
    0x8033: "WS-Management",
}


def codes() -> tuple[HResult, ...]:
    """Return all entries of the table."""
    return TABLE


def canonical(value: int) -> int:
    """Return the HRESULT of a number in any of the forms that Windows uses.

    The forms are signed and unsigned HRESULTs, Win32 error codes, and NTSTATUS values inside an HRESULT.
    """
    unsigned = value & 0xFFFFFFFF
    if 0 < unsigned <= 0xFFFF:
        return _WIN32 | unsigned
    # HRESULT_FROM_NT sets the bit that distinguishes an NTSTATUS from an HRESULT
    return unsigned & ~_NT_BIT if unsigned >> 28 == 0xD else unsigned


def lookup(value: int) -> HResult:
    """Return the entry of a number. If the table lacks it, return an entry without a name."""
    number = canonical(value)
    unknown = HResult(number, "", f"an error of {facility(number)}", _LOOK)
    return _BY_VALUE.get(number, unknown)


def describe(value: int, said: str = "") -> str:
    """Return the number with its name and meaning, or with Windows' own text if the table lacks it."""
    entry = lookup(value)
    if entry.name or not said:
        return str(entry)
    return f"0x{entry.value:08X}: {said}"


def facility(value: int) -> str:
    """Return the part of Windows that an HRESULT comes from."""
    return _FACILITIES.get(canonical(value) >> 16, "Windows")


def is_licensing(value: int) -> bool:
    """Return True for numbers of the Software Protection Platform: facility 4 with the customer bit (slerror.h)."""
    return canonical(value) >> 16 == _LICENSING


def known(value: int) -> bool:
    """Return True if the table contains the number."""
    return canonical(value) in _BY_VALUE


def by_name(name: str) -> HResult:
    """Return the entry with that symbolic name.

    Raises:
        KeyError: the table has no such name.
    """
    return {entry.name: entry for entry in TABLE}[name]
