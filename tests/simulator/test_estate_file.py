from __future__ import annotations

from pathlib import Path

import pytest

from avma_simulator import FileError, load_estate
from simulator.conftest import ESTATE, MAK, write

HOST = "hosts:\n- name: hv01\n  version: '2025'\n  edition: Datacenter\n  username: a\n  password: b\n"
DECLARED = f"- {{key: {MAK}, channel: MAK, version: '2025', edition: Datacenter}}\n"
OTHER_VERSION = "a key for Windows Server 2022 Datacenter, but the machine runs 2025 Datacenter"
DUPLICATE = f"keys:\n{DECLARED}{DECLARED}{HOST}"


def mistakes(directory: Path, text: str) -> list[str]:
    path = write(directory, text)
    with pytest.raises(FileError) as caught:
        load_estate(path)
    return [line.removeprefix(f"{path}:").strip() for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["is empty"]),
        ("hosts: [", ["1: is not YAML: expected the node content, but found '<stream end>'"]),
        ("hosts:\n\t- a", ["2: is not YAML: found character '\\t' that cannot start any token"]),
        ("3", ["1: must be an object with fields"]),
        ("hosts: []", ["1: hosts: must not be empty"]),
        (HOST + "  password: c\n", ["7: hosts[0].password: is declared twice"]),
        (HOST + "  vms: 1\n", ["7: hosts[0].vms: must be a list"]),
        (HOST + "  ports: 1\n", ["7: hosts[0].ports: is not a valid field here"]),
        (HOST + "  http: {port: '1'}\n", ["7: hosts[0].http.port: must be a whole number"]),
        (HOST + "  http: {port: 70000}\n", ["7: hosts[0].http.port: must be less than or equal to 65535"]),
        (HOST + "  evaluation: perhaps\n", ["7: hosts[0].evaluation: must be true or false"]),
        (HOST + "  delays:\n    activation: soon\n", ["8: hosts[0].delays.activation: must be a number"]),
        (HOST + "  logons: []\n", ["7: hosts[0].logons: must not be empty"]),
        (
            HOST + "  logons: [digest]\n",
            [
                "7: hosts[0].logons[0]: must be 'ntlm', 'negotiate', 'kerberos', 'credssp', 'certificate' or 'basic'",
            ],
        ),
        (
            HOST + "  logons: [basic]\n",
            ["7: hosts[0].logons: basic needs https. Add an https listener, or another method, such as ntlm"],
        ),
        (
            HOST + "  logons: [ntlm, certificate]\n",
            ["7: hosts[0].logons: certificate needs `clientCertificate`, a PEM file of the certificate or its issuer"],
        ),
        (
            HOST + "  clientCertificate: /nowhere/client.pem\n",
            ["7: hosts[0].clientCertificate: cannot be read: No such file or directory"],
        ),
        (
            HOST + f"  clientCertificate: {Path(__file__).as_posix()}\n",
            ["7: hosts[0].clientCertificate: must be a PEM file with a certificate"],
        ),
        (
            HOST + "  keytab: /nowhere/machine.keytab\n",
            ["7: hosts[0].keytab: cannot be read: No such file or directory"],
        ),
        (
            HOST + "  channelBinding: maybe\n",
            ["7: hosts[0].channelBinding: must be 'none', 'relaxed' or 'strict'"],
        ),
        (HOST + "  address: nowhere\n", ["7: hosts[0].address: must be an IP address"]),
        (
            "control: {address: 0.0.0.0}\n" + HOST,
            [
                "1: control.address: must be a loopback address, such as 127.0.0.1. "
                "Other computers must not reach the simulator"
            ],
        ),
        (
            HOST.replace("'2025'", "2008"),
            [
                "3: hosts[0].version: must be '2012 R2', '2016', '1709', '1803', '2019', '1903', '1909', '2004', "
                "'20H2', '2022', '23H2', '2025', '21H2', '22H2' or '24H2'"
            ],
        ),
        (
            HOST + "  vms:\n  - {name: a, version: 22H2, edition: Standard}\n",
            [
                "8: hosts[0].vms[0].version: must be '2012 R2', '2016', '1709', '1803', '2019', '1903', '1909', "
                "'2004', '20H2', '2022', '23H2' or '2025'"
            ],
        ),
        (
            HOST + "  vms:\n  - {name: a, version: 23H2, edition: Standard}\n",
            ["8: hosts[0].vms[0].edition: is not available: Windows Server 23H2 has no edition Standard"],
        ),
        (
            HOST + "  vms:\n  - {name: a, version: 1909, edition: Standard, evaluation: true, serverCore: false}\n",
            [
                "8: hosts[0].vms[0].evaluation: is not allowed: Windows Server, version 1909 has no evaluation edition",
                "8: hosts[0].vms[0].serverCore: must be true for Windows Server, version 1909",
            ],
        ),
        (
            HOST + "  vms:\n  - {name: a, version: 2019, edition: Essentials, serverCore: true}\n",
            ["8: hosts[0].vms[0].serverCore: is not allowed: Essentials has no Server Core option"],
        ),
        (
            HOST.replace("Datacenter", "Essentials"),
            ["4: hosts[0].edition: is not available: Windows Server 2025 has no edition Essentials"],
        ),
        (
            HOST.replace("Datacenter", "Datacenter Azure Edition") + "  evaluation: true\n",
            ["7: hosts[0].evaluation: is not allowed: Datacenter Azure Edition has no evaluation edition"],
        ),
        (
            HOST.replace("hv01", "hv 01"),
            ["2: hosts[0].name: must be a computer name: at most 63 letters, digits, underscores and inner hyphens"],
        ),
        (
            HOST.replace("b\n", '"b\\nc"\n'),
            ["6: hosts[0].password: must not be empty and must not contain line breaks"],
        ),
        (
            HOST.replace(": a\n", ": 'a:b'\n"),
            [
                r"5: hosts[0].username: must be a user name: user, DOMAIN\user or user@domain, "
                'without any of "/[]:;|=,+*?<>'
            ],
        ),
        (
            HOST + HOST.replace("hosts:\n", "").replace("hv01", "HV01"),
            ["7: hosts[1].name: is the name of another host (see hosts[0].name)"],
        ),
        (HOST + "  vms: &v [*v]\n", ["is nested too deeply, or an alias contains itself"]),
        (HOST + "  license: {status: Licensed}\n", ["7: hosts[0].license.key: is required"]),
        (
            HOST + f"  license: {{key: {MAK}}}\n",
            ["7: hosts[0].license.key: is neither in `keys` nor a published key"],
        ),
        (
            HOST + "  license: {key: W3GNR-8DDXR-2TFRP-H8P33-DV9BG}\n",
            [f"7: hosts[0].license.key: is {OTHER_VERSION}"],
        ),
        (
            HOST + "  evaluation: true\n  license: {key: D764K-2NDRG-47T6Q-P8T8W-YP6DF}\n",
            ["8: hosts[0].license.key: is not allowed: an evaluation edition accepts no key. Remove `license`"],
        ),
        (DUPLICATE, ["3: keys[1].key: is declared twice (see keys[0].key)"]),
        (
            HOST + "  vms:\n  - {name: a, version: 2022, edition: Standard, username: x}\n",
            ["8: hosts[0].vms[0]: password is missing: an account needs both username and password"],
        ),
        (
            HOST + "  vms:\n  - {name: a, version: 2022, edition: Standard, http: {}}\n",
            ["8: hosts[0].vms[0]: a listener needs username and password"],
        ),
        (
            HOST + "  vms:\n  - {name: a, version: 2022, edition: Standard, id: x}\n",
            ["8: hosts[0].vms[0].id: must be a GUID"],
        ),
        (
            HOST + "  http: {port: 5985}\n  https:\n    port: 5985\n",
            ["9: hosts[0].https.port: is used by another listener at this address (see hosts[0].http.port)"],
        ),
    ],
)
def test_each_mistake_is_named_with_its_line(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert mistakes(tmp_path, text) == expected


def test_several_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = HOST.replace("  username: a\n", "") + "  rights: some\n  vms:\n  - {name: '', version: 2022}\n"
    assert mistakes(tmp_path, text) == [
        "2: hosts[0].username: is required",
        "6: hosts[0].rights: must be 'administrator', 'wmi', 'shell', 'user' or 'none'",
        "8: hosts[0].vms[0].name: must be 1 to 100 printable characters",
        "8: hosts[0].vms[0].edition: is required",
    ]


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "absent.yaml"
    with pytest.raises(FileError) as caught:
        load_estate(path)
    assert str(caught.value) == f"{path}: cannot be read: No such file or directory"


def test_a_wrong_key_is_not_repeated(tmp_path: Path) -> None:
    text = HOST + "keys:\n- {key: SECRET-SECRET, channel: MAK, version: '2025', edition: Datacenter}\n"
    (found,) = mistakes(tmp_path, text)
    assert found.startswith("8: keys[0].key: is not a product key")
    assert "SECRET" not in found


def test_an_estate_shows_no_secret(tmp_path: Path) -> None:
    shown = repr(load_estate(write(tmp_path, ESTATE)))
    assert "Pa55w.rd" not in shown
    assert MAK not in shown


def test_vm_ids_follow_from_the_names_and_differ(tmp_path: Path) -> None:
    vms = "  vms:\n" + "  - {name: twin, version: 2022, edition: Standard}\n" * 2
    host = load_estate(write(tmp_path, HOST + vms)).hosts[0]
    again = load_estate(write(tmp_path, HOST.replace("hv01", "HV01") + vms)).hosts[0]
    assert host.vm_id(0) != host.vm_id(1)
    assert [host.vm_id(0), host.vm_id(1)] == [again.vm_id(0), again.vm_id(1)]


@pytest.mark.parametrize(
    ("lines", "schemes"),
    [
        ("", ["Http"]),
        ("  https: {}\n", ["Https"]),
        ("  http: null\n", []),
        ("  http: {}\n  https: {}\n", ["Http", "Https"]),
    ],
)
def test_listeners(tmp_path: Path, lines: str, schemes: list[str]) -> None:
    listeners = load_estate(write(tmp_path, HOST + lines)).hosts[0].listeners
    assert [type(listener).__name__ for listener in listeners] == schemes


def test_fields_can_be_shared_by_a_merge_key(tmp_path: Path) -> None:
    vms = "  vms:\n  - &vm {name: a, version: 2022, edition: Standard}\n  - {<<: *vm, name: b}\n"
    assert [vm.name for vm in load_estate(write(tmp_path, HOST + vms)).hosts[0].vms] == ["a", "b"]


@pytest.mark.parametrize("word", ["off", "'off'", '"off"'])
def test_a_state_needs_no_quotes(tmp_path: Path, word: str) -> None:
    vms = f"  vms:\n  - {{name: a, version: 2022, edition: Standard, state: {word}}}\n"
    assert load_estate(write(tmp_path, HOST + vms)).hosts[0].vms[0].state == "off"


@pytest.mark.parametrize(
    ("word", "value"),
    [("on", True), ("'Yes'", True), ("TRUE", True), ("off", False), ("no", False), ("False", False)],
)
def test_switches_are_on_and_off_in_any_words(tmp_path: Path, word: str, value: bool) -> None:
    assert load_estate(write(tmp_path, HOST + f"  online: {word}\n")).hosts[0].online is value


@pytest.mark.parametrize("text", ["no", "On", "2025-01-01", "12:30:45", "0123", "pass:word", "~x"])
def test_text_that_looks_like_something_else_is_text(tmp_path: Path, text: str) -> None:
    assert load_estate(write(tmp_path, HOST.replace("password: b", f"password: {text}"))).hosts[0].password == text


def test_kerberos_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gssapi")
    monkeypatch.delenv("KRB5_KTNAME", raising=False)
    (found,) = mistakes(tmp_path, HOST + "  logons: [ntlm, kerberos]\n")
    assert found.startswith("7: hosts[0].logons: kerberos needs a keytab file: set `keytab`")
