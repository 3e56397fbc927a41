"""Groups of accounts, and sessions of JEA: visible functions by name, under a virtual account."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pypsrp.exceptions import WSManFaultError as ShellFault
from pypsrp.powershell import PowerShell, RunspacePool
from winrm.exceptions import WSManFaultError

from avma_simulator import EstateServer
from avma_simulator.state import data_files, session_configurations
from simulator.client import HYPERV, Client
from simulator.psrp import connected, errors
from simulator.remoting import guest
from simulator.test_estate_file import mistakes

Serve = Callable[[str], EstateServer]
SCRIPT = "# avma-script: cim-in-guest 4"
SESSION = """\
@{{
    SchemaVersion = '2.0.0.0'
    SessionType = 'RestrictedRemoteServer'
    RunAsVirtualAccount = $true
    {groups}
    RoleDefinitions = @{{ 'HV01\\{account}' = @{{ RoleCapabilities = 'Guests' }} }}
}}
"""
GROUPS = "RunAsVirtualAccountGroups = {}  # local groups"
ROLE = "@{ VisibleFunctions = 'Scripts\\Invoke-Guest', 'Scripts\\Invoke-Missing' }"
MANIFEST = "@{ RootModule = 'Scripts.psm1'; FunctionsToExport = 'Invoke-Guest', 'Invoke-Hidden', 'Invoke-Missing' }"
MODULE = f"function Invoke-Guest {{\n{SCRIPT}\n}}\n\nfunction Invoke-Hidden {{\n{SCRIPT}\n}}\n"
HOST = """\
hosts:
- name: hv01
  version: "2022"
  edition: Datacenter
  username: Administrator
  password: Pa55w.rd
  groups: [{groups}]
  namespaces: {{root/cimv2: full, root/virtualization/v2: full}}
  sessionConfigurations: [{file}]
  vms:
  - {{name: web01, version: "2022", edition: Standard, username: Admin, password: Pa55w.rd, groups: [{guest}]}}
