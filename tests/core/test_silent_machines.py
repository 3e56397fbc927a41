"""Cancel and time limits on a machine that answers nothing any more, not even the requests that clean up.

The promise is two seconds after Cancel, and three seconds after the time limit. `LOAD` is for the delays of a busy
machine alone. Closing the connections afterwards has its own limit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from avma import errors
from avma.configuration import Configuration, GuestDefaults
from avma.windows.machine import CLOSING
from avma.wsman.runspaces import RunningScript
from avma.wsman.script import Output
from core.phases import PHASES, Phase, causes, serving
from core.powershell_direct.lab import GUEST_PASSWORD
from core.runner import ADMINISTRATOR, PASSWORD, Runner
from core.silence import LOAD, Silence
from waiting import PATIENCE

AFTER_CANCEL, AFTER_LIMIT = 2.0, 3.0
LIMIT = 3.0
HOUR = "1h"
CLEANING_UP = (
    "reading again",
    "installing",
    "activating",
    "activating a node",
    "in a script",
    "changing a guest",
    "deleting in a guest",
    "locking a machine",
    "applying a key",
)
"""The phases with a remote PowerShell. Only these have something to end on the machine."""


@pytest.fixture
def configuration() -> Configuration:
    guest = GuestDefaults(username=ADMINISTRATOR, password=GUEST_PASSWORD, ready_timeout=HOUR)
    fixed = Configuration(https=False, username=ADMINISTRATOR, password=PASSWORD, guest=guest)
    return replace(fixed, connect_timeout=HOUR, operation_timeout=HOUR)


@dataclass
class Call:
    """An operation in a thread of its own, its error and the moment of its end."""

    operation: Callable[[], object]
    error: errors.AvmaError | None = None
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0

    def begin(self) -> threading.Thread:
        """Begin the operation."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        try:
            self.operation()
        except errors.AvmaError as error:
            self.error = error
        finally:
            self.ended = time.monotonic()


def require_end(call: Call, phase: Phase, kind: type[errors.AvmaError]) -> None:
    """Require that an operation ended with this error, and kept its state if a change had begun."""
    assert call.error is not None
    assert {type(cause) for cause in causes(call.error)} == {kind}, call.error
    assert isinstance(call.error, errors.PartlyDone) == phase.partial


def require_close(run: Runner) -> None:
    """Close all connections, within the limit for it."""
    began = time.monotonic()
    run.machines.close()
    assert time.monotonic() - began < CLOSING + LOAD


@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)
def test_cancel_ends_an_operation_on_a_machine_that_answers_nothing_any_more(tmp_path, new_runner, phase):
    silence, run = Silence(phase.machine, phase.request, skip=phase.skip, wholly=True), new_runner()
    with serving(tmp_path, phase.estate, silence) as estate:
        call = Call(phase.begin(run, estate, silence))
        run.seconds = 3600
        thread = call.begin()
        assert silence.begun.wait(PATIENCE)
        canceled = time.monotonic()
        run.cancellation.set()
        thread.join(PATIENCE)
        require_end(call, phase, errors.Cancelled)
        assert call.ended - canceled < AFTER_CANCEL + LOAD
        require_close(run)
        assert silence.holds


@pytest.mark.parametrize("name", CLEANING_UP)
def test_the_time_limit_holds_on_a_machine_that_answers_nothing_any_more(tmp_path, new_runner, name):
    phase = PHASES[name]
    silence, run = Silence(phase.machine, phase.request, skip=phase.skip, wholly=True), new_runner()
    with serving(tmp_path, phase.estate, silence) as estate:
        operation = phase.begin(run, estate, silence)
        run.seconds = LIMIT
        call = Call(operation)
        call.begin().join(PATIENCE)
        require_end(call, phase, errors.TimedOut)
        assert call.ended - call.began < LIMIT + AFTER_LIMIT + LOAD
        require_close(run)
        assert silence.holds


def test_the_end_of_a_script_does_not_wait_for_its_machine():
    over = threading.Event()
    no_pool: Any = None

    def end(_pool):
        thread = threading.Thread(target=over.wait, daemon=True)
        thread.start()
        return thread

    script = RunningScript(no_pool, output=Output((), (), completed=False), _end=end)
    ending = threading.Thread(target=script.end, daemon=True)
    ending.start()
    ending.join(AFTER_CANCEL + LOAD)
    assert not ending.is_alive()
    over.set()
