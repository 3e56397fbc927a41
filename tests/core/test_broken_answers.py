"""Lost answers at every point: the next run converges and uses no second activation.

The lists of requests are those of an undisturbed run, and a test compares them. So a new request is a failure until it
is in the list, and no break misses its request.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from avma import errors, keys
from avma.resources.resource import Result
from avma.windows.licensing import LicenseStatus
from avma.wsman.winrm_pipe import WinrmPipe
from avma_simulator import EstateServer
from core.runner import HOST_KEY, HV01, OTHER_KEY, Runner, methods

INSTALL, ACTIVATE = "InstallProductKey", "Activate"
OUTPUT = "Receive"
"""The requests for the output of a script. Their number depends on the speed of the machine."""
OF_HOST = {
    "Enumerate Win32_ComputerSystemProduct": 1,
    "Enumerate Win32_ComputerSystem": 1,
    "Enumerate SoftwareLicensingService": 1,
    "Enumerate SoftwareLicensingProduct": 4,
    "Enumerate Win32_OperatingSystem": 1,
    "Enumerate Msvm_ComputerSystem": 1,
    "Pull": 1,
    "Create": 1,
    "Command": 1,
    OUTPUT: 2,
    INSTALL: 1,
    ACTIVATE: 1,
    "Signal": 1,
    "Delete": 1,
}
OF_GUEST = {
    "Enumerate Win32_ComputerSystemProduct": 2,
    "Enumerate Win32_ComputerSystem": 1,
    "Enumerate SoftwareLicensingService": 2,
    "Enumerate SoftwareLicensingProduct": 3,
    "Enumerate Win32_OperatingSystem": 2,
    "Enumerate Msvm_ComputerSystem": 1,
    "Enumerate Msvm_KvpExchangeComponentSettingData": 1,
    "Enumerate Msvm_KvpExchangeComponent": 1,
    "Enumerate Msvm_VirtualSystemSettingData": 1,
    "Pull": 4,
    INSTALL: 1,
}
"""The requests of a run, and how often it sends each. Their order does not matter."""
CONVERGED = {INSTALL: 1, ACTIVATE: 1}


@dataclass
class Wire:
    """The requests of a run by name, and the one that breaks: before it is sent, or when its answer arrives."""

    broken: tuple[str, int] = ("", 0)
    after_sending: bool = False
    sent: Counter[str] = field(default_factory=Counter)
    hit: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def breaks(self, message: bytes) -> bool:
        """Count a request. Return True if it is the one that breaks."""
        name = name_of(message)
        with self._lock:
            self.sent[name] += 1
            found = self.broken == (name, self.sent[name])
            self.hit |= found
        return found


def name_of(message: bytes) -> str:
    """Return the action of a request, with the class that it reads. A method's action is its name."""
    action = re.search(rb"Action[^>]*>[^<]*/(\w+)<", message)
    read = re.search(rb"FROM (\w+)", message)
    return b" ".join(found[1] for found in (action, read) if found).decode()


def pipe_over(wire: Wire) -> type[WinrmPipe]:
    class Breaking(WinrmPipe):
        def send(self, context, message):
            if not wire.breaks(message):
                return super().send(context, message)
            if wire.after_sending:
                super().send(context, message)
            self.close()
            raise context.error(errors.AnswerLost, "the connection broke off", "run again")

    return Breaking


def each(requests: dict[str, int]) -> list[tuple[str, int]]:
    """Return each request of a run: its name, and its number among those with the name."""
    return [(name, number + 1) for name, count in requests.items() for number in range(count)]


def breaking_each(requests: dict[str, int]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test with each request of a run broken, before it is sent and when its answer arrives."""

    def parametrized(test: Callable[..., None]) -> Callable[..., None]:
        lost = pytest.mark.parametrize("after", [False, True], ids=["request lost", "answer lost"])
        named = pytest.mark.parametrize("at", each(requests), ids=lambda at: f"{at[0]} {at[1]}")
        return lost(named(test))

    return parametrized


def ended(runner: Runner, call: Callable[[Runner], Result]) -> Result | None:
    """Return the result of a run, or its state after a partial failure. Its requests have ended too."""
    try:
        return call(runner)
    except errors.PartlyDone as error:
        return error.state
    except errors.AvmaError:
        return None
    finally:
        runner.machines.close()


def hurried(runner: Runner, estate: EstateServer) -> Runner:
    """Return the runner, whose pauses end at once. Real time counts too, so its operations end even if they hang."""
    runner.skip_pauses(estate)
    skipped = runner.clock
    runner.clock = lambda: time.monotonic() + skipped()
    return runner


def activate_guest(runner: Runner) -> Result:
    return runner.activate()


@pytest.mark.parametrize(
    ("call", "requests"), [(Runner.license, OF_HOST), (activate_guest, OF_GUEST)], ids=["host", "guest"]
)
def test_a_run_sends_these_requests(estate, run, new_runner, call, requests):
    if call is activate_guest:
        run.license(HV01, OTHER_KEY)
    wire = Wire()
    assert ended(new_runner(pipe_over(wire)), call) is not None
    assert wire.sent.keys() == requests.keys()
    assert wire.sent[OUTPUT] >= requests.get(OUTPUT, 0)
    assert {**wire.sent, OUTPUT: 0} == {**requests, OUTPUT: 0}


@breaking_each(OF_HOST)
def test_a_host_is_licensed_once_wherever_the_wire_breaks(estate, run, new_runner, at, after):
    wire = Wire(at, after)
    broken = hurried(new_runner(pipe_over(wire)), estate)
    result = ended(broken, Runner.license)
    assert wire.hit
    assert wire.sent[ACTIVATE] <= 1
    if result is None or result.outputs.license_status is not LicenseStatus.LICENSED:
        estate.close_shells("hv01")  # Windows also ends the lock of a lost activation by itself, after minutes.
        result = run.license()
    assert result.outputs.license_status is LicenseStatus.LICENSED
    assert estate.machine("hv01")["status"] == "Licensed"
    assert methods(estate, "hv01") == CONVERGED
    assert estate.keys()[keys.partial(HOST_KEY)] == 1


@breaking_each(OF_GUEST)
def test_a_guest_is_activated_wherever_the_wire_breaks(estate, run, new_runner, at, after):
    run.license(HV01, OTHER_KEY)
    wire = Wire(at, after)
    broken = hurried(new_runner(pipe_over(wire)), estate)
    result = ended(broken, activate_guest)
    assert wire.hit
    if result is None or result.outputs.license_status is not LicenseStatus.LICENSED:
        run.activate()
    assert estate.machine("web01")["status"] == "Licensed"
    assert methods(estate, "web01") == {INSTALL: 1}


@pytest.mark.parametrize("change", CONVERGED)
def test_a_change_whose_answer_was_lost_is_not_sent_again(estate, new_runner, change):
    wire = Wire((change, 1), after_sending=True)
    result = new_runner(pipe_over(wire)).license()
    assert wire.hit
    assert result.outputs.license_status is LicenseStatus.LICENSED
    assert {name: wire.sent[name] for name in CONVERGED} == CONVERGED
    assert methods(estate, "hv01") == CONVERGED
