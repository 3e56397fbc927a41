"""The programs and commands of the guides in docs/how-to, run against matching machines.

Answers to prompts come from standard input. Names of machines become addresses, because there is no DNS here.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from avma_simulator import load_estate, running
from core.silence import Silence
from e2e.estate import ADMINISTRATOR, HOST, HOST_KEY, PASSWORD, machine
from e2e.interrupting import up
from loopback import address, relocated
from waiting import PATIENCE
from workspace import ROOT, Workspace

GUIDES = ROOT / "docs" / "how-to"
ADDRESSES = {
    "hv01.example.com": HOST,
    "hv02.example.com": address(12),
    "node01.example.com": address(13),
    "cl01.example.com": address(50),
    r"'LAB\svc-avma'": ADMINISTRATOR,
}
PROMPTED = {"avma:password": PASSWORD, "avma:guest.password": PASSWORD, "productKey": HOST_KEY}
LICENSED = {"license": {"key": HOST_KEY}}
WEB = machine("web01", "2022", "Standard", address(21))
UNREACHABLE = {name: value for name, value in WEB.items() if name not in ("http", "address")}
UNREACHABLE |= {"network": False, "dataExchange": False}
ACTIVATED = {**WEB, "license": {"key": "YDFWN-MJ9JR-3DYRK-FXXRW-78VHK", "status": "Licensed"}}

ESTATES: dict[str, dict[str, Any]] = {
    "first-host": {"hv01": {"vms": [WEB]}},
    "cluster": {"hv01": {"vms": [WEB]}},
    "whole-cluster": {"hv01": {"vms": [WEB]}},
    "adopt": {"hv01": {"vms": [ACTIVATED], **LICENSED}},
    "no-network": {"hv01": {"vms": [UNREACHABLE], **LICENSED}},
    "azure-local": {"node01": {"vms": [WEB]}},
}
"""The special settings of the machines in each guide."""


def estate(special: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    releases = {"hv01": ("2025", "Datacenter"), "hv02": ("2025", "Datacenter"), "node01": ("23H2", "Azure Stack HCI")}
    hosts = [
        {**machine(name, *release, ADDRESSES[f"{name}.example.com"]), **special.get(name, {})}
        for name, release in releases.items()
    ]
    version = "2022" if "node01" in special else "2025"
    key = {"key": HOST_KEY, "channel": "MAK", "version": version, "edition": "Datacenter", "activations": 2}
    listening = {"address": ADDRESSES["cl01.example.com"], "http": {"port": 5985}}
    cluster = {"name": "cl01", "nodes": ["hv01", "hv02"], **listening}
    return {"keys": [key], "hosts": hosts, "clusters": [cluster]}


def blocks(guide: str, language: str) -> list[str]:
    tokens = MarkdownIt().parse((GUIDES / f"{guide}.md").read_text("utf-8"))
    found = [token.content for token in tokens if token.type == "fence" and token.info == language]
    return [re.sub("|".join(map(re.escape, ADDRESSES)), lambda name: ADDRESSES[name[0]], text) for text in found]


def play(line: str, stack: Workspace) -> subprocess.CompletedProcess[str]:
    """Run a line of a guide and answer its prompts."""
    named = re.search(r"config set --secret (?:--path )?(\S+)$", line)
    typed = PROMPTED[named[1]] if named else None
    path = f"{Path(sys.executable).parent}:{stack.environment['PATH']}"
    more = {"PATH": path, "AVMA_HTTPS": "false", "AVMA_PASSWORD": PASSWORD, "PULUMI_SKIP_CONFIRMATIONS": "true"}
    done = subprocess.run(
        ["/bin/sh", "-c", line],
        cwd=stack.project,
        env={**stack.environment, **more},
        input=typed,
        stdin=subprocess.DEVNULL if typed is None else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    stack.printed += done.stdout
    return done


def done(line: str, stack: Workspace) -> str:
    ended = play(line, stack)
    assert ended.returncode == 0, f"{line}\n{ended.stdout}"
    return ended.stdout


def pulumi(guide: str) -> list[str]:
    """Return the lines of a guide that begin with pulumi, up to the drift check."""
    lines = [line for block in blocks(guide, "console") for line in block.splitlines() if line.startswith("pulumi")]
    return lines[: next(index for index, line in enumerate(lines) if "--expect-no-changes" in line) + 1]


def configured(guide: str, folder: Path, program: str) -> Workspace:
    """Return a stack of the program with the settings of the guide."""
    stack = Workspace(folder, program)
    for line in pulumi(guide):
        if "stack init" in line or "config set" in line:
            done(line, stack)
    return stack


def test_every_guide_is_played_or_known_to_be_no_play() -> None:
    assert {page.stem for page in GUIDES.glob("*.md")} - set(ESTATES) == {"hardening", "interrupted-run", "one-machine"}


def test_the_guide_on_interrupted_runs_completes_a_run_that_was_killed_in_an_activation(serve, tmp_path: Path) -> None:
    silence = Silence("hv01", "Activate", after=True)
    server = serve(estate(ESTATES["first-host"]), silence.service)
    stack = configured("first-host", tmp_path / "pulumi", *blocks("first-host", "yaml"))
    stack.environment["AVMA_HTTPS"] = "false"
    killed = up(stack)
    assert silence.begun.wait(PATIENCE)
    killed.process.kill()
    killed.process.wait(PATIENCE)
    silence.end()
    killed.output()

    again, cancel, refresh, check = (block.strip() for block in blocks("interrupted-run", "console"))
    locked, pending, note = blocks("interrupted-run", "text")[0].splitlines()
    assert locked in play(again, stack).stdout
    done(cancel, stack)
    told = done(again, stack)
    assert pending in told
    assert note.rpartition("::")[2] in told
    assert stack.export()["deployment"]["pending_operations"]
    done(refresh, stack)
    assert "pending_operations" not in stack.export()["deployment"]
    assert "pending" not in done(check, stack)
    assert server.machine("web01")["activatedByHost"] == "HV01"
    assert server.counts()["hv01"]["operations"]["Invoke SoftwareLicensingProduct/Activate"] == 1


@pytest.mark.parametrize("guide", ESTATES)
def test_a_guide_leads_to_where_it_says(guide: str, serve, tmp_path: Path) -> None:
    server = serve(estate(ESTATES[guide]))
    (program,) = blocks(guide, "yaml")
    stack = Workspace(tmp_path / "pulumi", program)
    for line in pulumi(guide):
        done(line, stack)
    web = server.machine("web01")
    assert (web["status"], web["activatedByHost"]) == ("Licensed", "NODE01" if guide == "azure-local" else "HV01")
    assert HOST_KEY not in stack.printed + stack.stored()
    assert PASSWORD not in stack.printed + stack.stored()


def test_the_doctor_of_the_first_guide_finds_nothing_but_the_missing_licence(serve, tmp_path: Path) -> None:
    serve(estate(ESTATES["first-host"]))
    (line,) = (block for block in blocks("first-host", "console") if block.startswith("avma doctor"))
    ended = play(line, Workspace(tmp_path / "pulumi", *blocks("first-host", "yaml")))
    assert ended.returncode == 1
    assert ended.stdout.splitlines()[-1].startswith("Next: pulumi up, with a HostLicense for ")


def test_a_host_without_internet_is_activated_by_phone(serve, tmp_path: Path) -> None:
    server = serve(estate({"hv01": {"online": False, "vms": [WEB]}}))
    (program,) = blocks("first-host", "yaml")
    stack = configured("first-host", tmp_path / "pulumi", program)
    assert "activate by phone (`confirmationId`)" in play("pulumi up --skip-preview", stack).stdout
    (asking,) = (block for block in blocks("no-network", "console") if "installationId" in block)
    answer = server.confirmation_id("hv01")
    assert answer["installationId"] in done(asking, stack)
    resources = yaml.safe_load(program)["resources"]
    resources["hv01"]["properties"]["confirmationId"] = answer["confirmationId"]
    stack.write_resources(resources)
    done("pulumi up --skip-preview", stack)
    assert server.machine("hv01")["status"] == server.machine("web01")["status"] == "Licensed"


def test_the_list_of_the_guide_on_adopting_is_reported_and_imported(serve, tmp_path: Path) -> None:
    serve(estate(ESTATES["adopt"]))
    stack = configured("adopt", tmp_path / "pulumi", yaml.safe_dump({"name": "adopted", "runtime": "yaml"}))
    settings = {"username": ADMINISTRATOR, "guest": {"username": ADMINISTRATOR, "password": PASSWORD}}
    listed = {"settings": settings, "hosts": [ADDRESSES["hv01.example.com"]]}
    (stack.project / "hosts.yaml").write_text(yaml.safe_dump(listed), "utf-8")
    (commands,) = (block for block in blocks("adopt", "console") if block.startswith("avma report"))
    for line in commands.splitlines():
        done(line, stack)
    assert len(yaml.safe_load((stack.project / "adopted.yaml").read_text("utf-8"))["resources"]) == 2


def test_the_readme_leads_from_an_estate_and_a_program_to_an_activated_guest(tmp_path: Path) -> None:
    tokens = [token for token in MarkdownIt().parse((ROOT / "README.md").read_text("utf-8")) if token.type == "fence"]
    program, declared = (token.content for token in tokens if token.info == "yaml")
    (commands,) = (token.content for token in tokens if token.content.startswith("export AVMA_HTTPS=false"))
    file = tmp_path / "estate.yaml"
    file.write_text(relocated(declared), "utf-8")
    with running(load_estate(file)) as server:
        stack = Workspace(tmp_path / "pulumi", program.replace("hv01.example.com", HOST))
        done(f"set -e\n{commands}", stack)
        assert server.machine("web01")["activatedByHost"] == "HV01"
