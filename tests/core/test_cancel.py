"""Cancel in each phase of an operation: it ends although the machine stays silent, and it begins no further change.

The time limits of these tests are an hour. So only the cancellation can end an operation.
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from avma import errors, keys
from avma.configuration import Configuration, GuestDefaults
from avma.connection import resolve
from avma.deadline import Deadline
from avma.resources.claims import Claim, Claims
from avma.settings import Auth
from avma.windows import machine
from avma.wsman import psrp
from avma.wsman.winrm_pipe import WinrmPipe
from core.azure_local.lab import ESTATE as AZURE_LOCAL
from core.phases import (
    PHASES,
    Call,
    activate_guest,
    apply_key,
    causes,
    changes,
    delete_license,
    license_host,
    open_shells,
    restore_client_key,
    serving,
    uninstall_in_guest,
)
from core.powershell_direct.lab import ESTATE as DIRECT
from core.powershell_direct.lab import GUEST_PASSWORD
from core.runner import ADMINISTRATOR, HOST_KEY, HV01, PASSWORD, Runner
from core.runner import ESTATE as HOSTS
from core.silence import LOAD, Silence, accepting, not_accepting
from waiting import PATIENCE, wait_until

HOUR = "1h"
ANSWERED = 2.0 + LOAD
"""Seconds until a canceled operation has ended: the promise of two seconds, on a busy machine."""


@pytest.fixture
def configuration() -> Configuration:
    return Configuration(
        https=False,
        username=ADMINISTRATOR,
        password=PASSWORD,
        guest=GuestDefaults(username=ADMINISTRATOR, password=GUEST_PASSWORD, ready_timeout=HOUR),
        connect_timeout=HOUR,
        operation_timeout=HOUR,
    )


def error_after_cancel(run: Runner, call: Callable[[], object], begun: Callable[[], object]) -> errors.AvmaError:
    """Cancel a call as soon as `begun` returns. Return its error."""
    ends: list[object] = []
    run.seconds = 3600

    def work() -> None:
        try:
            ends.append(call())
        except errors.AvmaError as error:
            ends.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    begun()
    canceled = time.monotonic()
    run.cancellation.set()
    thread.join(PATIENCE)
    assert time.monotonic() - canceled < ANSWERED
    (end,) = ends
    assert isinstance(end, errors.AvmaError), end
    return end


@pytest.mark.parametrize("after", [False, True], ids=["request unread", "answer missing"])
@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)
def test_cancel_ends_an_operation_whose_machine_is_silent(tmp_path, new_runner, phase, after):
    silence, run = Silence(phase.machine, phase.request, after, phase.skip), new_runner()
    with serving(tmp_path, phase.estate, silence) as estate:
        call = phase.begin(run, estate, silence)
        error = error_after_cancel(run, call, lambda: silence.begun.wait(PATIENCE))
        assert silence.holds
        assert {type(cause) for cause in causes(error)} == {errors.Cancelled}, error
        assert isinstance(error, errors.PartlyDone) == phase.partial
        run.machines.close()
        assert silence.holds
        assert changes(estate) <= phase.most
        assert open_shells(estate) == phase.locked
        assert any("stays locked against other runs" in line for line in run.told) is phase.locked


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE, Auth.BASIC])
@pytest.mark.parametrize("silent", [accepting, not_accepting])
def test_cancel_ends_a_connection_to_a_silent_machine(new_runner, configuration, silent, auth):
    pipes: list[WinrmPipe] = []

    class Watched(WinrmPipe):
        def send(self, context, message):
            pipes.append(self)
            return super().send(context, message)

    def is_waiting() -> bool:
        adapter = pipes[0]._open[1] if pipes and pipes[0]._open else None
        return adapter is not None and adapter.connects == 1 and adapter._awaiting

    run = new_runner(Watched)
    with silent() as server:
        port = server.getsockname()[1]
        run.configuration = replace(configuration, port=port, auth=auth, https=auth is Auth.BASIC)
        error = error_after_cancel(run, lambda: run.license("127.0.0.1"), lambda: wait_until(is_waiting))
    assert isinstance(error, errors.Cancelled)


def test_a_powershell_that_starts_after_cancel_is_closed(tmp_path, new_runner, monkeypatch):
    monkeypatch.setattr(psrp, "CLEANING", PATIENCE)
    monkeypatch.setattr(machine, "CLOSING", PATIENCE)
    silence, run = Silence("hv01", "RunspacePool/Create"), new_runner()
    with serving(tmp_path, DIRECT, silence) as estate:
        error = error_after_cancel(run, run.activate, lambda: silence.begun.wait(PATIENCE))
        assert isinstance(error, errors.Cancelled)
        silence.end()
        run.machines.close()
        assert estate.counts()["hv01"]["pools"] == 1
        assert open_shells(estate) == 0


def test_cancel_ends_a_session_in_a_guest_that_does_not_answer(tmp_path, new_runner):
    run = new_runner()
    with serving(tmp_path, DIRECT, Silence("hv01", "none")) as estate:
        estate.faults("web01", [{"operation": "PowerShellDirect/Connect", "answer": "timeout", "times": 1}])
        begun = partial(wait_until, lambda: estate.present_faults("web01")[0]["times"] == 0)
        assert isinstance(error_after_cancel(run, run.activate, begun), errors.Cancelled)
        run.machines.close()
        assert open_shells(estate) == 0


class Saying(list[str]):
    """The messages to the user. The first one with a text calls a function."""

    def __init__(self, text: str, then: Callable[[], None]) -> None:
        super().__init__()
        self._text = text
        self._then = then

    def append(self, line: str) -> None:
        super().append(line)
        if self._text in line:
            self._then()


def test_cancel_ends_the_wait_for_the_license_of_a_host(estate, run):
    run.claims = Claims()
    run.claims.add(Claim("another resource", wants=False, coming=True))
    run.told = Saying("to be licensed", run.cancellation.set)
    with pytest.raises(errors.Cancelled):
        run.activate()
    assert changes(estate) == 0


def test_cancel_ends_the_wait_for_an_activation_and_keeps_the_state(estate, run):
    estate.faults("hv01", [{"operation": "SoftwareLicensingProduct/Activate", "answer": "timeout"}])
    run.told = Saying("waiting for activation", run.cancellation.set)
    with pytest.raises(errors.PartlyDone) as caught:
        run.license()
    assert isinstance(caught.value.cause, errors.Cancelled)
    assert caught.value.state.outputs.partial_product_key == keys.partial(HOST_KEY)


def test_cancel_ends_the_wait_for_the_lock_of_a_machine(estate, run, configuration, monkeypatch):
    waiting, acquire = threading.Event(), Deadline.acquire

    def watched(deadline: Deadline, lock: threading.Lock, tried: str, where: str) -> None:
        if tried == "change the license":
            waiting.set()
        acquire(deadline, lock, tried, where)

    server = run.machines.get(resolve(HV01, configuration))
    server.identity(Deadline(PATIENCE))
    with server.license_lock.exclusive(None, Deadline(PATIENCE), "hv01"):
        monkeypatch.setattr(Deadline, "acquire", watched)
        error = error_after_cancel(run, run.license, lambda: waiting.wait(PATIENCE))
    assert isinstance(error, errors.Cancelled)
    assert changes(estate) == 0


def turn_data_exchange_on(run: Runner) -> Call:
    return lambda: run.activate("mute01", manage_data_exchange=True)


@pytest.mark.parametrize(
    ("text", "prepare", "change", "before"),
    [
        (HOSTS, license_host, "InstallProductKey", 0),
        (HOSTS, license_host, "Activate", 1),
        (HOSTS, delete_license, "UninstallProductKey", 2),
        (DIRECT, turn_data_exchange_on, "ModifyGuestServiceSettings", 0),
    ],
)
def test_a_change_is_not_sent_after_cancel(tmp_path, new_runner, text, prepare, change, before):
    """Cancel comes after all checks of the operation, while the change is on its way to the connection."""

    class Canceling(WinrmPipe):
        def send(self, context, message):
            if f"{change}_INPUT".encode() in message:
                run.cancellation.set()
            return super().send(context, message)

    run = new_runner(Canceling)
    with serving(tmp_path, text, Silence("hv01", "none")) as estate:
        with pytest.raises((errors.Cancelled, errors.PartlyDone)) as caught:
            prepare(run)()
        cause = caught.value.cause if isinstance(caught.value, errors.PartlyDone) else caught.value
        assert isinstance(cause, errors.Cancelled)
        assert changes(estate) == before


@pytest.mark.parametrize(
    ("text", "prepare", "change", "before"),
    [
        (DIRECT, activate_guest, b'"method": "InstallProductKey"', 0),
        (DIRECT, uninstall_in_guest, b'"method": "UninstallProductKey"', 1),
        (DIRECT, restore_client_key, b'"method": "InstallProductKey"', 1),
        (AZURE_LOCAL, apply_key, b">set</S>", 0),
    ],
    ids=["install in a guest", "uninstall in a guest", "restore a key in a guest", "apply a key"],
)
def test_a_script_that_changes_a_machine_is_not_sent_after_cancel(tmp_path, new_runner, text, prepare, change, before):
    pipelines: list[int] = []

    class Canceling(WinrmPipe):
        def send(self, context, message):
            argument = re.search(rb"Arguments[^>]*>([\w+/=]+)<", message)
            if argument and change in base64.b64decode(argument[1]) and changes(estate) == before:
                pipelines.append(started())
                run.cancellation.set()
            return super().send(context, message)

    def started() -> int:
        return sum(each["pipelines"] for each in estate.counts().values())

    run = new_runner(Canceling)
    with serving(tmp_path, text, Silence("hv01", "none")) as estate:
        with pytest.raises(errors.Cancelled):
            prepare(run)()
        run.machines.close()
        assert changes(estate) == before
        assert pipelines == [started()]
