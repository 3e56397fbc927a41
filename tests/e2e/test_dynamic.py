"""The quickstart with dynamic resources, run by the real engine without the plugin."""

import base64
import shutil
import subprocess
import sys
from pathlib import Path

import dill
import pytest

from avma.keys import KeyKind
from e2e.estate import ADMINISTRATOR, HOST, HOST_KEY, PASSWORD, estate, machine, published
from loopback import address

INLINE = Path(__file__).parents[1] / "sdk" / "programs" / "python" / "inline.py"
WEB = machine("web01", "2022", "Standard", address(21))
PROGRAM = """
import os

import pulumi

from pulumi_resource_avma.dynamic import HostLicense, VmActivation

account = {"username": "Administrator", "password": os.environ["ACCOUNT_PASSWORD"]}
key = pulumi.Config().require("productKey")
hv01 = HostLicense("hv01", host=pulumi.Config().require("host"), product_key=key)
web01 = VmActivation(
    "web01", host=hv01.host, vm_name="web01", guest={"transport": "winrm", "https": False, "port": 5985, **account}
)
pulumi.export("activatedByHost", web01.activated_by_host)
"""

CLUSTER_PROGRAM = """
import os

import pulumi

from pulumi_resource_avma.dynamic import ClusterActivation, HostLicense

host = pulumi.Config().require("host")
hv01 = HostLicense("hv01", host=host, product_key=pulumi.Config().require("productKey"))
account = {"username": "Administrator", "password": os.environ["ACCOUNT_PASSWORD"]}
guests = ClusterActivation(
    "guests",
    hosts=[hv01.host],
    guest={"transport": "winrm", "https": False},
    guests={"web01": {"port": 5985, **account}},
)
pulumi.export("activated", guests.activated)
pulumi.export("first", guests.guest_activations.apply(lambda found: found[0]["vmName"]))
"""


class Program:
    """The program in its own folder. `replace` changes its text, `run` runs a command on its stack."""

    def __init__(self, folder, stack):
        folder.mkdir()
        shutil.copy(INLINE, folder)
        self.file = folder / "program.py"
        self.file.write_text(PROGRAM)
        self.stack = stack
        self.environment = {
            **stack.environment,
            "PULUMI_PYTHON_CMD": sys.executable,
            "ACCOUNT_PASSWORD": PASSWORD,
            "AVMA_USERNAME": ADMINISTRATOR,
            "AVMA_PASSWORD": PASSWORD,
            "AVMA_HTTPS": "false",
        }

    def replace(self, old, new):
        text = self.file.read_text()
        assert old in text
        self.file.write_text(text.replace(old, new))

    def run(self, step):
        ended = subprocess.run(
            [sys.executable, self.file.with_name("inline.py"), self.stack.project, step],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )
        self.stack.printed += ended.stdout
        return ended

    def done(self, step):
        ended = self.run(step)
        assert ended.returncode == 0, ended.stdout


@pytest.fixture
def server(serve):
    return serve(estate(WEB))


@pytest.fixture
def program(server, workspace, tmp_path):
    return Program(tmp_path / "program", workspace({}, {"productKey": HOST_KEY}, host=HOST))


def resources(program):
    return {each["urn"].rpartition("::")[2]: each for each in program.stack.export()["deployment"]["resources"]}


def test_a_program_from_up_to_destroy(server, program):
    program.done("up")
    assert server.machine("hv01")["status"] == server.machine("web01")["status"] == "Licensed"
    made = resources(program)
    assert made["estate-dev"]["outputs"] == {"activatedByHost": "HV01"}
    for values in ("inputs", "outputs"):
        assert "ciphertext" in made["hv01"][values]["productKey"]
        assert "ciphertext" in made["web01"][values]["guest"]["password"]

    program.done("preview")
    program.done("destroy")
    assert program.stack.export()["deployment"].get("resources", []) == []


def test_the_way_to_a_host_can_be_given_with_the_resource(server, program):
    del program.environment["AVMA_USERNAME"], program.environment["AVMA_PASSWORD"]
    program.replace("product_key=key", "product_key=key, connection=account")
    program.replace('vm_name="web01"', 'vm_name="web01", connection=account')
    program.done("up")
    assert server.machine("web01")["status"] == "Licensed"
    for made in ("hv01", "web01"):
        assert "ciphertext" in resources(program)[made]["outputs"]["connection"]["password"]


def test_only_the_name_of_the_resource_is_pickled(program):
    program.done("up")
    made = resources(program)
    for name, kind in (("hv01", "HostLicense"), ("web01", "VmActivation")):
        pickled = dill.loads(base64.b64decode(made[name]["inputs"]["__provider"]))  # noqa: S301 - made here
        assert vars(pickled) == {"resource": kind}


def test_all_guests_of_a_host_are_activated(server, program):
    program.file.write_text(CLUSTER_PROGRAM)
    program.done("up")
    assert server.machine("web01")["status"] == "Licensed"
    made = resources(program)["guests"]["outputs"]
    assert (made["activated"], made["guestActivations"][0]["vmName"]) == (1, "web01")
    assert "ciphertext" in made["guests"]["web01"]["password"]
    assert PASSWORD not in program.stack.stored()


def test_drift_is_found_by_a_refresh_and_mended(server, program):
    program.done("up")
    server.install_key("web01", published(KeyKind.KMS_CLIENT, "2022", "Standard"))
    program.stack.run("refresh", "--yes", **program.environment)
    seen = program.run("preview")
    assert seen.returncode != 0
    assert "~ 1 to update" in seen.stdout, seen.stdout
    program.done("up")
    assert server.machine("web01")["status"] == "Licensed"


def test_a_property_of_the_program_is_updated_or_replaced(server, program):
    program.done("up")
    program.replace("product_key=key", 'product_key=key, on_delete="uninstallKey", force_destroy=True')
    program.done("up")
    assert resources(program)["hv01"]["outputs"]["onDelete"] == "uninstallKey"
    program.done("destroy")
    assert server.machine("hv01")["status"] != "Licensed"


@pytest.mark.parametrize(
    ("old", "new", "path", "remedy"),
    [
        ('vm_name="web01"', 'vm_nmae="web01"', "vmNmae", "Did you mean `vmName`?"),
        ('vm_name="web01"', 'vm_name="web01", vm_id="9b1c"', "vmId", "cannot be combined with `vmName`"),
        ('"port": 5985', '"port": "5985"', "guest.port", "must be a whole number, not text"),
    ],
)
def test_what_is_wrong_in_a_program_is_named(server, program, old, new, path, remedy):
    program.replace(old, new)
    refused = program.run("up")
    assert refused.returncode != 0
    assert path in refused.stdout
    assert remedy in refused.stdout
    assert server.machine("web01")["status"] != "Licensed"


def test_a_refusal_of_a_machine_says_what_to_do_and_holds_no_secret(program):
    program.environment["AVMA_PASSWORD"] = "not the password"
    refused = program.run("up")
    assert refused.returncode != 0
    assert "the service rejected the sign-in of Administrator (401)" in refused.stdout
    assert "Check `username` (from AVMA_USERNAME) and `password` (from AVMA_PASSWORD)" in refused.stdout
    assert "not the password" not in refused.stdout


def test_a_setting_of_the_environment_that_cannot_be_used_is_named(program):
    program.environment["AVMA_PORT"] = "many"
    refused = program.run("up")
    assert refused.returncode != 0
    assert "`port` (from AVMA_PORT" in refused.stdout
    assert "must be a whole number, not text" in refused.stdout
