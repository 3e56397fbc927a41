"""`avma report`: the content of each output format, and exit codes."""

from __future__ import annotations

import csv
import io
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from avma_simulator import EstateServer, load_estate, running
from loopback import address
from report.conftest import hosts, report, reported, vms, written
from report.estate import CLUSTER, ESTATE, LIST, LONE, N1, N2, N3, NOBODY, SECRETS, elsewhere
from terminals import on_terminal
from waiting import PATIENCE

AVMA = [sys.executable, "-W", "error", "-m", "avma_cli", "report"]
LEFT_OPEN = 3
"""The exit code if a machine did not answer. Here, these are the guest `stranger` and the one of 2012 R2."""


def test_the_message_names_license_key_and_host(shared: EstateServer, estate: Path) -> None:
    document = reported(estate, code=LEFT_OPEN)
    assert not document["complete"]
    assert list(hosts(document)) == ["n1", "n2", "n3", "lone.example.com"]
    n1, n3, lone = (hosts(document)[name] for name in ("n1", "n3", "lone.example.com"))
    assert (n1["address"], n1["cluster"], n1["clusterState"]) == (N1, CLUSTER, "Up")
    assert (n1["osVersion"], n1["edition"]) == ("2025", "Datacenter")
    assert (n1["licenseStatus"], n1["licenseChannel"], n1["partialProductKey"]) == ("Licensed", "VOLUME_MAK", "46789")
    assert (n1["activatesGuests"], n3["activatesGuests"], n3["licenseStatus"]) == (True, False, "OOBGrace")
    assert (lone["address"], "cluster" in lone) == (LONE, False)
    payroll = vms(document)["payroll"]
    assert (payroll["answer"], payroll["licenseStatus"]) == ("answered", "Licensed")
    assert (payroll["licenseChannel"], payroll["partialProductKey"]) == ("VIRTUAL_MACHINE_ACTIVATION", "78VHK")
    assert (payroll["activatedByHost"], payroll["guestVersion"]) == ("N1", "2022")
    assert payroll["lastActivationTime"]
    assert vms(document)["web9"]["licenseStatus"] == "OOBGrace"


def test_a_guest_that_is_not_read_shows_what_its_host_knows(shared: EstateServer, estate: Path) -> None:
    found = vms(reported(estate, code=LEFT_OPEN))
    stranger, sleeper, odd = found["stranger"], found["sleeper"], found["<b>odd & 'named'</b>"]
    assert (stranger["answer"], stranger["guestVersion"], stranger["guestEdition"]) == ("failed", "2022", "Standard")
    assert "credential" in stranger["problem"]
    assert "AVMA_GUEST_PASSWORD" in stranger["remedy"]
    assert stranger["remedy"].endswith(". See: avma explain logon-uncertain")
    assert (sleeper["answer"], sleeper["running"], "licenseStatus" in sleeper) == ("off", False, False)
    assert (odd["answer"], odd["guestVersion"]) == ("failed", "2012 R2")


