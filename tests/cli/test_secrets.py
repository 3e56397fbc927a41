"""No secret is in a report, in a recording, or in the output of a command that ends with a bug."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from avma_simulator import EstateServer, load_estate, running
from e2e import secrets_stack
from e2e.estate import ADMINISTRATOR
from e2e.secrets_stack import AZURE, HOST, NODE, SECRETS
from secret_search import Canary, files_in, key_canary, leaks

CANARIES = [
    *(key_canary(name, SECRETS[name]) for name in ("hostKey", "nextKey", "guestKey")),
    *(Canary(name, SECRETS[name]) for name in ("password", "connectionPassword", "guestPassword", "appPassword")),
]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EstateServer]:
    file = tmp_path / "estate.yaml"
    file.write_text(yaml.safe_dump(secrets_stack.estate(tmp_path)))
    with running(load_estate(file)) as server:
        server.install_key("hv01", SECRETS["hostKey"])
        server.install_key("web01", SECRETS["guestKey"])
        yield server


def avma(*arguments: str, code: str = "", **environment: str) -> bytes:
    """Run the command in a process of its own, after some code. Return its output."""
    program = f"import sys\nsys.argv[:] = ['avma', *{list(arguments)!r}]\n{code}\n"
    program += "from avma_cli.__main__ import main\nmain()"
    accounts = {"AVMA_USERNAME": ADMINISTRATOR, "AVMA_PASSWORD": SECRETS["password"], "AVMA_HTTPS": "false"}
    guests = {"AVMA_GUEST_USERNAME": ADMINISTRATOR, "AVMA_GUEST_PASSWORD": SECRETS["guestPassword"]}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **accounts, **guests, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=240,
        check=False,
    )
    return done.stdout


def test_reports_and_recordings_contain_no_secret(server, tmp_path):
    folder = tmp_path / "written"
    folder.mkdir()
    other = {"host": NODE, "connection": {"password": SECRETS["connectionPassword"]}}
    (tmp_path / "hosts.yaml").write_text(yaml.safe_dump({"hosts": [HOST, other, AZURE]}))
    hosts, page, imports = str(tmp_path / "hosts.yaml"), str(folder / "page.html"), str(folder / "import.json")
    printed = {
        "report": avma("-vv", "report", hosts, "--html", page, "--import-file", imports),
        "json": avma("-vv", "report", hosts, "--json"),
        "csv": avma("-vv", "report", hosts, "--csv", AVMA_GUEST_PASSWORD=SECRETS["appPassword"]),
        "doctor": avma("-vv", "doctor", HOST, "--record", str(folder / "recording.jsonl")),
        "azure": avma("-vv", "doctor", AZURE, "--json", "--record", str(folder / "azure.jsonl")),
        "wrong": avma(
            "-vv", "doctor", HOST, "--record", str(folder / "wrong.jsonl"), AVMA_PASSWORD=SECRETS["appPassword"]
        ),
    }
    files = files_in(folder)
    assert {Path(name).name for name in files} == {
        "page.html",
        "import.json",
        "recording.jsonl",
        "azure.jsonl",
        "wrong.jsonl",
    }
    assert leaks(CANARIES, {**printed, **files}) == []
    assert b"46789" in printed["report"]


BUGS = {
    "in the command": "from avma.windows.machines import Machines\nMachines.__init__ = bug",
    "in a thread": "from avma.wsman.winrm_pipe import WinrmPipe\nWinrmPipe.send = in_thread",
    "in the settings": "from avma_cli import options\noptions.validate = bug",
    "in a finalizer": "bug.__doc__\nclass Dying:\n    __del__ = bug\nalive = Dying()",
}
BUG = f"""
import threading

def bug(*_, **__):
    raise ValueError({SECRETS["password"]!r})

def in_thread(*_, **__):
    thread = threading.Thread(target=bug)
    thread.start()
    thread.join()
    raise ValueError
"""


@pytest.mark.parametrize("place", BUGS)
def test_a_bug_shows_no_secret(server, place):
    printed = avma("doctor", HOST, code=f"{BUG}\n{BUGS[place]}")
    assert b"unexpected error" in printed
    assert leaks(CANARIES, {"output": printed}) == []
