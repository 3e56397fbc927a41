"""`avma conformance`: differences, reports without names, recordings that replay, and services other than Windows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from avma.windows.machine import GuestMachine, Server
from avma.wsman.script import Credential
from avma_cli.__main__ import app
from avma_conformance import facts
from avma_conformance.facts import FACTS
from avma_simulator import EstateServer
from avma_simulator.winrm import http_endpoint
from avma_simulator.winrm.wsman_service import Service
from avma_simulator.wsman import soap, wsman_faults
from cli.conftest import REPLAY_PASSWORD, REPLAYED, recorded, replay
from cli.estate import ADMINISTRATOR, HEALTHY, KEY, PASSWORD, PLAIN
from conformance.test_runs import mistaken, unanswered
from core.raw_server import serving

SECRETS = (PASSWORD, KEY, ADMINISTRATOR, "titania", "Payroll", "sleeper", "moth")
WITH_NAMES = {"Licensing", "Hyper-V", "PowerShell remoting", "PowerShell Direct", "Remote shells"}
"""The areas with facts about names, ids and secrets. A recording does not contain them, so a replay must differ."""
OF_OMI = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
 xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"><s:Body><i:IdentifyResponse>
<i:ProtocolVersion>1</i:ProtocolVersion><i:ProductVendor>Open Management Infrastructure</i:ProductVendor>
<i:ProductVersion>1.9.1-0</i:ProductVersion></i:IdentifyResponse></s:Body></s:Envelope>"""


def http(media_type: str, body: str) -> bytes:
    """Return an HTTP answer."""
    return f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


def conformance(*arguments: object, code: int = 0) -> Result:
    """Run the command against the healthy host."""
    result = CliRunner().invoke(app, ["conformance", *map(str, arguments)])
    assert PASSWORD not in result.output
    assert result.exit_code == code, result.output
    return result


def report(*arguments: object, code: int = 0, folder: Path) -> dict:
    """Run the command, and return its JSON report."""
    conformance(HEALTHY, PLAIN, "--json", folder / "report.json", *arguments, code=code)
    found: dict = json.loads((folder / "report.json").read_text("utf-8"))
    return found


def verdicts(document: dict) -> dict[str, str]:
    return {fact["name"]: fact["verdict"] for fact in document["facts"]}


def without_language(envelope: Callable[..., bytes]) -> Callable[..., bytes]:
    """Return the function that writes answers, changed so that their envelope names no language."""
    return lambda *arguments, **named: envelope(*arguments, **{**named, "locale": ""})


def differing(document: dict) -> set[str]:
    return {fact["name"] for fact in document["facts"] if fact["verdict"] == "differs"}


def test_the_simulator_confirms_every_fact_that_it_can_show(shared: EstateServer, tmp_path: Path) -> None:
    document = report("--harmless", folder=tmp_path)
    assert differing(document) == set()
    assert document["counts"]["no answer"] == 0
    assert document["counts"]["holds"] > 30
    assert document["windows"] == {"name": "Windows Server 2022 Datacenter", "build": 20348, "simulated": True}
    assert {fact["name"] for fact in document["facts"]} == {fact.name for fact in FACTS}


def test_facts_that_change_something_need_an_option(shared: EstateServer, tmp_path: Path) -> None:
    document = report(folder=tmp_path)
    ran = {fact["effect"] for fact in document["facts"] if fact["verdict"] != "not run"}
    assert ran == {"reads only"}