"""
READ = {"query": "SELECT Version FROM Win32_OperatingSystem", "namespace": "root/cimv2"}
REFRESH = {
    "method": "RefreshLicenseStatus",
    "class": "SoftwareLicensingService",
    "namespace": "root/cimv2",
    "keys": {"Version": "10.0.20348.1"},
}


def written(directory: Path, account: str = "Administrator", groups: str = "'Hyper-V Administrators'") -> Path:
    """Write a session configuration with its module."""
    (directory / "Scripts" / "RoleCapabilities").mkdir(parents=True)
    (directory / "Scripts" / "RoleCapabilities" / "Guests.psrc").write_text(ROLE)
    (directory / "Scripts" / "Scripts.psd1").write_text(MANIFEST)
    (directory / "Scripts" / "Scripts.psm1").write_text(MODULE)
    file = directory / "jea.pssc"
    file.write_text(SESSION.format(account=account, groups=GROUPS.format(groups) if groups else ""))
    return file


def served(serve: Serve, file: Path, groups: str = "Remote Management Users", guest: str = "") -> EstateServer:
    return serve(HOST.format(groups=groups, file=file, guest=guest))


def invoked(estate: EstateServer, text: str, is_script: bool = False, **parameters: Any) -> PowerShell:
    """Return a pipeline after its end, in a session of the configuration."""
    with connected(estate) as client, RunspacePool(client, configuration_name="jea") as pool:
        pool.exchange_keys()
        shell = PowerShell(pool)
        shell = shell.add_script(text) if is_script else shell.add_cmdlet(text)
        shell.add_parameters(parameters).begin_invoke()
        shell.end_invoke()
        return shell


def in_guest(estate: EstateServer, *operations: dict[str, Any]) -> str:
    given = guest(estate.machine("web01")["id"], *operations, account=("Admin", "Pa55w.rd"))
    shell = invoked(estate, "Invoke-Guest", Guests=[given], ThrottleLimit=1, Timeout=20.0)
    return str(shell.output[-1])


def test_a_visible_function_runs_and_nothing_else(serve: Serve, tmp_path: Path) -> None:
    estate = served(serve, written(tmp_path))
    assert '"Version"' in in_guest(estate, READ)
    for text in ("Invoke-Hidden", "Invoke-Missing", "Get-Process", "hostname"):
        (record,) = [invoked(estate, text).streams.error[0]]
        assert record.fq_error == "CommandNotFoundException"


@pytest.mark.parametrize(
    ("file", "old", "new", "mistake"),
    [
        ("jea.pssc", "SchemaVersion = '2.0.0.0'", "", "it has no SchemaVersion"),
        ("jea.pssc", "SessionType", "LanguageMode = 'FullLanguage'\n SessionType", "does not have: LanguageMode"),
        ("Scripts/RoleCapabilities/Guests.psrc", "@{", "@{ VisibleCmdlets = '*';", "does not have: VisibleCmdlets"),
        ("Scripts/Scripts.psd1", "Scripts.psm1", "Nope.psm1", "Nope.psm1 cannot be read"),
    ],
)
def test_files_that_permit_more_or_that_windows_rejects(
    tmp_path: Path, file: str, old: str, new: str, mistake: str
) -> None:
    session = written(tmp_path)
    changed = tmp_path / file
    changed.write_text(changed.read_text().replace(old, new, 1))
    with pytest.raises(session_configurations.NotASessionConfiguration, match=mistake):
        session_configurations.load(str(session))


def test_a_function_that_the_module_does_not_export_is_not_visible(tmp_path: Path) -> None:
    session = written(tmp_path)
    (tmp_path / "Scripts" / "Scripts.psd1").write_text("@{ RootModule = 'Scripts.psm1'; FunctionsToExport = @() }")
    assert session_configurations.load(str(session)).functions == {}


@pytest.mark.parametrize("text", ["Invoke-Guest", "hostname", f"{SCRIPT}\n"])
def test_the_text_of_a_script_is_rejected(serve: Serve, tmp_path: Path, text: str) -> None:
    estate = served(serve, written(tmp_path))
    shell = invoked(estate, text, is_script=True)
    assert shell.output == []
    ((_, error_id, reason, _),) = errors(shell)
    assert (error_id, reason) == ("ScriptsNotAllowed", "ParseException")


def test_only_the_accounts_of_the_roles_open_a_session(serve: Serve, tmp_path: Path) -> None:
    estate = served(serve, written(tmp_path, account="somebody"), groups="Administrators")
    with connected(estate) as client, pytest.raises(ShellFault) as refused:
        RunspacePool(client, configuration_name="jea").open()
    assert refused.value.code == 5


@pytest.mark.parametrize(
    ("groups", "found"),
    [("'Hyper-V Administrators'", True), ("'Remote Management Users'", False), ("", True)],
    ids=["Hyper-V Administrators", "Remote Management Users", "an administrator"],
)
def test_the_virtual_account_has_the_groups_of_the_file(serve: Serve, tmp_path: Path, groups: str, found: bool) -> None:
    estate = served(serve, written(tmp_path, groups=groups))
    assert ("rows" in in_guest(estate, READ)) is found


def test_a_standard_user_of_a_guest_reads_and_changes_nothing(serve: Serve, tmp_path: Path) -> None:
    file = written(tmp_path)
    estate = served(serve, file)
    assert "rows" in in_guest(estate, READ)
    assert "HRESULT 0x80041003" in in_guest(estate, REFRESH)
    estate.grant("web01", groups=["Administrators"])
    assert "returnValue" in in_guest(estate, REFRESH)


def test_hyper_v_needs_the_namespace_and_the_group(serve: Serve, tmp_path: Path) -> None:
    estate = served(serve, written(tmp_path))
    with Client(estate.url("hv01")) as client:

        def systems() -> int:
            return len(client.query("SELECT Name FROM Msvm_ComputerSystem", f"{HYPERV}/*"))

        assert systems() == 0
        estate.grant("hv01", groups=["Remote Management Users", "Hyper-V Administrators"])
        with pytest.raises(WSManFaultError, match="access denied"):
            systems()
        namespaces = {"root/virtualization/v2": "read"}
        estate.grant("hv01", groups=["Remote Management Users", "Hyper-V Administrators"], namespaces=namespaces)
        assert systems() == 2
        estate.grant("hv01", groups=["Hyper-V Administrators"], namespaces=namespaces)
        with pytest.raises(WSManFaultError) as denied:
            systems()
        assert denied.value.wsman_fault_code == 5


def test_groups_and_files_are_checked(tmp_path: Path) -> None:
    (tmp_path / "estate").mkdir()
    other = tmp_path / "other.pssc"
    other.write_text("@{ SchemaVersion = '2.0.0.0'; SessionType = 'Default' }")
    broken = tmp_path / "broken.pssc"
    broken.write_text("@{ SessionType = ")
    text = HOST.format(groups="", file=f"{other}, {broken}", guest="")
    found = "\n".join(mistakes(tmp_path / "estate", text.replace("groups: []", "groups: []\n  rights: user", 1)))
    assert "groups: cannot be combined with `rights`" in found
    assert "has no restricted session with a virtual account" in found
    assert "broken.pssc cannot be read" in found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("@{ A = 'it''s'; B = $true\n C = 'a', 'b' # c\n D = @() ; E = @{ 'x\\y' = @('z') } }", None),
        ("@{}", {}),
        ("@{ A = 'o\u2019\u2019neil' }", {"A": "o\u2019neil"}),
    ],
)
def test_a_data_file(text: str, value: dict[str, Any] | None) -> None:
    whole = {"A": "it's", "B": True, "C": ["a", "b"], "D": [], "E": {"x\\y": ["z"]}}
    assert data_files.parse(text) == (whole if value is None else value)


@pytest.mark.parametrize(
    "text",
    ["", "@{", "@{ A }", "@{ A = }", "@{ A = 'x }", "@{ A = 'o\u2019neil' }", "@{} @{}", "& calc", "@{ A = (1) }"],
)
def test_what_is_not_a_data_file(text: str) -> None:
    with pytest.raises(ValueError, match=r"unexpected|missing"):
        data_files.parse(text)
