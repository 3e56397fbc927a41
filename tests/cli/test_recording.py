"""`avma doctor --record` and `avma simulate --replay`: recordings contain no secrets, and replay to the same result."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from defusedxml.ElementTree import fromstring
from typer.testing import CliRunner

from avma import errors
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.settings import AddressedSettings
from avma.wsman.identify import identify
from avma.wsman.winrm_pipe import WinrmPipe
from avma.wsman.wsman_client import WsmanClient
from avma_cli.__main__ import app
from avma_simulator import EstateServer, load_estate, recording, running
from avma_simulator.wsman import soap
from cli.conftest import RECORDED, REPLAY_PASSWORD, REPLAYED, causes, diagnosed, recorded, replay, statuses
from cli.estate import ADMINISTRATOR, ESTATE, KEY, KEY_2012, PASSWORD, PLAIN
from loopback import address
from waiting import PATIENCE, wait_until

SECRETS = (
    PASSWORD,
    KEY,
    KEY_2012,
    ADMINISTRATOR,
    address(0).removesuffix("0"),
    "titania",
    "Payroll",
    "sleeper",
    "moth",
    "athens",
    "node1",
)
"""Texts that a recording must not contain, in any case."""
Diagnose = Callable[..., tuple[dict, dict]]


@pytest.fixture
def diagnosed_twice(shared: EstateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Diagnose:
    """Return a function that diagnoses a host and then its recording. It returns both documents."""

    def both(*arguments: object) -> tuple[dict, dict]:
        file = tmp_path / "recording.jsonl"
        original = diagnosed(*arguments, PLAIN, "--record", file)
        with replay(file):
            monkeypatch.setenv("AVMA_PASSWORD", REPLAY_PASSWORD)
            monkeypatch.setenv("AVMA_USERNAME", recorded(file)[0]["machines"][0]["username"])
            return original, diagnosed(REPLAYED, PLAIN)

    return both


@pytest.mark.parametrize("number", [1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 21, 22, 23])
def test_a_recording_replays_to_the_same_result(diagnosed_twice: Diagnose, number: int) -> None:
    original, again = diagnosed_twice(address(number))
    assert statuses(again) == statuses(original)
    assert [step["error"] and step["error"]["kind"] for step in again["steps"]] == [
        step["error"] and step["error"]["kind"] for step in original["steps"]
    ]
    nameless = ("cim", "virtualization", "shell", "system", "license", "hyperV", "powershellDirect", "vm")
    for before, after in zip(original["steps"], again["steps"], strict=True):
        if before["rung"] in nameless:
            assert _without_ids(after["found"]) == _without_ids(before["found"])


def _without_ids(found: str) -> str:
    """Return a text with the same value for all GUIDs, because a recording has stand-ins for them."""
    return re.sub(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "GUID", found)


def test_a_peer_that_is_down_is_down_in_the_replay(diagnosed_twice: Diagnose, shared: EstateServer) -> None:
    shared.power("node5", "off")
    original, again = diagnosed_twice(address(19))
    shared.power("node5", "running")
    assert statuses(again) == statuses(original)
    assert causes(again)[0]["error"]["answer"] == "the cluster reports the node as Down"


def test_a_recording_is_replayed_as_often_as_wanted(diagnosed_twice: Diagnose, tmp_path: Path) -> None:
    _, first = diagnosed_twice(address(16))
    with replay(tmp_path / "recording.jsonl"):
        assert diagnosed(REPLAYED, PLAIN) == diagnosed(REPLAYED, PLAIN) == first


@pytest.mark.parametrize("number", [1, 16])
def test_a_recording_holds_no_secret_and_no_name(shared: EstateServer, tmp_path: Path, number: int) -> None:
    file = tmp_path / "recording.jsonl"
    diagnosed("titania", "--address", address(number), PLAIN, "--record", file)
    text = file.read_text(encoding="utf-8").lower()
    assert not [secret for secret in SECRETS if secret.lower() in text]
    assert "46789" in text
    assert not re.search(r"(?:[a-z0-9]{5}-){4}[a-z0-9]{5}", text)


def test_every_exchange_is_recorded(shared: EstateServer, tmp_path: Path) -> None:
    shared.reset_counts()
    file = tmp_path / "recording.jsonl"
    diagnosed(address(1), PLAIN, "--record", file)
    first, *exchanges = recorded(file)
    assert first["format"] == "avma recording 1"
    counts = shared.counts()["titania"]
    # In addition to the messages, each connection authenticates, and one request asks for authentication methods.
    assert len(exchanges) == counts["requests"] - counts["handshakes"]
    for exchange in exchanges:
        assert exchange["machine"] == RECORDED
        assert exchange["seconds"] >= 0
        assert f":To>http://{RECORDED}:5985/wsman</" in exchange["request"] or "<s:Header/>" in exchange["request"]
        assert "<s:Body" in exchange["answer"]


def test_a_name_stands_for_the_same_thing_everywhere(shared: EstateServer, tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    diagnosed("node1", "--address", address(16), PLAIN, "--record", file)
    first, *exchanges = recorded(file)
    host, peer = first["machines"]
    nodes = next(e["answer"] for e in exchanges if "FROM MSCluster_Node<" in e["request"])
    listed = re.findall(r"<Name>(\w+)</Name>", nodes) or re.findall(r"<Name>(\w+)</Name>", _pulled(exchanges, nodes))
    assert host["name"] in listed
    interfaces = " ".join(e["answer"] for e in exchanges)
    assert f"<Address>{host['address']}</Address>" in interfaces
    assert f"<Address>{peer['address']}</Address>" in interfaces


def _pulled(exchanges: list[dict], enumerated: str) -> str:
    found = re.search(r"EnumerationContext>([^<]+)<", enumerated)
    assert found is not None
    return next(e["answer"] for e in exchanges if found[1] in e["request"])


def test_a_request_without_a_recorded_answer_gets_a_fault(shared: EstateServer, tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    diagnosed(address(1), PLAIN, "--record", file)
    settings = AddressedSettings(https=False, username="Hippolyta", password=REPLAY_PASSWORD)
    with (
        replay(file, "Hippolyta"),
        closing(WsmanClient(resolve(REPLAYED, settings), 1, WinrmPipe)) as cim,
    ):
        assert identify(cim, Deadline(20)).vendor == "Microsoft Corporation"
        with pytest.raises(errors.WsmanFault) as caught:
            cim.query(
                Context("list the services", cim.where, Deadline(20)), "root/cimv2", "SELECT Name FROM Win32_Service"
            )
    assert "The recording has no answer to this request: Enumerate SELECT Name FROM Win32_Service" in str(caught.value)


def test_a_line_of_a_recording_ends_where_it_ends(shared: EstateServer, tmp_path: Path) -> None:
    """Names may contain characters that end a line in Unicode but not in JSON."""
    file = tmp_path / "recording.jsonl"
    diagnosed(address(1), PLAIN, "--record", file)
    asked = soap.parse(recorded(file)[2]["request"].encode())
    text = file.read_text(encoding="utf-8")
    assert "Windows(R)" in text
    file.write_text(text.replace("Windows(R)", "Windows\u2028\u0085(R)"), encoding="utf-8")
    assert recording.load(file).answer(RECORDED, asked) is not None


def test_a_failed_sign_in_is_recorded(shared: EstateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVMA_PASSWORD", "Wrong-Horse-8")
    file = tmp_path / "recording.jsonl"
    diagnosed(address(1), PLAIN, "--record", file)
    (exchange,) = recorded(file)[1:]
    assert exchange["error"] == "LogonRefused: the service rejected the sign-in of user1 (401)"


@pytest.fixture
def replaying(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-m", "avma_cli", "simulate", "--replay", *map(str, arguments)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=PATIENCE)[1] == ""


def test_the_command_serves_a_recording(
    shared: EstateServer, tmp_path: Path, replaying: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, ready = tmp_path / "recording.jsonl", tmp_path / "ready.json"
    diagnosed(address(1), PLAIN, "--record", file)
    monkeypatch.delenv("AVMA_PASSWORD")
    replaying(file, "--port", 0, "--ready-file", ready)
    wait_until(ready.exists)
    (machine,) = json.loads(ready.read_text())["machines"]
    port = machine["urls"][0].rpartition(":")[2].removesuffix("/wsman")
    monkeypatch.setenv("AVMA_PASSWORD", "replay")
    assert diagnosed(RECORDED, PLAIN, "--port", port, "--username", "user1")["passed"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not a recording"),
        (" \n", "is not a recording"),
        ("[" * 9999, ":1: is not the first line of an `avma recording 1`"),
        (
            '{"format": "avma recording 1", "machines": [{"name": 5, "address": "127.77.0.1", "username": "u"}]}\n',
            ":1: is not the first line of an `avma recording 1`",
        ),
        ("hosts: []\n", ":1: is not the first line of an `avma recording 1`"),
        ('{"format": "avma recording 1", "machines": []}\n', "contains no machines"),
        (
            '{"format": "avma recording 1", "machines": [{"name": "a", "address": "10.0.0.1", "username": "u"}]}\n',
            ":1: contains a machine, an address or an account that the simulator cannot serve",
        ),
        (
            '{"format": "avma recording 1", "machines": [{"name": "a", "address": "127.77.0.1", "username": "u"}]}\n'
            '{"machine": "127.77.0.1", "request": "<no/>", "answer": ""}\n',
            ":2: is not a recorded request and answer",
        ),
    ],
)
def test_a_file_that_is_no_recording(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "recording.jsonl"
    file.write_text(content)
    result = CliRunner().invoke(app, ["simulate", "--replay", str(file)])
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_message_id_stands_in_its_answer_as_it_was_sent(shared: EstateServer, tmp_path: Path) -> None:
    file = tmp_path / "recording.jsonl"
    diagnosed(address(1), PLAIN, "--record", file)
    request = next(e["request"] for e in recorded(file)[1:] if "FROM Win32_OperatingSystem<" in e["request"])
    wanted = 'uuid:1</a:RelatesTo><b c="\\1">&'
    sent = re.sub("(MessageID>)[^<]+", lambda found: found[1] + escape(wanted), request).encode()
    settings = AddressedSettings(https=False, username="Hippolyta", password=REPLAY_PASSWORD)
    with replay(file, "Hippolyta"):
        pipe = WinrmPipe(resolve(REPLAYED, settings))
        answer = fromstring(pipe.send(Context("ask", "hv01", Deadline(20)), sent))
        pipe.close()
    assert answer.findtext(".//{*}RelatesTo") == wanted


@pytest.mark.parametrize("arguments", [[], ["estate.yaml", "--replay", "recording.jsonl"]])
def test_an_estate_or_a_recording(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["simulate", *arguments])
    assert result.exit_code == 2
    assert "pass either an estate file, or a recording with --replay" in result.stderr


def test_a_host_that_is_reached_by_ipv6_is_replayed_by_ipv4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = f'{{name: six, version: "2022", edition: Standard, address: "::1", username: Oberon, password: {PASSWORD}}}'
    estate, file = tmp_path / "estate.yaml", tmp_path / "recording.jsonl"
    estate.write_text(f"hosts:\n  - {host}\n")
    with running(load_estate(estate)) as server:
        original = diagnosed("::1", PLAIN, "--port", server.address("six")[1], "--record", file)
    assert "::1" not in file.read_text()
    with replay(file):
        monkeypatch.setenv("AVMA_PASSWORD", REPLAY_PASSWORD)
        assert statuses(diagnosed(REPLAYED, PLAIN, "--username", "user1")) == statuses(original)


def test_names_of_the_domain_name_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host has the name `localhost`, the only one that resolves without a network."""
    host = f'{{name: fqdn, version: "2022", edition: Datacenter, username: {ADMINISTRATOR}, password: {PASSWORD}}}'
    estate, file = tmp_path / "estate.yaml", tmp_path / "recording.jsonl"
    estate.write_text(f"hosts:\n  - {host}\n")
    assert "fqdn" not in ESTATE
    with running(load_estate(estate)) as server:
        arguments = ("--address", "localhost", PLAIN, "--port", server.address("fqdn")[1], "--record", file)
        diagnosed("hv01.lab.example", *arguments)
    text = file.read_text().lower()
    assert not [name for name in ("localhost", "hv01", "lab.example", "fqdn") if name in text]
    assert recorded(file)[0]["machines"][0]["address"] == RECORDED
