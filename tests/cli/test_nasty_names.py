"""Recordings of machines with unusual names contain none of these names."""

from __future__ import annotations

import json
import re
import socket
from base64 import b64decode
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import yaml

from avma_simulator import load_estate, running
from cli.conftest import REPLAY_PASSWORD, REPLAYED, diagnosed, recorded, replay, statuses
from loopback import address

KEY = "BCDFG-HJKMN-PQRTV-WXY23-46789"
ACCOUNT = {"username": "Zoë.Quince", "password": "Correct-Horse-7"}
LICENSED = {"version": "2022", "edition": "Datacenter", "license": {"key": KEY}, **ACCOUNT}
HOST, PEER, CLUSTER, DOMAIN = "q7", "Z", "athena-9", "woods.example"
VMS = (
    "20190817",
    "10.0.17",
    "x",
    "İstanbul-DB",
    "straße-04",
    "Payroll & <Söhne>",
    "O'Brien's \"box\"",
    "S-1-5-21-11111-22222-33333-1104",
    "00:15:5D:0A:0B:0C",
    "0015.5d0a.0b0d",
    "\\\\filer\\share",
    "C:\\Users\\vera",
    "CN=Vera,OU=Night Wood,DC=woods",
    "vera@woods.example",
    "WOODS\\vera",
    "010.020.030.040",
    "fe80::abcd:1%7",
    "::ffff:10.9.8.7",
    "PT77M",
    "2031-05-06T07:08:09Z",
    "0xBADC0FFE",
    "{7D1E5F60-1111-4222-8333-444455556666}",
    "uuid:7D1E5F60-1111-4222-8333-444455556667",
    "支店サーバー",
    "http://schemas.microsoft.com/puck",
    "http://q7:5985/wsman",
    "Windows(R), Puck edition",
    "Windows Operating System, PUCK channel",
    "<INSTANCE>vera</INSTANCE>",
    "Win32_Vera",
    "SELECT vera",
    "-4711",
)
"""Names of VMs. Hyper-V accepts each of them."""


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Resolve the hosts by names of one and of two letters."""
    look_up = socket.getaddrinfo
    addresses = {HOST: address(101), f"{HOST}.{DOMAIN}": address(101), f"{PEER.lower()}.{DOMAIN}": address(102)}

    def resolved(host: str, *arguments: Any, **keywords: Any) -> Any:
        return look_up(addresses.get(str(host).lower(), host), *arguments, **keywords)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)


@pytest.fixture
def recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: None) -> Iterator[tuple[Path, dict]]:
    monkeypatch.setenv("AVMA_USERNAME", ACCOUNT["username"])
    vms = [{"name": name, "version": "2022", "edition": "Standard"} for name in VMS]
    estate = {
        "keys": [{"key": KEY, "channel": "MAK", "version": "2022", "edition": "Datacenter", "activations": 9}],
        "hosts": [
            {"name": HOST, "address": address(101), "http": {"port": 5985}, "vms": vms, **LICENSED},
            {"name": PEER, "address": address(102), "http": {"port": 5985}, **LICENSED},
        ],
        "clusters": [{"name": CLUSTER, "nodes": [HOST, PEER], "address": address(109), "http": {"port": 5985}}],
    }
    described, file = tmp_path / "estate.yaml", tmp_path / "recording.jsonl"
    described.write_text(yaml.safe_dump(estate, allow_unicode=True), encoding="utf-8")
    with running(load_estate(described)):
        yield file, diagnosed(f"{HOST}.{DOMAIN}", "--no-https", "--record", file)


def test_none_of_the_names_is_in_the_file(recording: tuple[Path, dict]) -> None:
    file, found = recording
    assert [step["rung"] for step in found["steps"]].count("vm") == len(VMS)
    assert ("peer", "pass") in statuses(found)
    texts = "\n".join(_texts(recorded(file)))
    for name in (*VMS, HOST, PEER, CLUSTER, DOMAIN, "woods", *ACCOUNT.values(), "zoë", "quince", address(0)[:-2], KEY):
        for spelling in {name, name.lower(), name.upper(), name.casefold()}:
            pattern = rf"(?<![A-Za-z0-9]){re.escape(spelling)}(?![A-Za-z0-9])"
            # that is also a stand-in: the prefix of XML names, a part of a time or an interval
            where = [texts[max(0, m.start() - 60) : m.end() + 20] for m in re.finditer(pattern, texts)]
            assert not [each for each in where if not _is_xml(each, spelling)], name
    for part in ("vera", "puck", "filer", "Söhne", "Brien", "bul-", "7D1E5F60", "33333", "badc0ffe", "支店"):
        assert part.lower() not in texts.lower()


def test_what_answers_questions_is_in_the_file(recording: tuple[Path, dict]) -> None:
    file, _ = recording
    texts = "\n".join(_texts(recorded(file)))
    for kept in (
        "<LicenseFamily>ServerDatacenter</LicenseFamily>",
        "Windows(R) Operating System, VOLUME_MAK channel",
        "<PartialProductKey>46789</PartialProductKey>",
        "<Version>10.0.20348.1</Version>",
        "Windows Server 2022 Standard",
        "<w:Filter Dialect=",
    ):
        assert kept in texts


def test_relations_between_machines_stay(recording: tuple[Path, dict]) -> None:
    file, _ = recording
    texts = "\n".join(_texts(recorded(file)))
    ids = set(re.findall(r"<Name>([0-9a-f-]{36})</Name>", texts))
    assert len(ids) == len(VMS)
    assert ids == set(re.findall(r"<SystemName>([0-9a-f-]{36})</SystemName>", texts))
    assert ids == set(re.findall(r"<InstanceID>Microsoft:([0-9a-f-]{36})\\", texts))
    host, peer = (machine["name"] for machine in recorded(file)[0]["machines"])
    label, _, domain = host.partition(".")
    assert domain == "domain1.invalid"
    assert f"<Name>{label}</Name>" in texts
    assert f"<Name>{peer}</Name>" in texts


def test_it_replays_to_the_same_result(recording: tuple[Path, dict], monkeypatch: pytest.MonkeyPatch) -> None:
    file, found = recording
    monkeypatch.setenv("AVMA_PASSWORD", REPLAY_PASSWORD)
    monkeypatch.setenv("AVMA_USERNAME", "user1")
    with replay(file):
        again = diagnosed(REPLAYED, "--no-https")
    assert statuses(again) == statuses(found)


def _texts(lines: list[dict]) -> Iterator[str]:
    """Yield every text of a recording, as it is and decoded."""
    for line in lines:
        yield json.dumps(line, ensure_ascii=False)
        for value in (line.get("request", ""), line.get("answer", ""), line.get("error", "")):
            yield value
            yield unescape(unescape(value))
            for data in re.findall(r">([A-Za-z0-9+/=]{8,})</(?:\w+:)?(?:Stream|Arguments|creationXml)>", value):
                yield from (text.decode(errors="replace") for text in _fragments(b64decode(data)))


def _fragments(data: bytes) -> Iterator[bytes]:
    """Yield the text of each PSRP fragment ([MS-PSRP] 2.2.4), without the header of a message.

    The header has two random IDs, which can contain any letter.
    """
    while data:
        size = int.from_bytes(data[17:21], "big")
        blob = data[21 : 21 + size]
        yield blob[40:] if data[16] & 1 else blob
        data = data[21 + size :]


def _is_xml(text: str, name: str) -> bool:
    """Return True if the name matches a letter of XML or of a time: `<x:Name`, `xmlns:x=`, `12:00:00Z`."""
    at = re.escape(name)
    return len(name) == 1 and re.search(rf"</?{at}:|xmlns:{at}=|\d{at}\b|[\"' ]{at}:\w", text) is not None