def test_guests_without_an_account_are_not_asked(
    shared: EstateServer, estate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AVMA_GUEST_PASSWORD")
    shared.reset_counts()
    found = vms(reported(written(estate, LIST.partition("hosts:")[0])))
    assert {vm["answer"] for vm in found.values()} == {"notAsked", "off"}
    assert (found["payroll"]["guestName"], found["payroll"]["guestVersion"]) == ("PAYROLL", "2022")
    assert "`AVMA_GUEST_PASSWORD` is not set" in found["payroll"]["problem"]
    assert shared.counts()["n1"]["pipelines"] == 0


def test_it_changes_nothing(shared: EstateServer, estate: Path) -> None:
    report(estate, "--quiet", code=LEFT_OPEN)
    shared.reset_counts()
    report(estate, "--quiet", code=LEFT_OPEN)
    counts = shared.counts()
    asked = {operation for machine in counts.values() for operation in machine["operations"]}
    assert asked <= {"Enumerate", "Pull"} | {operation for operation in asked if operation.startswith("Shell/")}
    assert all(machine["openShells"] == 0 for machine in counts.values())
    assert counts["n1"]["pools"] == 1
    assert 1 <= counts["n1"]["pipelines"] <= 3  # at most one for each guest, and one for all guests that wait together


def test_machines_that_are_down_are_shown_and_have_their_exit_code(tmp_path: Path) -> None:
    file = written(tmp_path / "simulated.yaml", elsewhere(ESTATE))
    down = elsewhere(LIST.replace("hosts:", f"hosts:\n  - {NOBODY}"))
    with running(load_estate(file)) as server:
        server.power("n2", "off")
        document = reported(written(tmp_path / "list.yaml", down), code=LEFT_OPEN)
    seen = {name: (host["answer"], host.get("clusterState")) for name, host in hosts(document).items()}
    assert (seen["n2"], seen["n1"]) == (("down", "Down"), ("answered", "Up"))
    assert seen[elsewhere(NOBODY)] == ("down", None)
    assert "nothing listens" in hosts(document)[elsewhere(NOBODY)]["problem"]


def test_everything_answered_is_zero(shared: EstateServer, tmp_path: Path) -> None:
    only = LIST.partition("clusters:")[0] + f"hosts: [{N1}]"
    assert reported(written(tmp_path / "list.yaml", only))["complete"]


def test_a_cluster_that_cannot_be_asked(shared: EstateServer, tmp_path: Path) -> None:
    only = LIST.partition("clusters:")[0] + f"clusters: [{NOBODY}, {LONE}]"
    clusters = reported(written(tmp_path / "list.yaml", only), code=LEFT_OPEN)["clusters"]
    assert [(each["cluster"], each["answer"]) for each in clusters] == [(LONE, "failed"), (NOBODY, "down")]


def test_a_host_that_is_a_node_too_is_asked_once(shared: EstateServer, tmp_path: Path) -> None:
    twice = LIST.partition("clusters:")[0] + f"clusters: [{CLUSTER}]\nhosts: [{N1}, {N3}]"
    document = reported(written(tmp_path / "list.yaml", twice), code=LEFT_OPEN)
    assert [host["host"] for host in document["hosts"]] == ["n1", "n2", "n3"]


def test_guests_over_the_network(tmp_path: Path) -> None:
    simulated = ESTATE.replace("name: payroll,", f"name: payroll, address: {address(11)}, http: {{port: 5985}},")
    reaching = LIST.partition("clusters:")[0].replace("guest: {", "guest: {https: false, ") + f"hosts: [{N1}]"
    with running(load_estate(written(tmp_path / "simulated.yaml", elsewhere(simulated)))):
        document = reported(
            written(tmp_path / "list.yaml", elsewhere(reaching)), "--guest-transport", "winrm", code=LEFT_OPEN
        )
    assert vms(document)["payroll"]["licenseStatus"] == "Licensed"
    assert vms(document)["web9"]["answer"] != "answered"


def test_malformed_data_of_a_guest_hides_no_other_vm(tmp_path: Path) -> None:
    simulated = ESTATE.replace("{name: web9,", "{name: web9, dataExchangeItems: ['<INSTANCE>'],")
    only = LIST.partition("clusters:")[0] + f"hosts: [{N1}]"
    with running(load_estate(written(tmp_path / "simulated.yaml", elsewhere(simulated)))):
        said = report(written(tmp_path / "list.yaml", elsewhere(only)), "--json")
    document, _ = json.JSONDecoder().raw_decode(said, said.index("{"))
    assert "web9: the guest reports malformed data through Data Exchange" in said
    assert set(vms(document)) == {"payroll", "web10", "web9"}
    assert vms(document)["payroll"]["licenseStatus"] == "Licensed"


def test_a_host_that_lists_nothing_is_shown_as_failed(tmp_path: Path) -> None:
    simulated = ESTATE.replace(f"address: {N1}\n", f"address: {N1}\n    rights: user\n")
    only = LIST.partition("clusters:")[0] + f"hosts: [{N1}]"
    with running(load_estate(written(tmp_path / "simulated.yaml", elsewhere(simulated)))):
        document = reported(written(tmp_path / "list.yaml", elsewhere(only)), code=LEFT_OPEN)
    (host,) = document["hosts"]
    assert (host["answer"], host["vms"]) == ("failed", [])
    assert "Hyper-V Administrators" in host["problem"]


def test_the_tables(shared: EstateServer, estate: Path) -> None:
    lines = report(estate, code=LEFT_OPEN).splitlines()
    payroll = next(line for line in lines if " payroll " in line)
    for part in ("n1", "2022 Standard", "✓ Activated", "…78VHK", "N1"):
        assert part in payroll
    assert "2 of 4 hosts licensed, 0 not read. 3 of 7 VMs licensed, 1 not licensed, 1 off, 2 not read." in lines[-1]


def test_csv(shared: EstateServer, estate: Path) -> None:
    lines = list(csv.DictReader(io.StringIO(report(estate, "--csv", code=LEFT_OPEN))))
    assert [line["kind"] for line in lines].count("host") == 4
    (mail,) = (line for line in lines if line["vmName"] == "mail")
    assert (mail["cluster"], mail["host"], mail["activatedByHost"]) == (CLUSTER, "n2", "N2")
    assert (mail["partialProductKey"], mail["running"]) == ("CWG3J", "true")


def test_a_text_that_begins_like_a_formula_is_none(tmp_path: Path) -> None:
    simulated = ESTATE.replace("name: payroll,", "name: '=1+1',")
    only = LIST.partition("clusters:")[0] + f"hosts: [{N1}]"
    with running(load_estate(written(tmp_path / "simulated.yaml", elsewhere(simulated)))):
        lines = csv.DictReader(io.StringIO(report(written(tmp_path / "list.yaml", elsewhere(only)), "--csv")))
        assert "'=1+1" in [line["vmName"] for line in lines]


def test_quiet_prints_nothing_and_writes_the_files(shared: EstateServer, estate: Path, tmp_path: Path) -> None:
    page, imported = tmp_path / "report.html", tmp_path / "import.json"
    assert report(estate, "-q", "--html", page, "--import-file", imported, code=LEFT_OPEN) == ""
    for file in (page, imported):
        assert file.stat().st_size
        assert not [secret for secret in SECRETS if secret in file.read_text(encoding="utf-8")]


def test_a_file_that_cannot_be_written(shared: EstateServer, estate: Path, tmp_path: Path) -> None:
    said = report(estate, "-q", "--html", tmp_path / "absent" / "report.html", code=1)
    assert "--html: cannot write " in said
    assert ": No such file or directory" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--json", "--csv"], "cannot be combined"),
        (["--json", "--quiet"], "cannot be combined"),
        (["--timeout", "soon"], "--timeout: must be a duration"),
        (["--auth", "magic"], "'magic' is not one of 'ntlm', 'negotiate'"),
        (["--guest-transport", "pigeon"], "'pigeon' is not one of 'powershellDirect', 'winrm'"),
    ],
)
def test_options_that_cannot_be(estate: Path, arguments: list[str], said: str) -> None:
    assert said in " ".join(report(estate, *arguments, code=2).split())


