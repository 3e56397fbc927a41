"""A session configuration of PowerShell for JEA (Just Enough Administration). It permits only scripts of this package.

The sources are "JEA role capabilities", "JEA session configurations" and "JEA security considerations" at
learn.microsoft.com. A module has one function for each script, with the text of the script as its body. The role
capability permits these functions. The session runs in NoLanguage mode, under a virtual account. The bodies of
functions run in the language mode of the machine.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from avma.windows import azure_local, powershell
from avma.windows.powershell import literal

DEFAULT_NAME = "avma"
MODULE = "AvmaScripts"
"""The name of the module, and of its role capability."""
HYPER_V_ADMINISTRATORS = "Hyper-V Administrators"
"""The English name of the group. A session configuration takes names, and Windows translates them."""
_FOR_ADMINISTRATORS = (azure_local.SCRIPT,)
"""The scripts that need an administrator. On Windows Server, no script does."""
_NAMESPACE = uuid.UUID("3b0c2f0e-5f0d-4b7c-9a55-7d4f8c1be0a2")


@dataclass(frozen=True)
class SessionConfiguration:
    """A session configuration for some accounts.

    Attributes:
        name: the name under which the machine registers it.
        accounts: the users or groups that may use it, such as `LAB\\svc-avma`.
        azure_local: whether it also permits the script for Azure Local. The virtual account is then an administrator.
        hyper_v_administrators: the name of the group Hyper-V Administrators in the language of Windows.
    """

    name: str
    accounts: tuple[str, ...]
    azure_local: bool = False
    hyper_v_administrators: str = HYPER_V_ADMINISTRATORS

    @property
    def functions(self) -> list[str]:
        """The functions that the session permits."""
        return [powershell.load(script).function for script in self._scripts]

    def files(self) -> Mapping[str, str]:
        """Return the texts of the files by their relative paths."""
        return {
            f"{self.name}.pssc": self._session(),
            f"{MODULE}/{MODULE}.psd1": self._manifest(),
            f"{MODULE}/{MODULE}.psm1": self._module(),
            f"{MODULE}/RoleCapabilities/{MODULE}.psrc": self._role(),
        }

    @property
    def _scripts(self) -> list[str]:
        return [name for name in powershell.names() if self.azure_local or name not in _FOR_ADMINISTRATORS]

    def _session(self) -> str:
        roles = "; ".join(f"{literal(account)} = @{{ RoleCapabilities = '{MODULE}' }}" for account in self.accounts)
        # No TranscriptDirectory: a transcript would contain the key for Azure Local.
        entries = {
            "SchemaVersion": "'2.0.0.0'",
            "GUID": _guid(f"session/{self.name}"),
            "SessionType": "'RestrictedRemoteServer'",
            "ExecutionPolicy": "'RemoteSigned'",
            "RunAsVirtualAccount": "$true",
        }
        if not self.azure_local:
            entries["RunAsVirtualAccountGroups"] = literal(self.hyper_v_administrators)
        return _data_file(entries | {"RoleDefinitions": f"@{{ {roles} }}"})

    def _manifest(self) -> str:
        return _data_file(
            {
                "RootModule": f"'{MODULE}.psm1'",
                "ModuleVersion": "'1.0'",
                "GUID": _guid("module"),
                "PowerShellVersion": "'5.1'",
                "FunctionsToExport": _list(self.functions),
                "CmdletsToExport": "@()",
                "VariablesToExport": "@()",
                "AliasesToExport": "@()",
            }
        )

    def _module(self) -> str:
        scripts = (powershell.load(name) for name in self._scripts)
        return "\n".join(f"function {script.function} {{\n{script.text}}}\n" for script in scripts)

    def _role(self) -> str:
        # A restricted session does not find all modules by itself (PowerShell/JEA#42).
        modules = [MODULE, "Microsoft.PowerShell.Utility", "Hyper-V"]
        return _data_file(
            {
                "GUID": _guid("role"),
                "ModulesToImport": _list(modules),
                "VisibleFunctions": _list(f"{MODULE}\\{function}" for function in self.functions),
            }
        )


def _data_file(entries: Mapping[str, str]) -> str:
    lines = "".join(f"    {name} = {value}\n" for name, value in entries.items())
    return f"@{{\n{lines}}}\n"


def _list(items: Iterable[str]) -> str:
    return ", ".join(literal(item) for item in items)


def _guid(name: str) -> str:
    return f"'{uuid.uuid5(_NAMESPACE, name)}'"
