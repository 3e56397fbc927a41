"""CIM classes and instances: names, keys, typed properties and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

Value = str | bool | int | datetime | tuple[str, ...] | tuple[int, ...] | None

_TYPES: dict[str, type] = {
    "string": str,
    "boolean": bool,
    "sint16": int,
    "uint16": int,
    "uint32": int,
    "uint64": int,
    "datetime": datetime,
    "strings": tuple,
    "uint16s": tuple,
}


@dataclass(frozen=True, eq=False)
class CimClass:
    """A class: its namespace such as `root/cimv2`, its name, its keys, the types of its properties, and its base."""

    namespace: str
    name: str
    keys: tuple[str, ...]
    properties: Mapping[str, type]
    base: CimClass | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the class and of its base."""
        return (self.name,) if self.base is None else (self.name, self.base.name)

    def property_name(self, name: str) -> str | None:
        """Return the declared spelling of a property's name, or None. Case is ignored."""
        return next((declared for declared in self.properties if declared.lower() == name.lower()), None)

    def has_keys(self, names: Iterable[str]) -> bool:
        """Return True if every name is a key of the class."""
        return {name.lower() for name in names} <= {key.lower() for key in self.keys}


def declare(namespace: str, name: str, keys: str, base: CimClass | None = None, **properties: str) -> CimClass:
    """Declare a class. Each keyword argument lists the names of all properties of one CIM type.

    `strings` and `uint16s` are arrays.
    """
    typed = {name: _TYPES[cim_type] for cim_type, names in properties.items() for name in names.split()}
    return CimClass(namespace, name, tuple(keys.split()), dict(sorted(typed.items())), base)


@dataclass(frozen=True)
class Instance:
    """An instance. A property without a value is null."""

    cim_class: CimClass
    values: Mapping[str, Value]

    def get(self, name: str) -> Value:
        """Return the value of a declared property."""
        return self.values.get(name)

    def matches(self, selectors: Mapping[str, str], all_keys: bool = True) -> bool:
        """Return True if the selectors match the keys: all keys, or a subset if `all_keys` is False."""
        given = {name.lower(): value.lower() for name, value in selectors.items()}
        own = {key.lower(): str(self.get(key)).lower() for key in self.cim_class.keys}
        return given == own if all_keys else given.items() <= own.items()
