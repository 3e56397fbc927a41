"""The quickstart as a Python program with the generated SDK, run by the real engine against an estate."""

import subprocess
import sys
from pathlib import Path

import pytest

from e2e.estate import HOST, HOST_KEY, estate, machine
from sdk.python_package import prepare

INLINE = Path(__file__).with_name("inline.py")
PROGRAM = Path(__file__).parents[1] / "sdk" / "programs" / "python" / "program.py"
WEB = machine("web01", "2022", "Standard", "127.44.0.21")


@pytest.fixture
def server(serve):
    return serve(estate(WEB))


@pytest.fixture
def stack(server, workspace):
    return workspace({}, {"productKey": HOST_KEY}, host=HOST)


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("package"))


def run(stack, package, step, program=PROGRAM):
    done = subprocess.run(
        [sys.executable, INLINE, stack.project, program, step],
        env={**stack.environment, "PYTHONPATH": package},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    stack.printed += done.stdout
    return done


def done(stack, package, step):
    ended = run(stack, package, step)
    assert ended.returncode == 0, ended.stdout


def test_a_python_program_from_up_to_destroy(server, stack, package):
    done(stack, package, "up")
    assert server.machine("hv01")["status"] == server.machine("web01")["status"] == "Licensed"
    resources = {r["urn"].rpartition("::")[2]: r for r in stack.export()["deployment"]["resources"]}
    assert resources["estate-dev"]["outputs"] == {"activatedByHost": "HV01"}
    for values in ("inputs", "outputs"):
        assert "ciphertext" in resources["hv01"][values]["productKey"]

    done(stack, package, "preview")
    done(stack, package, "destroy")
    assert stack.export()["deployment"].get("resources", []) == []


def test_what_is_wrong_in_a_python_program_is_named(server, stack, package, tmp_path):
    both = tmp_path / "both.py"
    both.write_text(PROGRAM.read_text().replace('vm_name="web01"', 'vm_name="web01", vm_id="9b1c"'))
    refused = run(stack, package, "up", both)
    assert refused.returncode != 0
    assert "vmId" in refused.stdout
    assert "stands beside `vmName`; give one of the two" in refused.stdout
    assert "Traceback" not in refused.stdout
    assert server.machine("web01")["status"] != "Licensed"
