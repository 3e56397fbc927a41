"""`avma doctor`: a healthy host passes, and each broken host yields its cause."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from avma import errors
from avma.connection import resolve
from avma.diagnosis.step import Check, Diagnosis, Status, Step
from avma.settings import AddressedSettings
from avma.wsman.script import Script
from avma_cli.doctor.next_command import Command, next_command
from avma_simulator import EstateServer, load_estate, running
from cli.conftest import causes, diagnosed, statuses
from cli.estate import ADMINISTRATOR, HEALTHY, KEY, PASSWORD, PLAIN
from loopback import address


def test_a_healthy_host_passes_over_http(shared: EstateServer) -> None:
    document = diagnosed("titania", "--address", HEALTHY, PLAIN)
    assert statuses(document) == [
        ("name", "pass"), ("port", "pass"), ("tls", "skip"), ("logon", "pass"), ("cim", "pass"),
        ("virtualization", "pass"), ("shell", "pass"), ("system", "pass"), ("license", "pass"), ("hyperV", "pass"),
        ("powershellDirect", "pass"), ("vm", "pass"), ("vm", "pass"), ("vm", "pass"), ("cluster", "skip"),
    ]  # fmt: skip
    found = {step["rung"]: step["found"] for step in document["steps"]}
    assert "the service offers Negotiate; OS: 10.0.20348" in found["logon"]
    assert found["system"] == "Windows Server 2022 Datacenter, build 20348"
    assert found["license"] == "VOLUME_MAK, key …46789: Licensed"
    assert found["hyperV"] == "3 VMs, 2 running"
    assert document["next"] == "pulumi preview"


def test_it_changes_nothing_and_leaves_no_shell(shared: EstateServer) -> None:
    shared.reset_counts()
    assert diagnosed(HEALTHY, PLAIN)["passed"]
    counts = shared.counts()["titania"]
    assert set(counts["operations"]) <= {"Identify", "Enumerate", "Pull"}
    assert counts["openShells"] == 0


@pytest.mark.parametrize("auth", ["ntlm", "basic"])
def test_a_healthy_host_passes_over_https(shared: EstateServer, auth: str) -> None:
    document = diagnosed(HEALTHY, "--ca-cert", shared.ca_certificate, "--auth", auth)
    assert document["passed"]
    found = {step["rung"]: step["found"] for step in document["steps"]}
    assert found["tls"].startswith(f"issued by Simulated estate CA for titania, localhost, {HEALTHY}, until ")
    assert found["logon"].startswith(f"{auth} as {ADMINISTRATOR}; the service offers Negotiate, Basic")


def test_a_certificate_that_is_not_verified_is_a_warning(shared: EstateServer) -> None:
    document = diagnosed(HEALTHY, "--insecure")
    assert document["passed"]
    assert ("tls", "warn") in statuses(document)


def test_a_healthy_cluster_passes(shared: EstateServer) -> None:
    document = diagnosed(address(16), PLAIN)
    assert document["passed"]
    assert document["steps"][-2]["found"] == "athens: node1 Up, node2 Up"
    assert (document["steps"][-1]["subject"], document["steps"][-1]["status"]) == ("node2", "pass")


@pytest.mark.parametrize(
    ("arguments", "check", "answer", "command"),
    [
        (["nosuchhost.invalid"], "name", "cannot be resolved", "avma doctor nosuchhost.invalid --address ADDRESS"),
        ([HEALTHY, "--port", "1"], "port", "nothing listens", f"on {HEALTHY}: winrm quickconfig -transport:https"),
        ([HEALTHY, PLAIN, "--port", "1"], "port", "nothing listens", f"on {HEALTHY}: winrm quickconfig"),
        ([address(16)], "port", "nothing listens", f"avma doctor {address(16)} --no-https"),
        ([address(2), PLAIN, "--port", "5985"], "port", "nothing listens",
         f"avma doctor {address(2)} --port 5986 --https"),
        ([HEALTHY, "--port", "5985"], "tls", "does not use TLS",
         f"avma doctor {HEALTHY} --port 5985 --no-https"),
        ([HEALTHY, PLAIN, "--port", "5986"], "tls", "uses TLS, but `--no-https` is set",
         f"avma doctor {HEALTHY} --port 5986 --https"),
        ([HEALTHY], "tls", "an untrusted authority", f"avma doctor {HEALTHY} --ca-cert AUTHORITY.pem"),
        ([address(2), "--ca-cert", "CA"], "tls", "an untrusted authority", "--ca-cert AUTHORITY.pem"),
        ([address(3), "--ca-cert", "CA"], "tls", "has expired", "Set-WSManInstance winrm/config/Listener"),
        ([address(4), "--ca-cert", "CA"], "tls", "another name", "--address NAME-IN-THE-CERTIFICATE"),
        ([HEALTHY, PLAIN, "--username", "Puck"], "logon", "rejected the sign-in of Puck", "--username USERNAME"),
        ([address(2), "--insecure", "--auth", "basic"], "logon", "does not offer `basic`", "--auth ntlm"),
        ([address(5), PLAIN], "cim", "access is denied",
         f"Add-LocalGroupMember -SID S-1-5-32-544 -Member '{ADMINISTRATOR}'"),
        ([address(6), PLAIN], "shell", "access is denied", "winrm get winrm/config/winrs"),
        ([address(24), PLAIN], "virtualization", "is not a member of Hyper-V Administrators",
         f"Add-LocalGroupMember -SID S-1-5-32-578 -Member '{ADMINISTRATOR}'"),
        ([address(25), PLAIN], "virtualization", "vmms is not running", "Add-LocalGroupMember -SID S-1-5-32-578"),
        ([address(7), PLAIN], "shell", "access is denied", "winrm get winrm/config/winrs"),
        ([address(8), PLAIN], "system", "it runs Windows Server 2022 Standard", "DISM /Online"),
        ([address(9), PLAIN], "system", "it runs an evaluation", "DISM /Online"),
        ([address(10), PLAIN], "license", "its license status is OOBGrace", "pulumi up"),
        ([address(11), PLAIN], "license", "no product key is installed", "pulumi up"),
        ([address(42), PLAIN], "hyperV", "the WMI class or namespace does not exist", "Install-WindowsFeature"),
        ([address(12), PLAIN], "vm", "Data Exchange integration service of mute01 is off",
         "| Get-VMIntegrationService |"),
        ([address(13), PLAIN], "vm", "a host activates guests only up to its own version", "| Move-VM -Dest"),
        ([address(14), PLAIN], "vm", "it runs an evaluation", "in trial01: DISM"),
        ([address(15), PLAIN], "powershellDirect", "requires Windows Server 2016 or later",
         "--guest-transport winrm"),
        ([address(22), PLAIN], "peer", "its license status is OOBGrace", "avma doctor node3 --no-https"),
        ([address(21), PLAIN], "cim", "the answer is not SOAP", "--record recording.jsonl"),
        ([address(23), PLAIN], "license", "it has no key and no subscription for guests", "pulumi up"),
    ],
)  # fmt: skip
def test_each_broken_environment_shows_its_cause(
    shared: EstateServer, arguments: list[str], check: str, answer: str, command: str
) -> None:
    document = diagnosed(*(shared.ca_certificate if argument == "CA" else argument for argument in arguments))
    cause = causes(document)[0]
    assert cause["rung"] == check
    assert answer in cause["error"]["answer"]
    assert cause["error"]["remedy"]
    assert answer in document["conclusion"]
    assert command in document["next"]


@pytest.mark.parametrize(
    ("environment", "arguments", "command"),
    [
        ({"AVMA_HTTPS": "false"}, [address(2)], f"avma doctor {address(2)} --https --port 5986"),
        ({"AVMA_PORT": "5986"}, [address(16)], f"avma doctor {address(16)} --no-https --port 5985"),
        ({"AVMA_HTTPS": "false", "AVMA_PORT": "5986"}, [HEALTHY], f"avma doctor {HEALTHY} --https"),
    ],
)
def test_the_next_command_reckons_with_the_environment(
    shared: EstateServer,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    arguments: list[str],
    command: str,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert diagnosed(*arguments)["next"] == command


def test_a_wrong_setting_fails_the_check_that_uses_it(
    shared: EstateServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "none.pem").write_text("nothing")
    document = diagnosed(HEALTHY, "--ca-cert", tmp_path / "none.pem")
    assert causes(document)[0]["rung"] == "tls"
    assert document["next"] == f"avma doctor {HEALTHY} --ca-cert AUTHORITY.pem"
    monkeypatch.setenv("LM_COMPAT_LEVEL", "1")
    document = diagnosed(HEALTHY, "--ca-cert", shared.ca_certificate)
    assert causes(document)[0]["rung"] == "logon"
    assert document["next"] == "Unset LM_COMPAT_LEVEL, or set it to 3."


def test_without_a_ticket_no_other_account_is_proposed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("gssapi")
    (tmp_path / "krb5.conf").write_text("[libdefaults]\n  dns_lookup_kdc = false\n")
    monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "krb5.conf"))
    with hosting(tmp_path, "logons: [negotiate]") as port:
        arguments = (PLAIN, "--port", port, "--username", "Puck@ATHENS.TEST")
        document = diagnosed("localhost", *arguments, "--auth", "kerberos")
        assert causes(document)[0]["error"]["answer"].startswith("Kerberos: Cannot find KDC for realm")
        assert document["next"] == "kinit Puck@ATHENS.TEST"


def test_the_built_in_administrator_is_not_sent_to_join_its_own_group() -> None:
    error = errors.AccessDenied("ask", "hv01", "access is denied", "look at its rights")
    diagnosis = Diagnosis("hv01", [Step(Check.CIM, "hv01", Status.FAILED, "", error)])
    connection = resolve("hv01", AddressedSettings(username="HV01\\Administrator", password="-"))
    assert next_command(diagnosis, Command(connection, {})) == "avma doctor hv01 --record recording.jsonl"


def test_a_service_that_never_ends_its_answer_does_not_stop_the_diagnosis(monkeypatch: pytest.MonkeyPatch) -> None:
    # The timeouts of real sockets end each attempt. A connection to loopback takes less than a millisecond.
    monkeypatch.setenv("AVMA_CONNECT_TIMEOUT", "300ms")
    monkeypatch.setenv("AVMA_OPERATION_TIMEOUT", "100ms")
    monkeypatch.setattr("avma.wsman.winrm_pipe._ANSWER_MARGIN", 0.1)
    with dripping() as port:
        document = diagnosed("127.0.0.1", PLAIN, "--port", port)
    assert causes(document)[0]["rung"] == "logon"
    assert "the service does not answer as expected" in causes(document)[0]["found"]


@contextmanager
def dripping() -> Iterator[int]:
    """Send endless headers, one byte at a time. Timeouts between bytes never end this."""
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.sendall(b"HTTP/1.1 401 Unauthorized\r\nX-Long: ")
            while not stop.wait(0.1):
                connection.sendall(b"x")

    def serve() -> None:
        while not stop.is_set():
            with suppress(OSError):
                threads.append(threading.Thread(target=drip, args=listener.accept()[:1]))
                threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        yield listener.getsockname()[1]
        stop.set()
        listener.shutdown(socket.SHUT_RDWR)
        for thread in (server, *threads):
            thread.join()


@contextmanager
def hosting(folder: Path, more: str) -> Iterator[int]:
    """Serve one licensed host over HTTP, with additional fields."""
    host = f'name: hv01, version: "2022", edition: Datacenter, license: {{key: {KEY}}}, username: {ADMINISTRATOR}'
    keys = f'keys: [{{key: {KEY}, channel: MAK, version: "2022", edition: Datacenter}}]\n'
    (folder / "estate.yaml").write_text(f"{keys}hosts: [{{{host}, password: {PASSWORD}, {more}}}]\n")
    with running(load_estate(folder / "estate.yaml")) as server:
        yield server.address("hv01")[1]


@pytest.mark.parametrize("name", ["it's", "a; Remove-Item C:\\ -Recurse", "web*", "[w]eb01", "$(Stop-Computer)"])
def test_a_command_for_a_vm_survives_any_name(tmp_path: Path, name: str) -> None:
    vm_id = "8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a11"
    vm = {"name": name, "id": vm_id, "version": "2022", "edition": "Standard", "dataExchange": False}
    with hosting(tmp_path, f"vms: [{json.dumps(vm)}]") as port:
        document = diagnosed("127.0.0.1", PLAIN, "--port", port)
    assert f"Get-VM -Id {vm_id} | Get-VMIntegrationService | " in document["next"]
    assert name not in document["next"]


@pytest.mark.parametrize(("state", "word"), [("saved", "Saved"), ("paused", "Paused"), ("starting", "Starting")])
def test_the_state_of_a_vm_in_the_words_of_hyper_v(tmp_path: Path, state: str, word: str) -> None:
    vm = f"{{name: web01, version: '2022', edition: Standard, state: {state}}}"
    with hosting(tmp_path, f"vms: [{vm}]") as port:
        document = diagnosed("127.0.0.1", PLAIN, "--port", port)
    (found,) = [step["found"] for step in document["steps"] if step["rung"] == "vm"]
    assert found.startswith(f"{word}: ")


def test_a_peer_that_is_down(shared: EstateServer) -> None:
    shared.power("node5", "off")
    document = diagnosed(address(19), PLAIN)
    shared.power("node5", "running")
    (cause,) = causes(document)
    assert (cause["rung"], cause["subject"]) == ("peer", "node5")
    assert cause["error"]["answer"] == "the cluster reports the node as Down"
    assert document["next"] == f"on {address(19)}: Start-ClusterNode 'node5'"


def test_a_wrong_password(shared: EstateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVMA_PASSWORD", "Wrong-Horse-8")
    document = diagnosed(HEALTHY, PLAIN)
    (cause,) = causes(document)
    assert cause["rung"] == "logon"
    assert f"the service rejected the sign-in of {ADMINISTRATOR} (401)" in cause["error"]["answer"]
    assert "Wrong-Horse-8" not in str(document)


def test_it_steps_over_what_is_wrong(shared: EstateServer) -> None:
    found = dict(statuses(diagnosed(address(6), PLAIN)))
    assert found["shell"] == "fail"
    assert [found[check] for check in ("system", "license", "hyperV")] == ["pass", "pass", "pass"]


def test_what_needs_what_failed_is_not_looked_at(shared: EstateServer) -> None:
    document = diagnosed(HEALTHY, "--port", "5985")
    assert all(status == "skip" for check, status in statuses(document)[3:])
    assert document["steps"][-1]["found"] == "not checked, because this failed: TLS"


def test_without_powershell_direct_shells_are_not_required(shared: EstateServer) -> None:
    for number in (6, 15):
        document = diagnosed(address(number), PLAIN, "--guest-transport", "winrm")
        assert document["passed"]
        assert ("shell", "skip") in statuses(document)


def test_the_script_for_guests_is_run_and_names_what_it_lacks(
    shared: EstateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared.reset_counts()
    assert ("shell", "pass") in statuses(diagnosed(HEALTHY, PLAIN))
    assert sum(counts["pipelines"] for counts in shared.counts().values()) == 1
    facts = {"hyperV": None, "direct": True, "languageMode": "ConstrainedLanguage"}
    monkeypatch.setattr("avma_simulator.shells.cim_in_guest._facts", lambda _: facts)
    document = diagnosed(HEALTHY, PLAIN)
    (cause,) = causes(document)
    assert "lacks the Hyper-V module" in cause["error"]["answer"]
    assert document["next"] == f"on {HEALTHY}: Install-WindowsFeature Hyper-V-PowerShell"
    facts["hyperV"] = "Hyper-V"
    (found,) = [step["found"] for step in diagnosed(HEALTHY, PLAIN)["steps"] if step["rung"] == "shell"]
    assert found == "PowerShell runs the script for guests (ConstrainedLanguage)"


def test_a_script_that_fails_is_the_cause(shared: EstateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avma.windows.powershell.load", lambda script: Script("# avma-script: sing 1\n", "Sing"))
    (cause,) = causes(diagnosed(HEALTHY, PLAIN))
    assert cause["rung"] == "shell"
    assert "does not implement the script sing 1" in cause["error"]["answer"]


def test_environment_variables_configure_the_connection_to_guests(
    shared: EstateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVMA_GUEST_TRANSPORT", "winrm")
    assert ("shell", "skip") in statuses(diagnosed(address(6), PLAIN))


def test_an_unlicensed_standard_host_is_reported_only_for_its_edition(shared: EstateServer) -> None:
    document = diagnosed(address(8), PLAIN)
    assert len(causes(document)) == 1
    assert ("license", "warn") in statuses(document)
