"""The real engine with the provider and the test resource."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from avma import errors, keys
from avma.properties import Values
from avma.resources.host_license.host_properties import HostLicenseOutputs
from avma.resources.host_license.host_resource import HostLicenseResource
from avma.resources.host_state import Platform
from avma.resources.resource import Operation, Result, Stored
from avma.windows.licensing import LicenseStatus
from contract.harness import Provider

pytestmark = pytest.mark.engine

CACHED = Path(__file__).parents[2] / ".cache" / "bin"
TYPE = "avma:index:HostLicense"
KEY = "NTBV8-9K7Q8-V27C6-M2BTV-XVCH6"
SECRETS = (KEY, "leaf-pass", "provider-pass", "guest-pass")
PROGRAM = f"""
name: hosts
runtime: yaml
resources:
  h:
    type: {TYPE}
    properties:
      host: HV01
      productKey: {KEY}
      connection: {{port: 5985, password: leaf-pass}}
outputs:
  status: ${{h.licenseStatus}}
"""


class Host(HostLicenseResource):
    """A host under the control of a test. `scripts` contains functions that replace the default operations."""

    def __init__(self) -> None:
        self.scripts: dict[str, Callable[[Result], None]] = {}
        self.there = True
        self.status = LicenseStatus.LICENSED

    def probe(self, wanted: Values, operation: Operation, identifier: str | None = None) -> dict[str, Any]:
        return self.predict(wanted)

    def create(self, wanted: Values, operation: Operation) -> Result:
        operation.status("licensing")
        return self._reach("create", wanted)

    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        result = self._reach("read", stored.inputs if stored else {"host": identifier})
        return result if self.there else None

    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        self.status = LicenseStatus.LICENSED
        return self._reach("update", wanted)

    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        self._reach("delete", stored.inputs)

    def _reach(self, name: str, wanted: Values) -> Result:
        outputs = HostLicenseOutputs(
            platform=Platform.WINDOWS_SERVER,
            os_version="2025",
            os_build=26100,
            edition="Datacenter",
            license_status=self.status,
            activates_guests=True,
            partial_product_key=keys.partial(KEY),
            machine_id="hv01.example.com",
        )
        result = Result(str(wanted["host"]).lower(), wanted, outputs)
        self.scripts.get(name, lambda _result: None)(result)
        return result


def unreachable(_result: Result) -> None:
    raise errors.Unreachable("license with leaf-pass", "hv01", "silence", "switch it on")


def half_way(result: Result) -> None:
    cause = errors.TimedOut("activate", "hv01", "it took too long", "wait")
    raise errors.PartlyDone(result.identifier, result, cause)


class Stack:
    """A stack with one host, and the commands of the real CLI."""

    def __init__(self, cli: str, directory: Path, port: int) -> None:
        self._cli = cli
        self._directory = directory
        self._environment = {
            "HOME": str(directory),
            "PATH": os.pathsep.join([str(Path(cli).parent), os.environ["PATH"]]),
            "PULUMI_BACKEND_URL": (directory / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_DEBUG_PROVIDERS": f"avma:{port}",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
            "PULUMI_HOME": str(directory / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "1",
        }
        (directory / "state").mkdir()
        self.write(PROGRAM)
        self.must("stack", "init", "dev")

    def write(self, program: str) -> None:
        (self._directory / "Pulumi.yaml").write_text(program, "utf-8")

    def must(self, *arguments: str) -> str:
        """Assert the success of a command and return its output."""
        code, output = self._run(*arguments)
        assert code == 0, output
        return output

    def fails(self, *arguments: str) -> str:
        """Assert the failure of a command and return its output."""
        code, output = self._run(*arguments)
        assert code != 0, output
        return output

    def host(self) -> dict[str, Any]:
        """Return the host in the state, or an empty dict."""
        text = self.must("stack", "export")
        resources = json.loads(text)["deployment"].get("resources", [])
        return next((resource for resource in resources if resource["type"] == TYPE), {})

    def _run(self, *arguments: str) -> tuple[int, str]:
        command = [self._cli, *arguments, "--non-interactive"]
        done = subprocess.run(
            command, cwd=self._directory, env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )
        output = done.stdout + done.stderr
        assert not [secret for secret in SECRETS if secret in output]
        assert "always* a bug" not in output
        return done.returncode, output


UP = ("up", "--yes", "--skip-preview")
NOTHING_TO_DO = ("up", "--yes", "--expect-no-changes")
REFRESH = ("refresh", "--yes", "--skip-preview")
DESTROY = ("destroy", "--yes", "--skip-preview")


@pytest.fixture
def host() -> Host:
    return Host()


@pytest.fixture
def stack(host: Host, tmp_path: Path) -> Iterator[Stack]:
    cli = shutil.which("pulumi", path=os.pathsep.join([str(CACHED), os.environ.get("PATH", "")]))
    if cli is None:
        pytest.skip("no pulumi on PATH")
    provider = Provider(host)
    stack = Stack(cli, tmp_path, provider.port)
    stack.must("config", "set", "avma:username", "Administrator")
    stack.must("config", "set", "--secret", "avma:password", "provider-pass")
    stack.must("config", "set", "--path", "avma:guest.port", "5985")
    stack.must("config", "set", "--path", "--secret", "avma:guest.password", "guest-pass")
    yield stack
    provider.stop()


def test_from_creation_to_destruction(stack: Stack, host: Host) -> None:
    preview = stack.must("preview", "--diff")
    assert 'status: "Licensed"' in preview
    stack.must(*UP)
    assert stack.host()["id"] == "hv01"
    stack.must(*NOTHING_TO_DO)
    stack.must(*REFRESH, "--expect-no-changes")

    host.status = LicenseStatus.NOTIFICATION
    assert 'licenseStatus: "Licensed" => "Notification"' in stack.must(*REFRESH, "--diff")
    assert "1 updated" in stack.must(*UP)
    assert stack.host()["outputs"]["licenseStatus"] == "Licensed"

    stack.write(PROGRAM.replace("5985", "5986"))
    assert "port: 5985 => 5986" in stack.must("preview", "--diff")
    stack.write(PROGRAM.replace("HV01", "HV02"))
    assert "1 replaced" in stack.must(*UP)
    assert stack.host()["id"] == "hv02"
    stack.must(*DESTROY)
    assert stack.host() == {}


def test_what_was_partly_done_is_kept_and_finished(stack: Stack, host: Host) -> None:
    host.scripts = {"create": half_way}
    assert "it took too long" in stack.fails(*UP)
    assert stack.host()["initErrors"] == [
        "hv01: could not activate: it took too long. Wait. See: avma explain timed-out"
    ]
    host.scripts = {"update": half_way}
    stack.fails(*UP)
    host.scripts = {}
    assert "1 updated" in stack.must(*UP)
    assert "initErrors" not in stack.host()
    stack.must(*NOTHING_TO_DO)


def test_an_unreachable_machine_loses_nothing(stack: Stack, host: Host) -> None:
    host.scripts = {"create": unreachable}
    assert "silence. Switch it on" in stack.fails(*UP)
    assert stack.host() == {}
    host.scripts = {"read": unreachable, "delete": unreachable}
    stack.must(*UP)
    assert "silence. Switch it on" in stack.fails(*REFRESH)
    assert "pulumi state delete 'urn:pulumi:dev::hosts::avma:index:HostLicense::h'" in stack.fails(*DESTROY)
    assert stack.host()["id"] == "hv01"

    stack.must("config", "set", "avma:deleteUnreachable", "true")
    stack.must(*UP)
    assert "`deleteUnreachable` is set" in stack.must(*DESTROY)
    assert stack.host() == {}


def test_what_is_gone_leaves_the_state_and_cannot_be_imported(stack: Stack, host: Host) -> None:
    stack.must(*UP)
    host.there = False
    assert "1 deleted" in stack.must(*REFRESH)
    imported = ("import", TYPE, "h", "hv01", "--yes", "--protect=false", "--generate-code=false")
    assert "does not exist" in stack.fails(*imported)
    host.there = True
    stack.must(*imported)
    assert stack.host()["inputs"] == {"host": "hv01"}
    assert "1 updated" in stack.must(*UP)
    stack.must(*NOTHING_TO_DO)


def test_a_bug_is_reported_as_one(stack: Stack, host: Host) -> None:
    host.scripts = {"create": lambda result: result.inputs["leaf-pass"]}
    output = stack.fails(*UP)
    assert "unexpected error in pulumi-resource-avma (KeyError in test_engine.py:" in output
    assert "Traceback" not in output


def test_mistakes_in_the_configuration_are_named(stack: Stack) -> None:
    stack.must("config", "set", "avma:usrname", "x")
    stack.must("config", "set", "--path", "avma:guest.prot", "5985")
    output = stack.fails("preview")
    assert "Did you mean `username`?" in output
    assert "Did you mean `port`?" in output