def on_a_terminal(estate: Path, **environment: str) -> str:
    """Run the command on a terminal, and return its output."""
    known = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    environment = {**known, "TERM": "xterm-256color", "COLUMNS": "160", **environment}
    return on_terminal([*AVMA, str(estate)], environment, LEFT_OPEN)


def test_a_terminal_shows_progress_and_colours(shared: EstateServer, estate: Path) -> None:
    said = on_a_terminal(estate)
    assert "4/4" in said
    assert "\x1b[32m✓ Activated" in said


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "cp1252", "utf-8"])
def test_an_output_without_utf_8_shows_what_it_can(shared: EstateServer, estate: Path, encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "COLUMNS": "200"}
    done = subprocess.run([*AVMA, str(estate)], capture_output=True, env=environment, check=False)
    assert done.returncode == LEFT_OPEN, done.stderr
    assert "Activated" in done.stdout.decode(encoding)


def test_no_color(shared: EstateServer, estate: Path) -> None:
    said = on_a_terminal(estate, NO_COLOR="1")
    assert "✓ Activated" in said
    assert "\x1b[32m" not in said
    assert "\x1b[1;31m" not in said


def test_n2_is_there_for_all(shared: EstateServer, tmp_path: Path) -> None:
    """Each warning appears once, even if it concerns several machines."""
    only = LIST.partition("clusters:")[0].replace("guest: {", "guest: {port: 1, ") + f"hosts: [{N2}]"
    guest = f"hosts:\n- {{host: {N2}, guest: {{port: 1}}}}"
    said = report(written(tmp_path / "list.yaml", only.partition("hosts:")[0] + guest), code=LEFT_OPEN)
    assert said.count("warning: mail: PowerShell Direct ignores `guest.port` (only for `--guest-transport winrm`)") == 1


