"""Times in WMI: the WS-Management and DMTF formats, with any offset. Fractions in WS-Management have any length."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_XS = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?"  # MS-WSMV 2.2.4, xs:dateTime
)
_DMTF = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.(\d{6})([+-]\d{3})")  # DSP0004 5.2.4
_NEVER = datetime(1601, 1, 2, tzinfo=timezone.utc)
"""The limit for "never". Windows writes 1601-01-01 for it. With an offset, it may be the day before."""


def parse(text: str) -> datetime | None:
    """Return a time in UTC. None if the text is not a time or stands for "never"."""
    found = _XS.fullmatch(text.strip()) or _DMTF.fullmatch(text.strip())
    if found is None:
        return None
    *numbers, fraction, zone = found.groups()
    try:
        year, month, day, hour, minute, second = (int(number) for number in numbers)
        local = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
        moment = local + timedelta(microseconds=int(f"{fraction or ''}000000"[:6])) - _offset(zone)
    except (ValueError, OverflowError):
        return None
    return moment if moment >= _NEVER else None


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone == "Z":
        return timedelta()
    sign = -1 if zone[0] == "-" else 1
    if ":" in zone:
        hours, minutes = zone[1:].split(":")
        return sign * timedelta(hours=int(hours), minutes=int(minutes))
    return sign * timedelta(minutes=int(zone[1:]))
