"""What must hold after each fault, and after the next `up`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from google.protobuf.json_format import MessageToDict
from grpc import StatusCode

from avma import errors, explanations
from faults.effects import Effect
from faults.engine import Run, State, Stored
from faults.estates import SECRETS
from pulumi_resource_avma.grpc_errors import InitFailed, Noted

_SEE = re.compile(r" See: avma explain (\S+)$")
_CLASS_NAME = re.compile(r"(?<!0x[0-9A-F]{8}: )\b[A-Z]\w*(?:Error|Exception)\b|Traceback|object at 0x")
"""A class of Python. `InternalError` after a number is a subcode of SOAP."""
_MOVED = "the VM is no longer on its host"
"""The warning of a deletion that forgets a VM on another host, and leaves its key."""
_STAYS_LOCKED = "stays locked against other runs"
_SILENT = ("401", "hang", "drip")
"""The names of faults after which a session can stay open. Windows ends it after five minutes."""
_ERROR = re.compile("'error': .{9}")
_BY_HAND = "the provider does not apply it again by itself"
"""A machine of Azure Local that does not report its key can have it. Only the user can check, and decide."""
_CHANGES = re.compile("InstallProductKey|UninstallProductKey|Activate|ConfirmationId")
"""The methods of a license that a run must not repeat."""
_DOUBTFUL = {code.value[0] for code in (StatusCode.UNKNOWN, StatusCode.INTERNAL, StatusCode.DATA_LOSS)}


class Problem(Enum):
    """A promise that does not hold."""

    LOST = "lost from state"
    DIVERGED = "did not converge"
    SPENT = "spent twice"
    UNTRUE = "untrue result"
    MESSAGE = "message without remedy"
    NEEDLESS = "sent without need"
    LEFT_OPEN = "session left open"


@dataclass(frozen=True)
class Finding:
    """A broken promise, with its details."""

    problem: Problem
    detail: str


@dataclass
class Story:
    """One fault from begin to end: the states, the effects, and the results of the commands."""

    before: State
    failed: Run
    state_after: State
    effects: list[Effect]
    then: Then
    open_shells: int
    """The sessions on the machines after the command."""
    fault: str
    lasting: bool
    repeats: bool
    """Whether the provider may send a change again, because the machine said that it did not begin it."""
    moved: bool
    """Whether the machines themselves are in another state."""
    expected: Expected


@dataclass(frozen=True)
class Then:
    """The next `up`: its run, its changes that took effect, and the results after it."""

    up: Run
    effects: list[Effect]
    state: State
    licenses: dict[str, Any]
    spent: Counter[Effect]


@dataclass(frozen=True)
class Expected:
    """The results without a fault.

    Attributes:
        command: the run of the command.
        effects: its changes that took effect.
        state_after: the state after it.
        state, licenses, spent: the results after the next `up`.
        machines: the names and addresses of all machines and clusters.
        hosts: the names of the hosts. Their activations are limited.
        follows: whether the program names each host that a VM can move to.
        owners: the resource that is responsible for a machine, by the machine's name.
        deleted: the resources that the command deletes or replaces.
    """

    command: Run
    effects: Counter[Effect]
    state_after: dict[str, Any]
    state: dict[str, Any]
    licenses: dict[str, Any]
    spent: Counter[Effect]
    reads_only: bool
    machines: frozenset[str]
    hosts: frozenset[str]
    follows: bool
    owners: Mapping[str, str]
    deleted: frozenset[str]


def shown(state: State) -> dict[str, Any]:
    """Return a state in a form that can be compared. A VM may have moved, so its host does not count."""
    return {
        name: (each.type, each.identifier, MessageToDict(each.inputs), _outputs(each), each.partial)
        for name, each in state.items()
    }


def _outputs(stored: Stored) -> dict[str, Any]:
    """Return the outputs to compare."""
    outputs = {name: value for name, value in MessageToDict(stored.outputs).items() if name != "activatedByHost"}
    if "guestActivations" in outputs:
        outputs["guestActivations"] = [
            {name: value for name, value in guest.items() if name not in ("activatedByHost", "host", "managed")}
            for guest in outputs["guestActivations"]
        ]
    return outputs


def findings(story: Story) -> Iterator[Finding]:
    """Return the broken promises of a story."""
    yield from _lost(story)
    yield from _messages(story.failed, story.expected.machines)
    yield from _untrue(story)
    yield from _diverged(story)
    yield from _spent(story)
    yield from _needless(story)
    yield from _left_open(story)


def _lost(story: Story) -> Iterator[Finding]:
    """Nothing leaves the state because of a fault, and each changed machine is in it.

    A refresh may remove a VM after its move to a host outside of the program.
    """
    may_leave = story.moved and not story.expected.follows
    for name in story.before:
        replaced = name in story.expected.deleted
        if name not in story.state_after and not replaced and not may_leave:
            yield Finding(Problem.LOST, f"{name} is no longer in the state")
    changed = {effect.machine for effect in story.effects if effect.method != "uninstall_key"}
    for machine in sorted(changed if story.failed.errors else ()):
        owner = story.expected.owners.get(machine)
        if owner is not None and owner not in story.state_after:
            yield Finding(Problem.LOST, f"{machine} changed, and {owner} is not in the state")


def _untrue(story: Story) -> Iterator[Finding]:
    """A command without an error or a warning has the same results as without a fault.

    The result of a function can contain errors of single machines.
    """
    if story.moved or story.failed.errors or story.failed.warnings:
        return
    state, expected = shown(story.state_after), story.expected
    if state != expected.state_after:
        yield Finding(Problem.UNTRUE, f"the state differs: {_difference(state, expected.state_after)}")
    explained = _ERROR.search(str(story.failed.predicted))
    if story.failed.predicted != expected.command.predicted and not explained:
        differing = _difference(story.failed.predicted, expected.command.predicted)
        yield Finding(Problem.UNTRUE, f"the result differs: {differing}")


def _messages(run: Run, machines: Iterable[str]) -> Iterator[Finding]:
    """Each error names machine, cause and remedy, and a topic that exists."""
    for error, message, code in zip(run.errors.values(), run.messages, run.codes, strict=True):
        lacking = list(_lacking(_core_error(error), message, machines))
        if code in _DOUBTFUL:
            lacking.append(f"has the code {code}")
        if lacking:
            yield Finding(Problem.MESSAGE, f"{'; '.join(lacking)}: {message}")
    for warning in run.warnings:
        if _CLASS_NAME.search(warning) or any(secret in warning for secret in SECRETS):
            yield Finding(Problem.MESSAGE, f"a warning names a class or a secret: {warning}")


def _core_error(error: Exception) -> errors.AvmaError | None:
    if isinstance(error, InitFailed):
        return error.cause
    if isinstance(error, Noted):
        return error.error
    return error if isinstance(error, errors.AvmaError) else None


def _lacking(error: errors.AvmaError | None, message: str, machines: Iterable[str]) -> Iterator[str]:
    topic = _SEE.search(message)
    if topic is None or explanations.find(topic[1]) is None:
        yield "has no topic that exists"
    if _CLASS_NAME.search(message):
        yield "names a class"
    if any(secret in message for secret in SECRETS):
        yield "contains a secret"
    if error is None:
        yield "is not an error of the core"
    elif not (error.tried and error.answer and any(name in error.where for name in machines)):
        yield "has no machine, operation or cause"
    elif not error.remedy:
        yield "has no remedy"


def _diverged(story: Story) -> Iterator[Finding]:
    """The next `up` succeeds, and reaches the state of a run without a fault."""
    for message in story.then.up.messages:
        yield Finding(Problem.DIVERGED, f"the next `up` failed: {message}")
    if story.then.up.errors:
        return
    moved = any(_MOVED in warning for warning in story.failed.warnings)
    by_hand = any(_BY_HAND in message for message in story.failed.messages)
    if story.then.licenses != story.expected.licenses and not moved and not by_hand:
        yield Finding(
            Problem.DIVERGED, f"the machines differ: {_difference(story.then.licenses, story.expected.licenses)}"
        )
    state = shown(story.then.state)
    if state != story.expected.state:
        yield Finding(Problem.DIVERGED, f"the state differs: {_difference(state, story.expected.state)}")


def _spent(story: Story) -> Iterator[Finding]:
    """No activation takes effect more often than without a fault."""
    for effect, count in (story.then.spent - story.expected.spent).items():
        yield Finding(Problem.SPENT, f"{effect.machine}: {effect.key} {count} more")


def _needless(story: Story) -> Iterator[Finding]:
    """A command that only reads changes nothing, and no change is repeated."""
    if story.expected.reads_only and (story.effects or story.then.effects):
        yield Finding(Problem.NEEDLESS, f"changed {story.effects + story.then.effects}")
    for effect in story.then.effects:
        if effect in story.effects:
            yield Finding(Problem.NEEDLESS, f"{effect.machine}: {effect.method} {effect.key} again")
    for effect in Counter(story.effects) - story.expected.effects:
        yield Finding(Problem.NEEDLESS, f"{effect.machine}: {effect.method} {effect.key} in the same command")
    hosts = story.expected.hosts
    sent = _changes(story.failed, hosts) - _changes(story.expected.command, hosts)
    for what, count in sent.items() if not story.repeats else ():
        yield Finding(Problem.NEEDLESS, f"{what} was sent {count} times more than without a fault")


def _changes(run: Run, hosts: frozenset[str]) -> Counter[str]:
    """Return the requests that change the license of a host, with their numbers."""
    sent = (f"{request.machine}: {request.operation}" for request in run.requests if request.machine in hosts)
    return Counter(each for each in sent if _CHANGES.search(each))


def _left_open(story: Story) -> Iterator[Finding]:
    """Each session is closed, unless the machine does not answer or has rejected the account.

    The lock of a machine stays if an activation may still be running there. Then a warning says so.
    """
    locks = sum(_STAYS_LOCKED in warning for warning in story.failed.warnings)
    if story.open_shells > locks and not story.lasting and story.fault not in _SILENT:
        yield Finding(Problem.LEFT_OPEN, f"{story.open_shells}")


def _difference(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    return "; ".join(f"{name}: {found.get(name)} instead of {wanted.get(name)}" for name in names)
