"""The conversion between PowerShell objects and plain Python values."""

from __future__ import annotations

import queue
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psrpcore.types import (
    PSCredential,
    PSCustomObject,
    PSObject,
    PSSecureString,
    PSString,
)


@dataclass(frozen=True)
class SecureString:
    """A SecureString that the client encrypted with the session key."""

    text: str = field(repr=False)


@dataclass(frozen=True)
class Credential:
    """A PSCredential."""

    username: str
    password: str = field(repr=False)


_TYPE_NAMES: Mapping[type, str] = {
    SecureString: "System.Security.SecureString",
    Credential: "System.Management.Automation.PSCredential",
    dict: "System.Collections.Hashtable",
    list: "System.Object[]",
}
"""The types whose `ToString()` returns their name."""


def plain(value: Any) -> Any:
    """Return a received object as str, int, float, bool, bytes, list, dict, None, SecureString or Credential.

    Other objects become a dict of their properties. Text of other types, such as a GUID, becomes a str.

    Raises:
        ValueError: a SecureString cannot be decrypted.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, PSSecureString):
        return SecureString(_decrypted(value))
    if isinstance(value, PSCredential) or (isinstance(value, PSObject) and _is_credential(value)):
        return Credential(str(value.UserName), _decrypted(value.Password))
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, queue.Queue):
        return [plain(item) for item in value.queue]
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    properties = [*value.PSObject.adapted_properties, *value.PSObject.extended_properties]
    return {item.name: plain(item.get_value(value)) for item in properties} if properties else str(value)


def logged(parameters: Mapping[str, Any]) -> dict[str, str]:
    """Return parameters as module logging shows them: `ToString()`, and the elements of a list with commas.

    ParameterBinderBase.cs in PowerShell's source. A list inside a list is only its type. A dictionary is not a list
    (LanguagePrimitives.GetEnumerable).
    """
    return {name: _logged_value(value) for name, value in parameters.items()}


def _logged_value(value: Any) -> str:
    return ", ".join(map(_as_text, value)) if isinstance(value, list) else _as_text(value)


def _as_text(value: Any) -> str:
    """Return the result of `ToString()`."""
    name = next((name for kind, name in _TYPE_NAMES.items() if isinstance(value, kind)), None)
    return name or ("" if value is None else str(value))


def psobject(value: Any) -> Any:
    """Return a plain value as the object of a script. A dict becomes a PSCustomObject."""
    if isinstance(value, SecureString):
        return PSSecureString(value.text)
    if isinstance(value, Credential):
        return PSCredential(UserName=value.username, Password=PSSecureString(value.password))
    if isinstance(value, PSObject):
        return value
    if isinstance(value, Mapping):
        return PSCustomObject(**{str(key): psobject(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return [psobject(item) for item in value]
    return PSString(value) if isinstance(value, str) else value


def _is_credential(value: PSObject) -> bool:
    return "System.Management.Automation.PSCredential" in value.PSTypeNames


def _decrypted(value: Any) -> str:
    return str.__str__(value.decrypt()) if isinstance(value, PSSecureString) else str(value or "")
