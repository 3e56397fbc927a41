"""The files of a session configuration for JEA: valid PowerShell, and nothing but the scripts of the package."""

from __future__ import annotations

import re
import uuid

import pytest
import tree_sitter
import tree_sitter_powershell

from avma.windows import powershell
from avma.windows.session_configuration import MODULE, SessionConfiguration
from avma_simulator.state import data_files

GUESTS = SessionConfiguration("avma", ("LAB\\svc-avma",))
AZURE_LOCAL = SessionConfiguration("avma", ("LAB\\svc-avma", "HV01\\o'neil"), azure_local=True)
FRENCH = SessionConfiguration("avma", ("LAB\\l\u2019admin",))
CONSTRAINED = ("Get-Command", "Get-FormatData", "Get-Help", "Measure-Object", "Out-Default", "Select-Object")
"""The commands for which a restricted session has a proxy of its own ("JEA security considerations")."""


def session(configuration):
    return data_files.parse(configuration.files()["avma.pssc"])


def role(configuration):
    return data_files.parse(configuration.files()[f"{MODULE}/RoleCapabilities/{MODULE}.psrc"])


@pytest.mark.parametrize("configuration", [GUESTS, AZURE_LOCAL, FRENCH], ids=["guests", "Azure Local", "French"])
def test_the_files_are_powershell(configuration):
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    for path, text in configuration.files().items():
        assert not parser.parse(text.encode()).root_node.has_error, path


def test_the_session_is_restricted_and_runs_as_a_virtual_account():
    found = session(GUESTS)
    assert (found["SessionType"], found["RunAsVirtualAccount"]) == ("RestrictedRemoteServer", True)
    assert found["RunAsVirtualAccountGroups"] == "Hyper-V Administrators"
    assert found["RoleDefinitions"] == {"LAB\\svc-avma": {"RoleCapabilities": MODULE}}
    assert not {"TranscriptDirectory", "LanguageMode", "VisibleCmdlets", "VisibleExternalCommands"} & found.keys()


def test_the_files_have_these_entries_and_no_others():
    """The keys and their values are those of the pages that `session_configuration` names."""
    functions = [f"Invoke-Avma{name}" for name in ("CimInGuest4", "LicenseLock2")]
    files = {path: dict(data_files.parse(text)) for path, text in GUESTS.files().items() if not path.endswith(".psm1")}
    identifiers = [uuid.UUID(entries.pop("GUID")) for entries in files.values()]
    assert len(set(identifiers)) == len(files)
    assert files == {
        "avma.pssc": {
            "SchemaVersion": "2.0.0.0",
            "SessionType": "RestrictedRemoteServer",
            "ExecutionPolicy": "RemoteSigned",
            "RunAsVirtualAccount": True,
            "RunAsVirtualAccountGroups": "Hyper-V Administrators",
            "RoleDefinitions": {"LAB\\svc-avma": {"RoleCapabilities": MODULE}},
        },
        f"{MODULE}/{MODULE}.psd1": {
            "RootModule": f"{MODULE}.psm1",
            "ModuleVersion": "1.0",
            "PowerShellVersion": "5.1",
            "FunctionsToExport": functions,
            "CmdletsToExport": [],
            "VariablesToExport": [],
            "AliasesToExport": [],
        },
        f"{MODULE}/RoleCapabilities/{MODULE}.psrc": {
            "ModulesToImport": [MODULE, "Microsoft.PowerShell.Utility", "Hyper-V"],
            "VisibleFunctions": [f"{MODULE}\\{function}" for function in functions],
        },
    }


def test_only_azure_local_has_an_administrator_and_its_script():
    assert "RunAsVirtualAccountGroups" not in session(AZURE_LOCAL)
    assert set(session(AZURE_LOCAL)["RoleDefinitions"]) == {"LAB\\svc-avma", "HV01\\o'neil"}
    assert set(AZURE_LOCAL.functions) - set(GUESTS.functions) == {powershell.load("server-avma-manager").function}
    assert AZURE_LOCAL.functions == [powershell.load(name).function for name in powershell.names()]


def test_each_quotation_mark_of_powershell_stays_inside_a_name():
    assert session(FRENCH)["RoleDefinitions"].keys() == {"LAB\\l\u2019admin"}


def test_the_group_can_have_another_name():
    german = SessionConfiguration("avma", ("a",), hyper_v_administrators="Hyper-V-Administratoren")
    assert session(german)["RunAsVirtualAccountGroups"] == "Hyper-V-Administratoren"


@pytest.mark.parametrize("configuration", [GUESTS, AZURE_LOCAL], ids=["guests", "Azure Local"])
def test_the_role_permits_the_functions_alone(configuration):
    found = role(configuration)
    assert data_files.listed(found["VisibleFunctions"]) == [f"{MODULE}\\{name}" for name in configuration.functions]
    assert found.keys() == {"GUID", "ModulesToImport", "VisibleFunctions"}
    manifest = data_files.parse(configuration.files()[f"{MODULE}/{MODULE}.psd1"])
    assert data_files.listed(manifest["FunctionsToExport"]) == configuration.functions


def test_a_function_is_the_text_of_its_script():
    text = AZURE_LOCAL.files()[f"{MODULE}/{MODULE}.psm1"]
    scripts = [powershell.load(name) for name in powershell.names()]
    assert text == "\n".join(f"function {script.function} {{\n{script.text}}}\n" for script in scripts)


def test_the_name_of_a_function_contains_the_version_of_its_script():
    for name in powershell.names():
        script = powershell.load(name)
        assert script.function.endswith(script.text.splitlines()[0].rpartition(" ")[2])
        assert re.fullmatch(r"Invoke-Avma[A-Za-z]+\d+", script.function)


@pytest.mark.parametrize("name", powershell.names())
def test_a_script_names_the_module_of_commands_that_a_restricted_session_replaces(name):
    text = re.sub(r"(?m)^\s*#.*", "", powershell.load(name).text)
    assert not [command for command in CONSTRAINED if re.search(rf"(?<![\\\w-]){command}\b", text)]


def test_the_files_are_always_the_same():
    assert SessionConfiguration("avma", ("LAB\\svc-avma",)).files() == GUESTS.files()
