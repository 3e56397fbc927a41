"""CIM instances as WS-Management carries them: a record of named values, read by the type that the caller expects.

The wire does not tell an array of one from a scalar, nor a null array from none at all, so the caller names the type.
Names are compared without regard to case, as WMI does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from avma.wsman.envelope import XSI, local_name


class BadValue(ValueError):
    """A property does not hold what its type says."""


class Instance:
    """The property values of one CIM instance, or the output parameters of one method call."""

    def __init__(self, values: dict[str, list[str | None]]) -> None:
        self._values = values

    def __repr__(self) -> str:
        return f"Instance({', '.join(sorted(self._values))})"

    @classmethod
    def from_element(cls, element: Element) -> Instance:
        """Read an instance, a column list (`XmlFragment`) or a method's output."""
        values: dict[str, list[str | None]] = {}
        for child in element:
            values.setdefault(local_name(child).lower(), []).append(_value(child))
        return cls(values)

    @classmethod
    def from_embedded(cls, text: str) -> Instance:
        """Read an embedded instance: CIM-XML text (DMTF DSP0201) in a string property.

        Raises:
            BadValue: the text is not CIM-XML.
        """
        try:
            root = fromstring(text)
        except (ParseError, DefusedXmlException, ValueError) as error:
            raise BadValue("an embedded instance is not CIM-XML") from error
        found = (p for p in root.iter() if local_name(p) == "PROPERTY")
        return cls({p.get("NAME", "").lower(): [_embedded_value(p)] for p in found})

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Instance:
        """Take values as JSON has them."""
        return cls({name.lower(): _texts(value) for name, value in values.items()})

    def text(self, name: str) -> str | None:
        """Return a string, a datetime or a reference as text; None when it is null or absent."""
        return next(iter(self._values.get(name.lower(), ())), None)

    def integer(self, name: str) -> int | None:
        """Return an integer; None when it is null or absent.

        Raises:
            BadValue: the value is not an integer.
        """
        value = self.text(name)
        try:
            return int(value) if value else None
        except ValueError as error:
            raise BadValue(f"{name} is not an integer") from error

    def boolean(self, name: str) -> bool | None:
        """Return a boolean; None when it is null or absent."""
        value = self.text(name)
        return None if value is None else value.strip().lower() in ("true", "1")

    def strings(self, name: str) -> tuple[str, ...]:
        """Return an array of strings; a null array is an empty one."""
        return tuple(value for value in self._values.get(name.lower(), ()) if value is not None)


def _value(element: Element) -> str | None:
    if element.get(f"{{{XSI}}}nil") in ("true", "1"):
        return None
    if len(element) == 0:
        return element.text or ""
    return "".join(element.itertext()).strip()


def _embedded_value(element: Element) -> str | None:
    value = next((child for child in element if local_name(child) == "VALUE"), None)
    return None if value is None else (value.text or "")


def _texts(value: Any) -> list[str | None]:
    return [_text(item) for item in value] if isinstance(value, list) else [_text(value)]


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)
