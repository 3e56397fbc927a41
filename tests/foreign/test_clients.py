"""WinRM clients of other projects against the simulator: their results, and their requests."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from defusedxml.ElementTree import fromstring

from avma_simulator import EstateServer
from core import kdc
from foreign.conftest import PASSWORD, PROGRAMS, installed, run, served

WMI = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2"
UNKNOWN_PROGRAM = "is not recognized as an internal or external command,\r\noperable program or batch file.\r\n"
UNKNOWN_COMMAND = "The term 'Get-Date' is not recognized as the name of a cmdlet"
Passed = Callable[[str], None]


def asked(estate: EstateServer, *names: str) -> list[Any]:
    """Return counts of the machine. The name of an operation selects its count."""
    counts: Mapping[str, Any] = estate.counts()["hv01"]
    return [counts[name] if name in counts else counts["operations"].get(name, 0) for name in names]


def told(output: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("scheme", "auth"),
    [("http", "ntlm"), ("http", "negotiate"), ("https", "ntlm"), ("https", "negotiate"), ("https", "basic")],
)
def test_pypsrp(estate: EstateServer, tmp_path: Path, passed: Passed, scheme: str, auth: str) -> None:
    python = installed("python", "bin", "python")
    passed(use_pypsrp(estate, tmp_path, python, scheme, auth))


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_pypsrp_by_credssp(estate: EstateServer, tmp_path: Path, passed: Passed, scheme: str) -> None:
    passed(use_pypsrp(estate, tmp_path, Path(sys.executable), scheme, "credssp"))


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("auth", ["kerberos", "negotiate"])
def test_pypsrp_by_kerberos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, passed: Passed, scheme: str, auth: str
) -> None:
    if lacking := kdc.missing():
        pytest.skip(f"needs {lacking}: run tools/kerberos, on Debian")
    with kdc.realm(tmp_path, "Administrator", PASSWORD, "host/hv01.lab.test") as realm:
        for name, value in realm.environment.items():
            monkeypatch.setenv(name, value)
        with served(tmp_path, auth) as estate:
            environment = {**realm.environment, "SERVICE_HOST": "hv01.lab.test"}
            line = use_pypsrp(estate, tmp_path, Path(sys.executable), scheme, auth, **environment)
            assert any("kerberos" in logon for logon in estate.counts()["hv01"]["logons"])
            passed(f"{line}; tickets from MIT's KDC")


def use_pypsrp(estate: EstateServer, folder: Path, python: Path, scheme: str, auth: str, **environment: str) -> str:
    """Run all supported operations of pypsrp, and return the summary line."""
    host, port = estate.address("hv01", scheme)
    program = PROGRAMS / "pypsrp_client.py"
    done = run(python, program, host, str(port), scheme, estate.ca_certificate, auth, cwd=folder, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    answer = told(done.stdout)
    assert answer == {
        "products": 6,
        "got": True,
        "invoked": "0",
        "fault": 0x80338000,
        "hostname": ["HV01\r\n", "", 0],
        "script": ["HV01\r\n", "", 0],
        "runspace": ["HV01"],
        "wrongPasswordRefused": True,
    }
    invoked = "Invoke SoftwareLicensingService/RefreshLicenseStatus"
    assert asked(estate, "Enumerate", "Pull", "Get", invoked) == [2, 1, 2, 1]
    assert asked(estate, "shells", "processes", "pools", "pipelines", "openShells") == [3, 2, 1, 1, 0]
    return f"pypsrp        {scheme:5}  {auth:10} queries, get, method, fault, shell, stdin, runspace pool"


@pytest.mark.parametrize(("scheme", "auth"), [("http", "ntlm"), ("https", "negotiate"), ("https", "basic")])
def test_pypsrp_with_runspace_pools(
    estate: EstateServer, tmp_path: Path, passed: Passed, scheme: str, auth: str
) -> None:
    python = installed("python", "bin", "python")
    host, port = estate.address("hv01", scheme)
    program = PROGRAMS / "pypsrp_pools.py"
    done = run(python, program, host, str(port), scheme, estate.ca_certificate, auth, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    answer = told(done.stdout)
    unknown = answer.pop("unknown")
    assert unknown[:2] == [4, "CommandNotFoundException"]
    assert unknown[2].startswith("The term 'Get-Nothing' is not recognized as the name of a cmdlet")
    assert "maximum number of 5 concurrent shells" in answer.pop("overQuota")
    assert answer == {
        "versions": ["2.3", "2.0", "1.1.0.1"],
        "several": ["0", "1", "2"],
        "streams": {
            "output": ["a", "ä 日本 😀 _x0041_"],
            "error": ["wrong", "Microsoft.PowerShell.Commands.WriteErrorException"],
            "warning": ["careful"],
            "verbose": ["in detail"],
            "progress": ["Working"],
        },
        "failed": [5, "enough"],
        "secure": "Pä55w.rd 😀",
        "large": True,
        "twoPools": ["first", "second"],
        "stopped": 3,
        "afterStop": ["HV01"],
        "configuration": 0x8033803B,
        "client": ["HV01", False],
        "clientErrors": [False, 1],
    }
    assert asked(estate, "pools", "openShells") == [9, 0]
    recorded = json.dumps(estate.script_blocks("hv01"))
    assert "w.rd" not in recorded
    passed(
        f"pypsrp        {scheme:5}  {auth:10} runspace pools: pipelines, streams, SecureString, stop, fragments, quota"
    )


def test_awinrm(estate: EstateServer, tmp_path: Path, passed: Passed) -> None:
    """Over HTTP only: it has its own NTLM and its own message encryption, without channel binding."""
    python = installed("python", "bin", "python")
    host, port = estate.address("hv01", "http")
    url = f"winrm+ntlm-password://Administrator:{PASSWORD}@{host}:{port}"
    done = run(python, PROGRAMS / "awinrm_client.py", url, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    answer = told(done.stdout)
    assert answer["hostname"] == ["HV01\r\n", "", 0]
    assert answer["unknown"] == ["", f"'sing' {UNKNOWN_PROGRAM}", 1]
    out, err, code = answer["script"]
    assert (out, UNKNOWN_COMMAND in err, code) == ("", True, 1)
    assert asked(estate, "shells", "processes", "openShells") == [3, 3, 0]
    passed("awinrm        http   negotiate  three shells; an unknown program and an unknown cmdlet refused")


@pytest.mark.parametrize(
    ("scheme", "user", "expected", "line"),
    [
        ("https", "Administrator", {"output": "HV01"}, "basic      a shell"),
        (
            "http",
            "Administrator",
            {"error": "Failed to process the request: 401 Unauthorized"},
            "basic      refused, as http has no Basic",
        ),
        (
            "http",
            r"HV01\Administrator",
            {"error": "NTLM authentication failed: 500 (no message)"},
            "ntlm       refused, as it does not seal",
        ),
    ],
)
def test_winrm_client(
    estate: EstateServer,
    tmp_path: Path,
    passed: Passed,
    scheme: str,
    user: str,
    expected: dict[str, str],
    line: str,
) -> None:
    modules = installed("node", "node_modules")
    host, port = estate.address("hv01", scheme)
    program = (PROGRAMS / "winrm_client.js", modules, host, str(port), scheme, user, PASSWORD, "hostname")
    done = run(str(shutil.which("node")), *program, cwd=tmp_path, NODE_EXTRA_CA_CERTS=estate.ca_certificate)
    assert done.returncode == 0, done.stderr
    assert told(done.stdout) == expected
    served = int("output" in expected)
    assert asked(estate, "shells", "processes", "openShells") == [served, served, 0]
    passed(f"winrm-client  {scheme:5}  {line}")


def test_winrmcp(estate: EstateServer, tmp_path: Path, passed: Passed) -> None:
    """It copies with `echo … >> file`. The simulator does not support this and rejects it as an unknown program."""
    winrmcp = installed("debian", "usr", "bin", "winrmcp")
    (tmp_path / "small").write_text("hello")
    host, port = estate.address("hv01", "https")
    options = ("-https", "-cacert", estate.ca_certificate, "-addr", f"{host}:{port}", "-user", "Administrator")
    done = run(winrmcp, *options, "-pass", PASSWORD, "small", "C:/small", cwd=tmp_path)
    assert done.returncode == 1
    assert f"'echo' {UNKNOWN_PROGRAM}" in done.stdout.replace("\n", "\r\n") + done.stderr.replace("\n", "\r\n")
    assert "upload operation returned code=1" in done.stdout + done.stderr
    assert asked(estate, "shells", "processes", "openShells") == [1, 1, 0]
    passed("winrmcp       https  basic      a shell; its echo refused, as there is no cmd.exe")


@pytest.fixture
def wsl(estate: EstateServer, tmp_path: Path) -> Callable[..., Any]:
    """Return a function that runs `wsl`. `wsl` prints a line about its driver, and the answer."""
    command = installed("debian", "usr", "bin", "wsl")
    if shutil.which("curl") is None:
        pytest.skip("no curl here, which wsl runs")
    endpoint = "{}:{}".format(*estate.address("hv01", "https"))
    # It trusts the file of that name in its folder.
    shutil.copy(estate.ca_certificate, tmp_path / f"{endpoint}.crt")

    def ask(*arguments: str) -> Any:
        environment = {
            "PATH": f"{command.parent}:{os.environ['PATH']}",
            "SHELL": "/bin/bash",
            "WSENDPOINT": endpoint,
            "WSUSER": "Administrator",
            "WSPASS": PASSWORD,
        }
        run(command, *arguments, cwd=tmp_path, **environment)
        return fromstring((tmp_path / "response.xml").read_bytes())

    return ask


def texts(answer: Any, name: str) -> list[str | None]:
    return [element.text for element in answer.iter() if element.tag.rpartition("}")[2] == name]


def test_wsl(estate: EstateServer, wsl: Callable[..., Any], passed: Passed) -> None:
    service = f"{WMI}/SoftwareLicensingService"
    assert texts(wsl("id", "check"), "ProductVersion") == ["OS: 10.0.26100 SP: 0.0 Stack: 3.0"]
    assert len(texts(wsl("enum", f"{WMI}/SoftwareLicensingProduct"), "PartialProductKey")) == 5
    assert texts(wsl("enum", service, "-mode", "epr"), "ResourceURI") == [service]
    assert texts(wsl("get", service, "Version=10.0.26100.1"), "Version") == ["10.0.26100.1"]
    assert texts(wsl("get", service, "Version=0"), "FaultDetail") == [
        "http://schemas.dmtf.org/wbem/wsman/1/wsman/faultDetail/InvalidResourceURI"
    ]
    # Its curl repeats a request after a fault, because the status is 500.
    assert asked(estate, "Identify", "Enumerate", "Pull", "Get") == [1, 2, 1, 3]
    passed("wsl           https  basic      identify, instances, references, get, fault")


def test_wsl_cannot_call_a_method_of_windows(estate: EstateServer, wsl: Callable[..., Any], passed: Passed) -> None:
    """It copies selectors from an answer to a message without their prefix declaration, so its XML is invalid."""
    answer = wsl("invoke", f"{WMI}/SoftwareLicensingService", "RefreshLicenseStatus")
    assert "w:SchemaValidationError" in texts(answer, "Value")
    assert asked(estate, "Enumerate", "Invoke SoftwareLicensingService/RefreshLicenseStatus") == [1, 0]
    passed("wsl           https  basic      its broken XML is answered with a schema fault")
