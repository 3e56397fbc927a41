"""Session configurations of PowerShell for JEA, read from their files: `.pssc`, `.psrc` and the module of functions.

The rules are those of "JEA session configurations" and "JEA role capabilities" at learn.microsoft.com. The module must
be in a folder beside the session configuration.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avma_simulator.state import data_files
from avma_simulator.state.groups import ADMINISTRATORS, Groups

_FUNCTION = re.compile(r"^function ([\w-]+) \{\s*\n# avma-script: ([a-z0-9-]+) ([0-9]+)", re.MULTILINE)


_ABOUT = frozenset({"GUID", "Author", "Description", "CompanyName", "Copyright"})
_SESSION_KEYS = _ABOUT | {
    "SchemaVersion",
    "SessionType",
    "ExecutionPolicy",
    "RunAsVirtualAccount",
    "RunAsVirtualAccountGroups",
    "RoleDefinitions",
}
_ROLE_KEYS = _ABOUT | {"ModulesToImport", "VisibleFunctions"}
"""The keys of a session and of a role with an effect here, or without any effect. Others could permit more."""


class NotASessionConfiguration(Exception):
    """The files do not make a session configuration for JEA."""


@dataclass(frozen=True)
class SessionConfiguration:
    """A registered session configuration.

    Attributes:
        name: its name.
        accounts: the users that may open a session.
        groups: the groups of the virtual account.
        functions: the script of each visible function, by its lowercase name.
    """

    name: str
    accounts: tuple[str, ...]
    groups: Groups
    functions: Mapping[str, tuple[str, str]]


def load(file: str) -> SessionConfiguration:
    """Return the session configuration in a file. Its name is that of the file.

    Raises:
        NotASessionConfiguration: the file or its role is missing, or not one for JEA.
    """
    path = Path(file)
    session = _read(path, _SESSION_KEYS)
    if "SchemaVersion" not in session:
        raise NotASessionConfiguration("it has no SchemaVersion")
    if session.get("SessionType") != "RestrictedRemoteServer" or session.get("RunAsVirtualAccount") is not True:
        raise NotASessionConfiguration("it has no restricted session with a virtual account")
    definitions: Mapping[str, Any] = session.get("RoleDefinitions") or {}
    roles = {role for given in definitions.values() for role in data_files.listed(given.get("RoleCapabilities"))}
    return SessionConfiguration(
        path.stem,
        tuple(definitions),
        frozenset(data_files.listed(session.get("RunAsVirtualAccountGroups"))) or frozenset({ADMINISTRATORS}),
        {name.lower(): script for role in roles for name, script in _functions(path.parent, role)},
    )


def _functions(directory: Path, role: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield the functions that a role makes visible, with their scripts."""
    found = next(directory.glob(f"*/RoleCapabilities/{role}.psrc"), None)
    if found is None:
        raise NotASessionConfiguration(f"no module beside it has the role {role}")
    module = found.parent.parent
    listed = data_files.listed(_read(found, _ROLE_KEYS).get("VisibleFunctions"))
    visible = {name.removeprefix(f"{module.name}\\") for name in listed}
    manifest = _read(module / f"{module.name}.psd1")
    exported = visible.intersection(data_files.listed(manifest.get("FunctionsToExport")))
    for name, script, version in _FUNCTION.findall(_text(module / str(manifest.get("RootModule")))):
        if name in exported:
            yield name, (script, version)


def _read(path: Path, modeled: frozenset[str] | None = None) -> Mapping[str, Any]:
    try:
        table = data_files.parse(_text(path))
    except ValueError as error:
        raise NotASessionConfiguration(f"{path.name} cannot be read: {error}") from None
    others = table.keys() - (modeled or table.keys())
    if others:
        raise NotASessionConfiguration(f"{path.name} has keys that the simulator does not have: {', '.join(others)}")
    return table


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise NotASessionConfiguration(f"{path.name} cannot be read: {error}") from None
