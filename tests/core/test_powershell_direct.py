"""Guests that are reached through their host: PowerShell Direct against a simulated estate."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from avma import errors, keys
from avma.configuration import Configuration, GuestDefaults, Transport
from avma.connection import Connection, Settings, resolve
from avma.deadline import Deadline
from avma.keys import KeyKind
from avma.resources.resource import Stored
from avma.windows import powershell
from avma.windows.licensing import LicenseStatus
from avma.windows.machine import Machines
from avma.windows.powershell import PowerShell
from avma.wsman.cim import Cim
from avma.wsman.pipe import WinrmPipe
from avma.wsman.shell import Shell
from avma_simulator import EstateServer, load_estate, running
from core.runner import ADMINISTRATOR, OTHER_KEY, PASSWORD, Runner, stored

GUEST_PASSWORD = "Battery-Staple-8"
HOST = "127.45.0.11"
OLD_HOST = "127.45.0.12"
LIMITED_HOST = "127.45.0.13"
SLOW_HOST = "127.45.0.14"
GUEST = f'version: "2022", edition: Standard, network: false, username: {ADMINISTRATOR}, password: {GUEST_PASSWORD}'
LICENSED = f"edition: Datacenter, license: {{key: {OTHER_KEY}}}, username: {ADMINISTRATOR}, password: {PASSWORD}"
MANY = [f"app{number:02}" for number in range(12)]
ESTATE = f"""
keys:
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter}}
hosts:
  - {{name: hv01, version: "2022", address: {HOST}, http: {{port: 5985}}, {LICENSED}, vms: [
      {{name: web01, {GUEST}}}, {{name: mute01, dataExchange: false, {GUEST}}},
      {{name: old01, {GUEST.replace("2022", "2012 R2")}}},
      {{name: oldmute01, dataExchange: false, {GUEST.replace("2022", "2012 R2")}}},
      {", ".join(f"{{name: {name}, {GUEST}}}" for name in MANY)}]}}
  - {{name: old, version: "2012 R2", address: {OLD_HOST}, http: {{port: 5985}}, edition: Datacenter,
      username: {ADMINISTRATOR}, password: {PASSWORD}, vms: [{{name: on-old, {GUEST.replace("2022", "2012 R2")}}}]}}
  - {{name: limited, version: "2022", address: {LIMITED_HOST}, http: {{port: 5985}}, {LICENSED}, rights: wmi,
      vms: [{{name: on-limited, {GUEST}}}]}}
  - {{name: slow, version: "2022", address: {SLOW_HOST}, http: {{port: 5985}}, {LICENSED}, delays: {{powershell: 60}},
      vms: [{{name: on-slow, {GUEST}}}]}}
