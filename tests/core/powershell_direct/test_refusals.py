"""Errors of PowerShell, the host and the guest, each with its remedy."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from avma import errors
from avma.context import Context
from avma.deadline import Deadline
from avma.environment import with_sources
from avma.resources.resource import Stored
from avma.windows import powershell
from avma.windows.powershell import PowerShell
from avma.wsman.script import Credential, Script
from core.powershell_direct.lab import GUEST_PASSWORD, HOST, LIMITED_HOST, invoked, resolved
from core.runner import ADMINISTRATOR

GET_VM = "Microsoft.HyperV.PowerShell.Commands.GetVM"


def test_wrong_credentials_and_a_guest_that_is_not_ready_have_one_error(estate, run):
    wrong = Stored({"host": HOST, "vm_name": "web01", "guest": {"password": "Wrong-Horse-9"}}, {})
    with pytest.raises(
        errors.LogonUncertain, match=r"not ready yet\. Check `guest.username`.*wait until Windows setup has finished"
    ) as caught:
        run.vm.read(f"{HOST}/web01", wrong, run.operation())
    assert "Wrong-Horse-9" not in str(caught.value)
    estate.setup("web01", 60)
    with pytest.raises(errors.LogonUncertain, match="If web01 is still starting, wait"):
        run.vm.read(f"{HOST}/web01", None, run.operation())
    assert invoked(estate) == []


def test_a_wrong_password_from_the_environment_names_its_variable(estate, run):
    given = {"guest": {"username": ADMINISTRATOR}}
    run.configuration = with_sources(run.configuration, given, {"AVMA_GUEST_PASSWORD": GUEST_PASSWORD})
    estate.setup("web01", 60)
    named = r"Check `guest.username` and `guest.password` \(from AVMA_GUEST_PASSWORD\)\."
    with pytest.raises(errors.LogonUncertain, match=named):
        run.vm.read(f"{HOST}/web01", None, run.operation())


def test_an_old_guest_that_does_not_tell_its_version(estate, run):
    with pytest.raises(
        errors.AnswerLost, match=r"older than Windows Server 2016, it lacks this service: .*`guest.transport: winrm`"
    ):
        run.vm.read(f"{HOST}/oldmute01", None, run.operation())
    assert invoked(estate) == []


@pytest.mark.parametrize(
    ("error_id", "kind", "text"),
    [
        ("NamedParameterNotFound,x", errors.Refused, "has no PowerShell Direct"),
        ("HyperVModuleNotAvailable,x", errors.Refused, "Install-WindowsFeature Hyper-V-PowerShell"),
        ("InvalidVMIdNotSingle,x", errors.NotOnHost, "the VM has moved, or .*Hyper-V Administrators"),
        (f"InvalidParameter,{GET_VM}", errors.NotOnHost, "the VM has moved, or .*Hyper-V Administrators"),
        (f"ObjectNotFound,{GET_VM}", errors.NotOnHost, "the VM has moved, or .*Hyper-V Administrators"),
        (f"AccessDenied,{GET_VM}", errors.AccessDenied, "no right to Hyper-V.*Hyper-V Administrators"),
        ("InvalidVMState,x", errors.NotReady, "is not running"),
        ("AvmaNoAnswer", errors.AnswerLost, "did not answer in time"),
        ("-2144108526,PSSessionStateBroken", errors.AnswerLost, "the session in the guest broke: said so"),
        ("2100,PSSessionStateBroken", errors.AnswerLost, "the session in the guest broke: said so"),
        ("InvalidParameter,x", errors.UnexpectedAnswer, "PowerShell Direct failed: said so .InvalidParameter"),
        ("Surprise,x", errors.UnexpectedAnswer, "PowerShell Direct failed: said so .Surprise"),
    ],
)
def test_errors_of_a_session(estate, run, monkeypatch, error_id, kind, text):
    error = {"hresult": None, "errorId": error_id, "message": "said so", "exceptions": ["System.Exception"]}
    answer_with(monkeypatch, lambda vm: {"id": vm["id"], "error": error})
    with pytest.raises(kind, match=text):
        run.vm.read(f"{HOST}/web01", None, run.operation())


def test_a_vm_that_has_left_the_host_meanwhile(estate, run):
    host = run.machines.get(resolved())
    (vm,) = (vm for vm in host.virtual_machines(Deadline(20)) if vm.name == "web01")
    guest = host.guest(vm.id, vm.name, Credential(ADMINISTRATOR, GUEST_PASSWORD))
    estate.move("web01", "slow")
    with pytest.raises(errors.NotOnHost, match="the VM has moved, or"):
        guest.wmi.query(
            Context("read", guest.wmi.where, Deadline(20)), "root/cimv2", "SELECT * FROM Win32_OperatingSystem"
        )


DIRECT = "System.Management.Automation.Remoting.PSDirectException"
OUTER = "System.Management.Automation.Remoting.PSRemotingDataStructureException"
ENDED = "An error has occurred which Windows PowerShell cannot handle. A remote session might have ended."


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        ("The credential is invalid.", errors.LogonUncertain, "Check `guest.username`"),
        ("Die Anmeldeinformationen sind ungültig.", errors.LogonUncertain, "Check `guest.username`"),
        ("Fehler beim Aushandeln einer Verbindung.", errors.LogonUncertain, "Check `guest.username`.*Windows updates"),
        (
            "Negotiating a secure connection to Hyper-V failed.",
            errors.Refused,
            "could not negotiate.*latest Windows updates",
        ),
        ("Hyper-V Broker sent an invalid Credential response.", errors.Refused, "RequirePsDirectAuthentication"),
        ("Hyper-V Server sent an invalid TransportVersion response.", errors.Refused, "could not negotiate"),
    ],
)
def test_a_session_that_is_not_opened(estate, run, monkeypatch, message, kind, text):
    error = {"errorId": "PSSessionStateBroken", "message": f"{ENDED} {message}", "exceptions": [OUTER, DIRECT]}
    answer_with(monkeypatch, lambda vm: {"id": vm["id"], "error": error})
    with pytest.raises(kind, match=text) as caught:
        run.vm.read(f"{HOST}/web01", None, run.operation())
    assert type(caught.value) is kind


@pytest.mark.parametrize("answer", ["garbage", "accessDenied"])
def test_a_password_that_was_never_rejected_is_tried_once(estate, run, answer):
    estate.faults("web01", [{"operation": "PowerShellDirect/Connect", "answer": answer}])
    with pytest.raises(errors.Refused, match="could not negotiate a session"):
        run.activate("web01", HOST)
    assert estate.counts()["hv01"]["pipelines"] == 1


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
    with pytest.raises(errors.ScriptFailed, match="web01 through its host"):
        run.activate("web01", HOST)


def test_a_vm_that_the_script_does_not_report(estate, run, monkeypatch):
    answer_with(monkeypatch, lambda vm: {"id": "another"})
    with pytest.raises(errors.ScriptFailed, match="half a line"):
        run.activate("web01", HOST)


def answer_with(monkeypatch, answer: Callable[[dict], dict]) -> None:
    def run(self, context, script, parameters, on_answer, must_close):
        answers = tuple(answer(vm) for vm in parameters["Guests"].decide())
        for each in answers:
            on_answer(each)
        return powershell.Answers(answers, "half a line")

    monkeypatch.setattr(PowerShell, "run", run)


def test_a_script_that_the_machine_does_not_know_is_an_error(estate, run, monkeypatch):
    monkeypatch.setattr(powershell, "load", lambda script: Script("# avma-script: sing 1\n", "Sing"))
    with pytest.raises(errors.ScriptFailed, match=r"does not implement the script sing 1\. \(ScriptUnknown\)"):
        run.activate("web01", HOST)


def test_an_account_that_may_use_wmi_and_no_shell(estate, run):
    with pytest.raises(
        errors.AccessDenied,
        match=r"Remote Management Users.*as well as to WMI.*AllowRemoteShellAccess.*transport: winrm",
    ):
        run.activate("on-limited", LIMITED_HOST)


def test_the_quota_of_shells(estate, run):
    estate.faults("hv01", [{"operation": "Shell/Create", "answer": "quota"}])
    run.seconds = 10
    run.skip_pauses()
    with pytest.raises(errors.TimedOut, match="too many open shells on the machine"):
        run.activate("web01", HOST)


def test_a_shell_that_the_quota_refuses_for_now_is_opened_later(estate, run):
    estate.faults("hv01", [{"operation": "Shell/Create", "answer": "quota", "times": 3}])
    run.skip_pauses()
    run.activate("web01", HOST)
    assert estate.machine("web01")["status"] == "Licensed"


def test_an_operation_that_is_refused_in_the_guest(estate, run):
    estate.faults("web01", [{"operation": "Enumerate", "answer": "accessDenied"}])
    with pytest.raises(errors.AccessDenied, match="web01 through its host"):
        run.activate("web01", HOST)


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