def test_ctrl_c_stops_it(tmp_path: Path) -> None:
    """The machine accepts the connection but does not answer. The running request ends by its own timeout."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = f"{{https: false, port: {port}, username: a, operationTimeout: 2s}}"
        file = written(tmp_path / "list.yaml", f"settings: {settings}\nhosts: [127.0.0.1]")
        process = subprocess.Popen([*AVMA, str(file)], stderr=subprocess.PIPE, text=True)
        with process, silent.accept()[0] as connection:
            connection.recv(1)
            process.send_signal(signal.SIGINT)
            said = process.communicate(timeout=PATIENCE)[1]
    assert (process.returncode, said) == (130, "stopped\n")


def test_a_secret_in_an_answer_is_taken_out(tmp_path: Path) -> None:
    """A secret in the list is removed as well."""
    only = f"settings: {{https: false, username: a}}\nhosts: [{{host: {NOBODY}, connection: {{password: refused}}}}]"
    document = reported(written(tmp_path / "list.yaml", only), code=LEFT_OPEN)
    assert "the connection was [secret]" in hosts(document)[NOBODY]["problem"]


def test_hosts_are_asked_at_once_but_not_more_than_allowed(tmp_path: Path) -> None:
    """The hosts accept a connection but do not answer, so each connection marks one request."""
    addresses = [address(number) for number in range(21, 29)]
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for each in addresses:
            server = stack.enter_context(socket.create_server((each, 5985)))
            selector.register(server, selectors.EVENT_READ, server)
        settings = "{https: false, username: a, operationTimeout: 2s}"
        file = written(tmp_path / "list.yaml", f"settings: {settings}\nhosts: [{', '.join(addresses)}]")
        process = stack.enter_context(subprocess.Popen([*AVMA, str(file), "--parallel", "3"], stderr=subprocess.PIPE))
        asked: set[str] = set()
        while ready := selector.select(20 if len(asked) < 3 else 1):
            for key, _ in ready:
                connection, _ = key.data.accept()
                stack.enter_context(connection)
                asked.add(connection.getsockname()[0])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
    assert len(asked) == 3


def test_hosts_behind_one_address_are_not_taken_for_one(shared: EstateServer, tmp_path: Path) -> None:
    both = f"hosts: [{{host: a, connection: {{address: {N1}}}}}, {{host: b, connection: {{address: {N1}, port: 1}}}}]"
    document = reported(written(tmp_path / "list.yaml", LIST.partition("clusters:")[0] + both), code=LEFT_OPEN)
    assert {name: host["answer"] for name, host in hosts(document).items()} == {"a": "answered", "b": "down"}
