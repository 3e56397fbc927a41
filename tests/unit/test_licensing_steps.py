"""The decisions of licensing: every fault, and every pair of faults, at every step, on a model of a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import pytest

from avma import errors, keys
from avma.resources.licensing_steps import (
    Activate,
    Goal,
    InstallKey,
    LicensingSteps,
    LockMachine,
    ReadProduct,
    RefreshStatus,
    Step,
    Wait,
)
from avma.resources.machine_license import drive
from avma.windows.licensing import LicenseChannel, LicenseStatus, Product

WANTED, OTHER = "BCDFG-HJKMN-PQRTV-WXY23-46789", "BCDFG-HJKMN-PQRTV-WXY23-4678B"
MAK, AVMA = LicenseChannel.MAK, LicenseChannel.AVMA
WHERE = "hv01"
ACTIVATING = "activate Windows"
FINAL, NOT_BEGUN, PASSING = 0xC004C003, 0xC004FD00, 0x80041033


@dataclass
class Machine:
    """A machine that reacts to each step like Windows."""

    channel: LicenseChannel
    key: str | None
    licensed: bool
    faults: Mapping[int, Fault] = field(default_factory=dict)
    activates_by_itself: bool = False
    reads_along: bool = False
    """Whether the request of a change also reads the product after it."""
    installations: int = 0
    activations: int = 0
    sent: list[Step] = field(default_factory=list)

    def perform(self, step: Step) -> Product | None:
        self.sent.append(step)
        fault = self.faults.get(len(self.sent) - 1)
        if fault is None:
            return self.act(step)
        if fault.acted:
            self.act(step)
        raise fault.error()

    def act(self, step: Step) -> Product | None:
        if isinstance(step, InstallKey):
            self.key, self.licensed, self.installations = step.product_key, False, self.installations + 1
            self.licensed = self.activates_by_itself
        if isinstance(step, Activate):
            assert self.key is not None
            self.licensed, self.activations = True, self.activations + 1
        reads = isinstance(step, ReadProduct) or (self.reads_along and isinstance(step, InstallKey | Activate))
        return self.product if reads else None

    @property
    def product(self) -> Product | None:
        if self.key is None:
            return None
        status = LicenseStatus.LICENSED if self.licensed else LicenseStatus.NOTIFICATION
        return Product("id", self.channel, "ServerDatacenter", status, 0, keys.partial(self.key), 0, "", None)


@dataclass(frozen=True)
class Fault:
    """The failure of one step. `acted` is True if the machine completed the step before the failure."""

    name: str
    error: Callable[[], errors.AvmaError]
    acted: bool = False


def of(kind: Callable[..., errors.AvmaError], *more: int) -> Callable[[], errors.AvmaError]:
    return lambda: kind("license", WHERE, "the answer", "the remedy", *more)


TIMED_OUT = Fault("timed out", lambda: errors.TimedOut("license", WHERE, "the time is over", "allow more time"))
FAULTS = (
    Fault("lost", of(errors.AnswerLost)),
    Fault("lost after", of(errors.AnswerLost), acted=True),
    Fault("garbage", of(errors.UnexpectedAnswer)),
    Fault("garbage after", of(errors.UnexpectedAnswer), acted=True),
    Fault("refused", of(errors.LicensingFault, FINAL)),
    Fault("not begun", of(errors.LicensingFault, NOT_BEGUN)),
    Fault("passing", of(errors.WsmanFault, PASSING)),
    Fault("passing after", of(errors.WsmanFault, PASSING), acted=True),
    Fault("busy", of(errors.ServiceBusy)),
    Fault("unreachable", of(errors.Unreachable)),
    Fault("denied", of(errors.AccessDenied)),
    TIMED_OUT,
    Fault("cancelled", of(errors.Cancelled)),
)
NAMED = {fault.name: fault for fault in FAULTS}
GOALS = {
    "a key that can be used up": Goal(WANTED, channel=None),
    "a key without its activation": Goal(WANTED, activate=False),
    "an AVMA key": Goal(WANTED, channel=AVMA),
    "a key that is activated by phone": Goal(WANTED, by_phone=True),
}
_STARTS = {
    "without a key": Machine(MAK, None, licensed=False),
    "with another key": Machine(MAK, OTHER, licensed=True),
    "with the key": Machine(MAK, WANTED, licensed=False),
    "activated": Machine(MAK, WANTED, licensed=True),
    "activates by itself": Machine(MAK, None, licensed=False, activates_by_itself=True),
}


STARTS = {
    f"{name}{suffix}": replace(start, reads_along=along)
    for name, start in _STARTS.items()
    for suffix, along in (("", False), (", reads along", True))
}


def started(goal: Goal, start: Machine, faults: Mapping[int, Fault]) -> Machine:
    return replace(start, channel=goal.channel or start.channel, faults=faults, sent=[])


def attempt(goal: Goal, machine: Machine, read_again: bool = False) -> tuple[LicensingSteps, errors.AvmaError | None]:
    steps = LicensingSteps(goal, WHERE, machine.product)
    try:
        drive(steps.run(read_again), machine.perform)
    except errors.AvmaError as error:
        return steps, error
    return steps, None


def plans(goal: Goal, start: Machine, faults: Mapping[int, Fault], most: int = 2) -> Iterator[dict[int, Fault]]:
    """Yield the given faults, and then combinations with further faults at each step of the run, up to `most`."""
    yield dict(faults)
    if len(faults) == most:
        return
    machine = started(goal, start, faults)
    attempt(goal, machine)
    for place in range(max(faults, default=-1) + 1, len(machine.sent)):
        for fault in FAULTS:
            if not fault.acted or isinstance(machine.sent[place], InstallKey | Activate):
                yield from plans(goal, start, {**faults, place: fault}, most)


def changes(machine: Machine) -> list[type[Step]]:
    return [type(step) for step in machine.sent if isinstance(step, InstallKey | Activate)]


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
@pytest.mark.parametrize("goal", GOALS.values(), ids=GOALS)
def test_no_fault_spends_an_activation_twice_hides_a_change_or_hinders_the_next_attempt(
    goal: Goal, start: Machine
) -> None:
    for faults in plans(goal, start, {}):
        machine = started(goal, start, faults)
        steps, error = attempt(goal, machine)
        told = {place: fault.name for place, fault in faults.items()}, machine.sent
        assert error is not None or goal.is_reached(machine.product), told
        assert steps.changed or machine.installations + machine.activations == 0, told
        machine.faults = {}
        _steps, error = attempt(goal, machine)
        assert error is None, told
        assert goal.is_reached(machine.product), told
        assert machine.installations <= 1, told
        assert machine.activations <= 1, told


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.name in ("refused", "denied")], ids=lambda f: f.name
)
@pytest.mark.parametrize("change", [InstallKey, Activate])
def test_nothing_is_sent_after_a_final_refusal_but_a_read(fault: Fault, change: type[Step]) -> None:
    usual = started(GOALS["a key that can be used up"], STARTS["without a key"], {})
    attempt(GOALS["a key that can be used up"], usual)
    place = [type(step) for step in usual.sent].index(change)
    machine = started(GOALS["a key that can be used up"], STARTS["without a key"], {place: fault})
    _steps, error = attempt(GOALS["a key that can be used up"], machine)
    assert error is not None
    assert {type(step) for step in machine.sent[place + 1 :]} <= {ReadProduct}


def test_the_steps_of_a_new_host_and_of_one_that_is_licensed() -> None:
    goal = GOALS["a key that can be used up"]
    machine = started(goal, STARTS["without a key"], {})
    assert attempt(goal, machine)[0].changed
    changes = [InstallKey, ReadProduct, Activate, ReadProduct]
    assert [type(step) for step in machine.sent] == [LockMachine, ReadProduct, *changes]
    machine = started(goal, STARTS["without a key, reads along"], {})
    attempt(goal, machine)
    assert [type(step) for step in machine.sent] == [LockMachine, ReadProduct, InstallKey, Activate]
    machine = started(goal, STARTS["activated"], {})
    assert not attempt(goal, machine)[0].changed
    assert machine.sent == []


@pytest.mark.parametrize(
    "goal",
    [
        Goal(keys.KMS_CLIENT_KEYS[0].key),
        Goal(keys.AVMA_KEYS[0].key, channel=AVMA),
    ],
)
def test_a_generic_key_locks_no_machine(goal: Goal) -> None:
    machine = started(goal, STARTS["without a key"], {})
    assert attempt(goal, machine)[0].changed
    assert LockMachine not in [type(step) for step in machine.sent]


def test_another_process_that_was_faster_is_found_after_the_lock() -> None:
    goal = GOALS["a key that can be used up"]
    machine = started(goal, STARTS["with the key"], {})

    def perform(step: Step) -> Product | None:
        if isinstance(step, LockMachine):
            machine.licensed = True
        return machine.perform(step)

    drive(LicensingSteps(goal, WHERE, machine.product).run(read_again=False), perform)
    assert machine.sent == [LockMachine(), ReadProduct(keys.partial(WANTED))]


def test_another_thread_that_was_faster_is_found_by_reading_again() -> None:
    goal = GOALS["an AVMA key"]
    machine = started(goal, STARTS["activated"], {})
    steps = LicensingSteps(goal, WHERE, None)
    drive(steps.run(read_again=True), machine.perform)
    assert machine.sent == [ReadProduct(keys.partial(WANTED))]


def test_a_guest_activates_by_itself_before_it_is_asked_to() -> None:
    goal = GOALS["an AVMA key"]
    machine = started(goal, STARTS["activates by itself"], {})
    attempt(goal, machine)
    assert changes(machine) == [InstallKey]


def test_a_key_that_does_not_show_is_looked_for_after_a_refresh_of_the_service() -> None:
    goal = GOALS["a key without its activation"]
    machine = started(goal, STARTS["without a key"], {})
    hidden = iter([None])

    def perform(step: Step) -> Product | None:
        found = machine.perform(step)
        return next(hidden, found) if isinstance(step, ReadProduct) and machine.installations else found

    drive(LicensingSteps(goal, WHERE, None).run(read_again=False), perform)
    sent = [type(step) for step in machine.sent]
    assert sent == [LockMachine, ReadProduct, InstallKey, ReadProduct, RefreshStatus, ReadProduct]


def test_an_activation_that_never_shows_is_requested_once() -> None:
    goal = GOALS["a key that can be used up"]
    start = STARTS["with the key"]
    machine = started(goal, start, {2: Fault("lost", of(errors.AnswerLost))})
    _steps, error = attempt(goal, machine)
    assert isinstance(error, errors.AnswerLost)
    assert changes(machine) == [Activate]


REFUSED_BEFORE = Fault(
    "not begun", lambda: errors.LicensingFault(ACTIVATING, WHERE, "0xC004FD00", "wait for the host", NOT_BEGUN)
)
REPEATED = (LockMachine, ReadProduct, Activate, ReadProduct, Wait, ReadProduct, Activate, ReadProduct)
"""The steps for an activation that Windows first puts off, and then accepts."""


def attempt_repeated(faults: Mapping[int, Fault]) -> errors.AvmaError:
    """Return the error of an activation that Windows first puts off, and that then has these faults."""
    goal = GOALS["a key that can be used up"]
    machine = started(goal, STARTS["with the key"], {REPEATED.index(Activate): REFUSED_BEFORE, **faults})
    _steps, error = attempt(goal, machine)
    assert tuple(type(step) for step in machine.sent) == REPEATED[: max(faults) + 1]
    assert error is not None
    return error


@pytest.mark.parametrize("number", range(REPEATED.index(Activate) + 1, len(REPEATED) - 1))
def test_a_timeout_quotes_the_last_answer_of_windows(number: int) -> None:
    error = attempt_repeated({number: TIMED_OUT})
    assert isinstance(error, errors.TimedOut)
    assert (error.tried, error.answer) == (ACTIVATING, "0xC004FD00, and the time is over")
    assert error.remedy == "wait for the host"


@pytest.mark.parametrize("fault", ["cancelled", "unreachable", "denied"])
@pytest.mark.parametrize("number", range(REPEATED.index(Activate) + 1, len(REPEATED) - 1))
def test_another_error_after_a_refusal_quotes_it_too(number: int, fault: str) -> None:
    error = attempt_repeated({number: NAMED[fault]})
    assert type(error) is type(NAMED[fault].error())
    assert error.answer == "the answer. The previous error was: 0xC004FD00"


def test_a_timeout_in_doubt_quotes_the_refusal_before_the_last_request() -> None:
    error = attempt_repeated({len(REPEATED) - 2: NAMED["lost"], len(REPEATED) - 1: TIMED_OUT})
    assert isinstance(error, errors.TimedOut)
    assert error.in_doubt
    assert error.answer == (
        "the provider requested the activation, but the answer, and then could not read the result: the time is over. "
        "The previous error was: 0xC004FD00"
    )


@pytest.mark.parametrize("fault", ["cancelled", "unreachable", "timed out"])
def test_a_failed_read_after_a_final_refusal_does_not_hide_it(fault: str) -> None:
    goal = GOALS["a key that can be used up"]
    final = Fault("final", lambda: errors.LicensingFault(ACTIVATING, WHERE, "0xC004C003", "buy a key", FINAL))
    _steps, error = attempt(goal, started(goal, STARTS["with the key"], {2: final, 3: NAMED[fault]}))
    assert type(error) is type(NAMED[fault].error())
    assert error is not None
    assert "0xC004C003" in error.answer


def test_a_timeout_after_the_request_reports_that_it_was_sent() -> None:
    goal = GOALS["a key that can be used up"]
    machine = started(goal, STARTS["with the key"], {3: TIMED_OUT})
    steps, error = attempt(goal, machine)
    assert steps.changed
    assert error is not None
    assert error.answer.startswith(
        "the provider requested the activation, and then could not read the result: the time is over"
    )


@pytest.mark.parametrize("change", [InstallKey, Activate])
@pytest.mark.parametrize("unproven", ["unreachable", "denied", "timed out", "cancelled", "refused"])
@pytest.mark.parametrize("sent", ["lost after", "lost", None])
def test_a_read_that_fails_after_a_change_names_the_change(change: type[Step], unproven: str, sent: str | None) -> None:
    goal, start = GOALS["a key that can be used up"], STARTS["without a key"]
    machine = started(goal, start, {})
    attempt(goal, machine)
    number = next(number for number, step in enumerate(machine.sent) if isinstance(step, change))
    faults = {number + 1: NAMED[unproven], **({number: NAMED[sent]} if sent else {})}
    _steps, error = attempt(goal, started(goal, start, faults))
    assert error is not None
    assert type(error) is type(NAMED[unproven].error())
    assert error.tried == ("install the product key" if change is InstallKey else ACTIVATING)
    assert error.answer.startswith("the provider sent the key" if change is InstallKey else "the provider requested")
    assert error.answer.endswith(f"and then could not read the result: {NAMED[unproven].error().answer}")