"""
INSTALL = "SoftwareLicensingService/InstallProductKey"


@pytest.fixture
def estate(tmp_path) -> Iterator[EstateServer]:
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server
        assert all(machine["openShells"] == 0 for machine in server.counts().values())


@pytest.fixture
def configuration() -> Configuration:
    guest = GuestDefaults(username=ADMINISTRATOR, password=GUEST_PASSWORD, ready_timeout="1s")
    return Configuration(https=False, username=ADMINISTRATOR, password=PASSWORD, guest=guest)


@pytest.fixture(autouse=True)
def no_guest_password_is_told(run) -> Iterator[None]:
    yield
    assert not any(GUEST_PASSWORD in text for text in run.told)


def at_once(calls: list[Callable[[], object]]) -> list[object]:
    """Return what the calls return or raise, made at the same time."""
    answers: list[object] = [None] * len(calls)

    def call(index: int) -> None:
        try:
            answers[index] = calls[index]()
        except errors.AvmaError as error:
            answers[index] = error

    threads = [threading.Thread(target=call, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def invoked(estate) -> list[str]:
    return [op for machine in estate.counts().values() for op in machine["operations"] if op.startswith("Invoke")]


def test_a_guest_without_a_network_is_activated_in_few_runs(estate, run):
    result = run.activate("web01", HOST)
    assert result.outputs.license_status is LicenseStatus.LICENSED
    assert (result.outputs.guest_version, result.outputs.activated_by_host) == ("2022", "HV01")
    host = estate.counts()["hv01"]
    assert host["shells"] == host["processes"] <= 3
    assert "requests" not in estate.counts()["web01"] or estate.counts()["web01"]["requests"] == 0


def test_a_guest_needs_no_data_exchange(estate, run):
    # The model of AVMA needs it to activate, so this guest is only read.
    found = run.vm.read(f"{HOST}/mute01", None, run.operation())
    assert found.outputs.license_status is LicenseStatus.OOB_GRACE


def test_guests_that_are_asked_at_once_share_script_runs(estate, run):
    results = at_once([lambda name=name: run.activate(name, HOST) for name in MANY])
    assert {result.outputs.license_status for result in results} == {LicenseStatus.LICENSED}
    assert estate.counts()["hv01"]["processes"] <= 6
    estate.reset_counts()
    at_once(
        [lambda result=result: run.vm.read(result.identifier, stored(result), run.operation()) for result in results]
    )
    assert estate.counts()["hv01"]["processes"] <= 2


def test_a_guest_that_fails_does_not_take_the_others_along(estate, run):
    wrong = {"guest": {"password": "Wrong-Horse-9"}}
    estate.faults("app02", [{"operation": INSTALL, "hresult": 0xC004F050}])
    first, second, third = at_once(
        [
            lambda: run.activate("app00", HOST),
            lambda: run.activate("app01", HOST, **wrong),
            lambda: run.activate("app02", HOST),
        ]
    )
    assert first.outputs.license_status is LicenseStatus.LICENSED
    assert isinstance(second, errors.LogonRefused)
    assert isinstance(third, errors.LicensingFault)


def test_a_vm_is_in_a_run_once(estate, run):
    results = at_once([lambda: run.activate("web01", HOST), lambda: run.activate("web01", HOST)])
    assert {result.outputs.license_status for result in results} == {LicenseStatus.LICENSED}
    assert estate.counts()["web01"]["operations"][f"Invoke {INSTALL}"] == 1


def test_wrong_credentials_and_a_guest_that_is_not_ready_are_told_in_one(estate, run):
    wrong = Stored({"host": HOST, "vmName": "web01", "guest": {"password": "Wrong-Horse-9"}}, {})
    with pytest.raises(
        errors.LogonUncertain, match=r"not ready alike; check `guest.username`.*or wait until"
    ) as caught:
        run.vm.read(f"{HOST}/web01", wrong, run.operation())
    assert "Wrong-Horse-9" not in str(caught.value)
    estate.setup("web01", 60)
    with pytest.raises(errors.LogonUncertain, match="wait until web01 has started"):
        run.vm.read(f"{HOST}/web01", None, run.operation())
    assert invoked(estate) == []


def test_without_an_account_of_the_guest_nothing_is_asked_of_it(estate, run):
    run.configuration = replace(run.configuration, guest=None)
    with pytest.raises(errors.InvalidInput, match=r"set `guest.username` and `guest.password`"):
        run.activate("web01", HOST)
    assert estate.counts()["hv01"]["processes"] == 0


def test_a_vm_that_is_off(estate, run):
    estate.power("web01", "off")
    with pytest.raises(errors.NotReady, match="the VM web01 is not running"):
        run.activate("web01", HOST)
    assert estate.counts()["hv01"]["processes"] == 0


@pytest.mark.parametrize(
    ("vm", "host", "text"),
    [
        ("old01", HOST, "its Windows is older than Windows Server 2016 .*`guest.transport: winrm`"),
        ("on-old", OLD_HOST, "its host .* is older than Windows Server 2016 .*`guest.transport: winrm`"),
    ],
)
def test_what_came_before_powershell_direct_is_refused_before_a_process_is_started(estate, run, vm, host, text):
    with pytest.raises(errors.Refused, match=text):
        run.vm.read(f"{host}/{vm}", None, run.operation())
    assert all(machine["processes"] == 0 for machine in estate.counts().values())


def test_an_old_guest_that_does_not_tell_its_version(estate, run):
    with pytest.raises(
        errors.AnswerLost, match=r"a guest before Windows Server 2016 has none: .*`guest.transport: winrm`"
    ):
        run.vm.read(f"{HOST}/oldmute01", None, run.operation())
    assert invoked(estate) == []


@pytest.mark.parametrize(
    ("error_id", "kind", "text"),
    [
        ("NamedParameterNotFound,x", errors.Refused, "has no PowerShell Direct"),
        ("HyperVModuleNotAvailable,x", errors.Refused, "Install-WindowsFeature Hyper-V-PowerShell"),
        ("InvalidVMIdNotSingle,x", errors.Refused, "Hyper-V Administrators"),
        ("InvalidVMState,x", errors.NotReady, "is not running"),
        ("AvmaNoAnswer", errors.AnswerLost, "did not answer in time"),
        ("PSSessionStateBroken,PSDirectException", errors.NotReady, "check `guest.username`"),
        ("-2144108526,PSSessionStateBroken", errors.AnswerLost, "the session in the guest broke: said so"),
        ("Surprise,x", errors.UnexpectedAnswer, "PowerShell Direct failed: Surprise said so"),
    ],
)
def test_errors_of_a_session(estate, run, monkeypatch, error_id, kind, text):
    error = {"hresult": None, "errorId": error_id, "message": "said so"}
    answer_with(monkeypatch, lambda vm: {"id": vm["id"], "error": error})
    with pytest.raises(kind, match=text):
        run.vm.read(f"{HOST}/web01", None, run.operation())


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"results": 1},
        {"results": [1]},
        {"results": []},
        {"results": [{"rows": 1}, {"rows": []}]},
        {"results": [{"error": {}}]},
        {"results": [{"error": {"hresult": "x", "message": "y"}}]},
    ],
)
def test_an_answer_that_is_not_the_scripts_own(estate, run, monkeypatch, answer):
    answer_with(monkeypatch, lambda vm: {"id": vm["id"], **answer})
    with pytest.raises(errors.ScriptFailed, match="on web01 through its host"):
        run.activate("web01", HOST)


def test_a_vm_of_which_the_script_says_nothing(estate, run, monkeypatch):
    answer_with(monkeypatch, lambda vm: {"id": "another"})
    with pytest.raises(errors.ScriptFailed, match="half a line"):
        run.activate("web01", HOST)


def answer_with(monkeypatch, answer: Callable[[dict], dict]) -> None:
    def run(self, script, document, secrets, deadline, tried):
        return powershell.Answers(tuple(answer(vm) for vm in document["vms"]), "half a line")

    monkeypatch.setattr(PowerShell, "run", run)


def test_a_script_that_is_not_known_there_says_so(estate, run, monkeypatch):
    monkeypatch.setattr(powershell, "load", lambda script: "# avma-script: sing 1\n")
    with pytest.raises(errors.ScriptFailed, match="does not know the script sing 1") as caught:
        run.activate("web01", HOST)
    assert "CLIXML" not in str(caught.value)


def test_an_account_that_may_use_wmi_and_no_shell(estate, run):
    with pytest.raises(
        errors.AccessDenied, match=r"another than the one for WMI.*AllowRemoteShellAccess.*transport: winrm"
    ):
        run.activate("on-limited", LIMITED_HOST)


def test_the_quota_of_shells(estate, run):
    estate.faults("hv01", [{"operation": "Shell/Create", "answer": "quota"}])
    with pytest.raises(errors.WsmanFault, match="too many shells open there"):
        run.activate("web01", HOST)


def test_a_cancelled_run_deletes_its_shell(estate, run):
    ends: list[BaseException] = []

    def activate() -> None:
        try:
            run.activate("on-slow", SLOW_HOST)
        except errors.AvmaError as error:
            ends.append(error)

    thread = threading.Thread(target=activate)
    thread.start()
    deadline = Deadline(20)
    while estate.counts()["slow"]["processes"] == 0:
        deadline.wait(0.05, "wait", "test")
    run.cancellation.set()
    before = time.monotonic()
    thread.join()
    assert time.monotonic() - before < 5
    assert isinstance(ends[0], errors.Cancelled)
    assert estate.counts()["slow"]["openShells"] == 0


def test_the_deadline_ends_a_run(estate, run):
    run.seconds = 2
    with pytest.raises(errors.TimedOut):
        run.activate("on-slow", SLOW_HOST)


def test_a_method_is_not_sent_again_and_what_it_did_is_found(estate, run):
    estate.faults("web01", [{"operation": INSTALL, "answer": "drop", "after": True, "times": 1}])
    assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED
    assert estate.counts()["web01"]["operations"][f"Invoke {INSTALL}"] == 1


def test_a_method_that_never_arrived_leaves_a_guest_that_the_next_run_activates(estate, run):
    estate.faults("web01", [{"operation": INSTALL, "answer": "drop", "times": 1}])
    with pytest.raises(errors.PartlyDone) as caught:
        run.activate("web01", HOST)
    assert isinstance(caught.value.cause, errors.AnswerLost)
    assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED


def test_a_read_whose_shell_is_lost_is_sent_again(estate, run):
    estate.faults("hv01", [{"operation": "Shell/Receive", "hresult": 0x8033805B, "times": 1}])
    assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED


def test_a_read_that_breaks_is_sent_again(estate, run):
    estate.faults("web01", [{"operation": "Enumerate", "answer": "drop", "times": 1}])
    assert run.activate("web01", HOST).outputs.license_status is LicenseStatus.LICENSED


def test_an_operation_that_is_refused_in_the_guest(estate, run):
    estate.faults("web01", [{"operation": "Enumerate", "answer": "accessDenied"}])
    with pytest.raises(errors.AccessDenied, match="on web01 through its host"):
        run.activate("web01", HOST)


class Breaking(WinrmPipe):
    """A pipe that breaks at one message to a shell: before it is sent, or when its answer comes back."""

    messages = itertools.count()
    break_at = -1
    after_sending = False

    def send(self, message, deadline, tried):
        if b"/windows/shell" not in message or next(type(self).messages) != self.break_at:
            return super().send(message, deadline, tried)
        if self.after_sending:
            super().send(message, deadline, tried)
        self.close()
        raise errors.AnswerLost(tried, self._connection.where, "the connection broke off", "run again")


@pytest.mark.parametrize("after", [False, True], ids=["request lost", "answer lost"])
@pytest.mark.parametrize("at", range(17))
def test_a_guest_is_activated_wherever_the_wire_breaks(tmp_path, configuration, at, after):
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    pipe = type("BreakingHere", (Breaking,), {"messages": itertools.count(), "break_at": at, "after_sending": after})
    with running(load_estate(file)) as estate:
        machines = [Machines(4, pipe), Machines(4)]
        broken, whole = (Runner(configuration, each) for each in machines)
        try:
            broken.activate("web01", HOST)
        except errors.AvmaError:
            whole.activate("web01", HOST)
        assert estate.machine("web01")["status"] == "Licensed"
        assert estate.counts()["web01"]["operations"][f"Invoke {INSTALL}"] <= 1 + (not after)
        for each in machines:
            each.close()
        assert estate.counts()["hv01"]["openShells"] <= 1  # one whose name was lost, until it is idle for long


def test_drift_is_read_and_repaired(estate, run):
    first = run.activate("web01", HOST)
    estate.install_key("web01", keys.find(KeyKind.KMS_CLIENT, "2022", "Standard").key)
    now = run.vm.read(first.identifier, stored(first), run.operation())
    changes = run.vm.diff(stored(now), first.inputs)
    assert {change.path for change in changes} == {"licenseStatus", "licenseChannel", "partialProductKey"}
    assert run.vm.update(first.identifier, stored(now), first.inputs, run.operation()).outputs == first.outputs


def test_import_by_host_and_vm_tells_what_create_told(estate, run):
    created = run.activate("web01", HOST)
    found = run.vm.read(f"{HOST}/WEB01", None, run.operation())
    assert (found.identifier, found.outputs) == (created.identifier, created.outputs)
    assert run.vm.diff(stored(found), found.inputs) == []


def test_the_key_is_uninstalled_on_request(estate, run):
    result = run.activate("web01", HOST, onDelete="uninstallKey")
    run.vm.delete(result.identifier, stored(result), run.operation())
    assert estate.machine("web01")["status"] != "Licensed"


def test_settings_of_the_network_are_told_to_be_unused(estate, run):
    run.activate("web01", HOST, guest={"address": "127.45.0.99", "port": 1})
    assert any("`guest.address`, `guest.port` is for `guest.transport: winrm`" in text for text in run.told)


def test_winrm_on_a_resource_wins(estate, run):
    declared = {"host": HOST, "vmName": "mute01", "guest": {"transport": Transport.WINRM.value}}
    with pytest.raises(errors.Refused, match=r"tells no address .*guest\.address"):
        run.vm.read(f"{HOST}/mute01", Stored(declared, {}), run.operation())


def test_much_input_is_sent_in_parts(estate):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("avma.wsman.shell._CHUNK", 7)
        cim = Cim(resolved(), 2, WinrmPipe)
        answers = PowerShell(Shell(cim)).run("cim-in-guest", {"vms": [{"id": "x"}]}, [], Deadline(20), "try")
        cim.close()
    assert answers.objects[0]["error"]["errorId"].startswith("InvalidVMIdNotSingle")


def resolved() -> Connection:
    return resolve(HOST, Settings(https=False, username=ADMINISTRATOR, password=PASSWORD))


@pytest.mark.parametrize(
    "error",
    [
        {"hresult": 0xC004F069, "errorId": "x", "message": ""},
        {"hresult": 0xC004F069 - (1 << 32), "errorId": "x", "message": ""},
        {"hresult": -2146233088, "errorId": "HRESULT 0xc004f069,Microsoft.Management", "message": ""},
        {"hresult": None, "errorId": "HRESULT 0xc004f069,Microsoft.Management", "message": ""},
    ],
)
def test_the_number_of_an_error_in_the_guest(estate, run, monkeypatch, error):
    answer_with(monkeypatch, lambda vm: {"id": vm["id"], "results": [{"error": error}]})
    with pytest.raises(errors.LicensingFault, match="0xC004F069"):
        run.activate("web01", HOST)
