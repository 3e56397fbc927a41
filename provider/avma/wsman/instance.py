"""CIM instances from WS-Management: records of named values.

Messages do not distinguish an array of one value from a scalar, or a null array from an absent one. So the caller
chooses the type. Names are compared without regard to case, as in WMI.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from avma import errors
from avma.context import Context
from avma.wsman import safe_xml
from avma.wsman.envelope import XSI, local_name

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_WORDS = {"true": True, "1": True, "false": False, "0": False}
_REMEDY = "read the class on the machine with `Get-CimInstance`; if its values are correct there, report a bug"
_XS = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)?"  # MS-WSMV 2.2.4, xs:dateTime
)
_DMTF = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.(\d{6})([+-]\d{3})")  # DSP0004 5.2.4
_NEVER = datetime(1601, 1, 2, tzinfo=timezone.utc)
"""The limit for "never". Windows writes 1601-01-01 for it. With an offset, it may be the day before."""


class Instance:
    """The property values of one CIM instance, or the output parameters of one method call.

    `context` is that of the request. Errors about the values contain it.
    """

    def __init__(self, values: dict[str, list[str | None]], context: Context) -> None:
        self._values = values
        self._context = context

    def __repr__(self) -> str:
        return f"Instance({', '.join(sorted(self._values))})"

    @classmethod
    def from_element(cls, element: Element, context: Context) -> Instance:
        """Read an instance, a column list (`XmlFragment`) or the output of a method."""
        values: dict[str, list[str | None]] = {}
        for child in element:
            values.setdefault(local_name(child).lower(), []).append(_value(child))
        return cls(values, context)

    @classmethod
    def from_embedded(cls, text: str, context: Context) -> Instance:
        """Read an embedded instance: CIM-XML text (DMTF DSP0201) in a string property.

        Raises:
            UnexpectedAnswer: the text is not CIM-XML.
        """
        try:
            root = safe_xml.parse(text)
        except safe_xml.Rejected as error:
            raise _unexpected(context, "an embedded instance is not CIM-XML") from error
        if local_name(root) != "INSTANCE":
            raise _unexpected(context, "an embedded instance is not CIM-XML")
        properties = (child for child in root if local_name(child).startswith("PROPERTY"))
        return cls({p.get("NAME", "").lower(): _embedded_values(p) for p in properties}, context)

    @classmethod
    def from_values(cls, values: Mapping[str, Any], context: Context) -> Instance:
        """Create an instance from JSON values."""
        return cls({name.lower(): _texts(value) for name, value in values.items()}, context)

    def text(self, name: str) -> str | None:
        """Return a string, a datetime or a reference as text, or None if it is null or absent."""
        return next(iter(self._values.get(name.lower(), ())), None)

    def integer(self, name: str) -> int | None:
        """Return an integer, or None if it is null or absent.

        Raises:
            UnexpectedAnswer: the value is not an integer.
        """
        value = self.text(name)
        try:
            return int(value) if value else None
        except ValueError as error:
            raise _unexpected(self._context, f"{name} is not an integer") from error

    def boolean(self, name: str) -> bool | None:
        """Return a boolean, or None if it is null or absent.

        Raises:
            UnexpectedAnswer: the value is not a boolean.
        """
        value = (self.text(name) or "").strip().lower()
        if value and value not in _WORDS:
            raise _unexpected(self._context, f"{name} is not a boolean")
        return _WORDS.get(value)

    def time(self, name: str) -> datetime | None:
        """Return a datetime in UTC. None if it is null, absent or "never", or not a time."""
        return parse_time(self.text(name) or "")

    def strings(self, name: str) -> tuple[str, ...]:
        """Return an array of strings. A null array is empty."""
        return tuple(value for value in self._values.get(name.lower(), ()) if value is not None)

    def embedded(self, name: str) -> tuple[Instance, ...]:
        """Return an array of embedded instances. A null array is empty.

        Raises:
            UnexpectedAnswer: one of them is not CIM-XML.
        """
        return tuple(Instance.from_embedded(text, self._context) for text in self.strings(name))


def _unexpected(context: Context, answer: str) -> errors.UnexpectedAnswer:
    return context.error(errors.UnexpectedAnswer, answer, _REMEDY)


def _value(element: Element) -> str | None:
    if element.get(f"{{{XSI}}}nil") in ("true", "1"):
        return None
    if len(element) == 0:
        return element.text or ""
    return "".join(element.itertext()).strip()


def _embedded_values(element: Element) -> list[str | None]:
    """Return the values of a PROPERTY, or of each item of a PROPERTY.ARRAY. They are never null."""
    return [value.text or "" for value in element.iter() if local_name(value) == "VALUE"]


def _texts(value: Any) -> list[str | None]:
    return [_text(item) for item in value] if isinstance(value, list) else [_text(value)]


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def parse_time(text: str) -> datetime | None:
    """Return a time of WMI in UTC, from the WS-Management or the DMTF format, with any offset.

    None if the text is not a time, or stands for "never".
    """
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