def test_three_changed_facts_are_the_differences(
    shared: EstateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = Service._identity
    monkeypatch.setattr(Service, "_identity", lambda self, _: identity(self, "10.0.1"))
    monkeypatch.setattr(soap, "envelope", without_language(soap.envelope))
    monkeypatch.setattr(wsman_faults, "SMALL_ENVELOPE", wsman_faults.SMALL_ENVELOPE + 1)
    document = report("--harmless", code=1, folder=tmp_path)
    assert differing(document) == {
        "envelope-names-a-language",
        "identify-reports-the-build",
        "envelope-below-8192-bytes-is-encoding-limit",
    }
    (fact,) = (fact for fact in document["facts"] if fact["name"].startswith("envelope-below"))
    assert fact["expected"].replace("0x8033807E", "0x8033807F") == fact["found"]
    assert any('Code="2150858879"' in answer for answer in fact["answers"])


def test_reports_and_recordings_contain_no_names_and_no_secrets(shared: EstateServer, tmp_path: Path) -> None:
    files = {option: tmp_path / name for option, name in OUTPUTS.items()}
    conformance(HEALTHY, PLAIN, "--harmless", *(part for pair in files.items() for part in pair))
    for file in files.values():
        text = file.read_text("utf-8").casefold()
        assert [secret for secret in SECRETS if secret.casefold() in text] == []


OUTPUTS = {"--json": "r.json", "--markdown": "r.md", "--html": "r.html", "--record": "r.jsonl"}


def test_a_recording_replays_to_the_same_results(
    shared: EstateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = report("--record", tmp_path / "r.jsonl", folder=tmp_path)
    with replay(tmp_path / "r.jsonl"):
        monkeypatch.setenv("AVMA_PASSWORD", REPLAY_PASSWORD)
        monkeypatch.setenv("AVMA_USERNAME", recorded(tmp_path / "r.jsonl")[0]["machines"][0]["username"])
        conformance(REPLAYED, PLAIN, "--json", tmp_path / "again.json", code=1)
    again = json.loads((tmp_path / "again.json").read_text("utf-8"))
    differ = {fact["area"] for fact in again["facts"] if fact["verdict"] != verdicts(original)[fact["name"]]}
    assert differ <= WITH_NAMES
    assert again["windows"] == original["windows"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            http("application/soap+xml;charset=UTF-8", OF_OMI),
            "this is Open Management Infrastructure 1.9.1-0, not Windows",
        ),
        (
            http("text/html", "<html>It works!</html>"),
            "the service returned text/html (HTTP 200), which WinRM never sends",
        ),
    ],
)
def test_another_service_than_windows_is_named(tmp_path: Path, answer: bytes, said: str) -> None:
    with serving(tmp_path, answer) as port:
        result = conformance("127.0.0.1", "--port", port, "--auth", "basic", "--insecure", code=3)
    assert said in result.stderr
    assert "Traceback" not in result.output


@pytest.fixture
def presented(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect the names of the VMs that receive an account."""
    found: list[str] = []
    guest = Server.guest

    def presenting(self: Server, vm_id: str, name: str, account: Credential) -> GuestMachine:
        found.append(name)
        return guest(self, vm_id, name, account)

    monkeypatch.setattr(Server, "guest", presenting)
    monkeypatch.setenv("AVMA_GUEST_PASSWORD", PASSWORD)
    return found


def test_only_the_named_vm_receives_the_guest_account(shared: EstateServer, presented: list[str]) -> None:
    account = ("--guest-username", ADMINISTRATOR, "--vm", "moth")
    conformance(HEALTHY, PLAIN, "--only", "identify", *account)
    assert presented == []
    conformance(HEALTHY, PLAIN, "--only", "guest", *account)
    assert set(presented) == {"moth"}


@pytest.mark.parametrize("vm", ["nobody", "sleeper"])
def test_another_vm_does_not_take_the_place_of_the_named_one(
    shared: EstateServer, presented: list[str], tmp_path: Path, vm: str
) -> None:
    document = report("--only", "firmware", "--guest-username", ADMINISTRATOR, "--vm", vm, folder=tmp_path)
    assert (presented, set(verdicts(document).values())) == ([], {"not here"})


def test_a_guest_account_needs_a_vm_and_a_vm_an_account(shared: EstateServer, presented: list[str]) -> None:
    assert "--vm" in conformance(HEALTHY, PLAIN, "--guest-username", ADMINISTRATOR, code=2).stderr
    assert "--guest-username" in conformance(HEALTHY, PLAIN, "--vm", "moth", code=2).stderr
    assert presented == []


def test_a_machine_that_stops_answering_ends_with_3(
    shared: EstateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "FACTS", (*(replace(unanswered, name=f"silent-{i}") for i in range(4)),))
    result = conformance(HEALTHY, PLAIN, "--json", tmp_path / "r.json", "--markdown", tmp_path / "r.md", code=3)
    assert "did not answer 3 facts" in result.stdout
    assert "did not answer 3 facts" in (tmp_path / "r.md").read_text("utf-8")
    assert json.loads((tmp_path / "r.json").read_text("utf-8"))["counts"]["not run"] == 1


def test_a_difference_counts_more_than_a_missing_answer(shared: EstateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts, "FACTS", (unanswered, mistaken))
    assert "the check itself failed: TypeError" in conformance(HEALTHY, PLAIN, code=1).stdout


def test_a_difference_in_http_has_its_answer_in_the_report(
    shared: EstateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = http_endpoint._empty
    monkeypatch.setattr(http_endpoint, "_empty", lambda status, *rest: empty(403 if status == 404 else status, *rest))
    document = report("--only", "404", "--markdown", tmp_path / "r.md", code=1, folder=tmp_path)
    (answer,) = next(fact["answers"] for fact in document["facts"] if fact["verdict"] == "differs")
    assert answer.startswith("HTTP 403\n")
    assert "```text\nHTTP 403\n" in (tmp_path / "r.md").read_text("utf-8")
