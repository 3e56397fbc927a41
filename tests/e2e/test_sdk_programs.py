"""The quickstart in Python, TypeScript and Go with the generated SDKs, run by the real engine."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.estate import HOST, HOST_KEY, estate, machine
from loopback import address
from sdk import go_program, nodejs_package, python_package

PYTHON = Path(__file__).parents[1] / "sdk" / "programs" / "python"
WEB = machine("web01", "2022", "Standard", address(21))


class Python:
    """The program in its own folder. `replace` changes its text."""

    def __init__(self, folder):
        shutil.copytree(PYTHON, folder, dirs_exist_ok=True)
        self.program = folder / "program.py"
        self.command = [sys.executable, folder / "inline.py"]
        self.environment = {"PYTHONPATH": python_package.prepare(folder / "sdk")}
        self.both = ('vm_name="web01"', 'vm_name="web01", vm_id="9b1c"')
        self.unchecked = ('vm_name="web01"', 'vm_name="web01", guest={"transprt": "winrm", "port": "5985"}')

    def compile(self):
        """Nothing to do."""


class TypeScript:
    """The program in TypeScript."""

    def __init__(self, folder):
        nodejs_package.prepare(folder)
        self.program = folder / "index.ts"
        self.command = ["node", folder / "bin" / "inline.js"]
        self.environment = {}
        self.both = ('vmName: "web01"', 'vmName: "web01", vmId: "9b1c"')
        self.unchecked = (
            'vmName: "web01" }',
            'vmName: "web01", guest: { transprt: "winrm", port: "5985" }, vmNam: "web01" } as any',
        )

    def compile(self):
        nodejs_package.build(self.program.parent)


class Go:
    """The program in Go."""

    def __init__(self, folder):
        go_program.prepare(folder)
        self.program = folder / "program.go"
        self.command = [folder / "program"]
        self.environment = {}
        self.both = ('pulumi.String("web01"),', 'pulumi.String("web01"), VmId: pulumi.String("9b1c"),')
        self.unchecked = None

    def compile(self):
        go_program.build(self.program.parent)


@pytest.fixture(params=[Python, TypeScript, Go], ids=lambda language: language.__name__)
def language(request, tmp_path):
    return request.param(tmp_path / "program")


@pytest.fixture
def server(serve):
    return serve(estate(WEB))


@pytest.fixture
def stack(server, workspace):
    return workspace({}, {"productKey": HOST_KEY}, host=HOST)


def run(stack, language, step):
    ended = subprocess.run(
        [*language.command, stack.project, step],
        env={**stack.environment, **language.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    stack.printed += ended.stdout
    return ended


def done(stack, language, step):
    ended = run(stack, language, step)
    assert ended.returncode == 0, ended.stdout


def test_a_program_from_up_to_destroy(server, stack, language):
    language.compile()
    done(stack, language, "up")
    assert server.machine("hv01")["status"] == server.machine("web01")["status"] == "Licensed"
    resources = {r["urn"].rpartition("::")[2]: r for r in stack.export()["deployment"]["resources"]}
    assert resources["estate-dev"]["outputs"] == {"activatedByHost": "HV01"}
    for values in ("inputs", "outputs"):
        assert "ciphertext" in resources["hv01"][values]["productKey"]

    done(stack, language, "preview")
    done(stack, language, "destroy")
    assert stack.export()["deployment"].get("resources", []) == []


def test_what_is_wrong_in_a_program_is_named(server, stack, language):
    language.program.write_text(language.program.read_text().replace(*language.both))
    language.compile()
    refused = run(stack, language, "up")
    assert refused.returncode != 0
    assert "vmId" in refused.stdout
    assert "cannot be combined with `vmName`" in refused.stdout
    assert server.machine("web01")["status"] != "Licensed"


def test_what_no_compiler_has_looked_at_is_named_by_the_provider(stack, server, language):
    """Go has no such case. tests/sdk covers the errors of the compilers."""
    if language.unchecked is None:
        return
    language.program.write_text(language.program.read_text().replace(*language.unchecked))
    language.compile()
    refused = run(stack, language, "up")
    assert refused.returncode != 0
    assert "guest.transprt" in refused.stdout
    assert "is not a property here. Did you mean `transport`?" in refused.stdout
    assert "guest.port" in refused.stdout
    assert "must be a whole number, not text. Write it without quotes" in refused.stdout
    assert server.machine("web01")["status"] != "Licensed"
