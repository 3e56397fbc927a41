"""The interface between resources and front ends.

A front end passes the values as the user wrote them (see `avma.properties.Values`). It runs each call with one
`Operation`, and stores the result. Three rules hold for all resources:

- `check` and `diff` connect to no machine.
- An error before the first change on a machine is raised unchanged. A later error is raised as `PartlyDone`.
- `read` reports a resource as gone only if the machine has reported this.
"""

from __future__ import annotations

import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

from avma import errors
from avma.configuration import Configuration
from avma.connection import resolve
from avma.deadline import Deadline
from avma.properties import InvalidProperty, Property, Values, build, dump, known, predicted, properties, validate
from avma.resources.claims import Claim, Claims, stake
from avma.settings import Settings
from avma.windows.machine import Server
from avma.windows.machines import Machines
from avma.wording import NEUTRAL

_log = logging.getLogger("avma.resources")
SHARE_OF_READING = 0.5
"""The share of an operation's time for reading one of several machines, before a change."""
_PAUSE = 0.2
"""Seconds between two checks of claims with unidentified machines."""


def _message(error: errors.AvmaError) -> str:
    return error.message


@dataclass(frozen=True)
class Operation:
    """The tools of one call of a front end.

    Args:
        configuration: the configuration of the provider.
        machines: the machines of the run.
        deadline: the end of the operation's time.
        show_status: shows the current activity, until the next such text.
        show_warning: shows a warning.
        claims: the claims of the whole run.
        resource: the resource's name in errors.
        shown: returns the text of an error that does not end the call. A front end can add a note to it.
        rendered: returns a text for an output, in the words of the front end and without secrets.
        show_information: shows a text that stays on the screen.
    """

    configuration: Configuration
    machines: Machines
    deadline: Deadline
    show_status: Callable[[str], None]
    show_warning: Callable[[str], None]
    claims: Claims = field(default_factory=Claims)
    resource: str = ""
    shown: Callable[[errors.AvmaError], str] = _message
    rendered: Callable[[str], str] = NEUTRAL.render
    show_information: Callable[[str], None] = lambda _: None

    def in_share(self, share: float = SHARE_OF_READING) -> Operation:
        """Return the operation with a share of its remaining time. A machine that hangs then leaves time for others."""
        return replace(self, deadline=self.deadline.part(self.deadline.remaining() * share))

    def warn_of(self, name: str, error: errors.AvmaError, note: str = "") -> None:
        """Warn about an error of one machine that does not end the call. `note` is a sentence about its effect."""
        text = error.with_note(note) if note else self.shown(error)
        self.warn(text if text.startswith(name) else f"{name}: {text}")

    def status(self, text: str) -> None:
        """Show the current activity, and log it."""
        _log.info("%s", text)
        self.show_status(text)

    def inform(self, text: str) -> None:
        """Show a text that stays on the screen, and log it."""
        _log.info("%s", text)
        self.show_information(text)

    def warn(self, text: str) -> None:
        """Show a warning, and log it."""
        _log.info("warning: %s", text)
        self.show_warning(text)

    def claim(
        self,
        machine: str,
        key: str | None,
        where: str,
        tried: str,
        *,
        installs: bool = False,
        coming: bool = False,
        key_version: str | None = None,
        place: str = "",
        spends: bool = False,
    ) -> None:
        """Claim a machine for the resource. This must happen before it is changed. `Claim` describes the arguments.

        Raises:
            KeyConflict: another resource of the run wants another key there.
            Refused: another resource wants another key, and its machine is not known.
            TimedOut, Cancelled: the machine of another resource was not identified in time.
        """
        claim = Claim(
            self.resource,
            machine,
            key,
            installs,
            made=True,
            coming=coming,
            key_version=key_version,
            place=place,
            spends=spends,
        )
        stake(self.claims, claim, where, tried, lambda: self.deadline.wait(_PAUSE, tried, where))

    def machine(self, name: str, *layers: Settings | None, prefix: str = "") -> Server:
        """Return the machine of that name. The first layer with a value determines each connection setting.

        Errors put `prefix` before the names of properties.

        Raises:
            InvalidInput: the settings cannot work.
        """
        connection = resolve(name, *layers, prefix=prefix)
        if any(settings is not None and settings.insecure for settings in layers[:1]):
            insecure = connection.setting("insecure", True)
            self.warn(f"{connection.where}: {insecure} is set, so the provider does not verify its TLS certificate")
        return self.machines.get(connection)


@dataclass(frozen=True)
class Stored:
    """The stored state of a resource: the inputs as the user wrote them, and the outputs."""

    inputs: Values
    outputs: Values


@dataclass(frozen=True)
class Result:
    """The current state of a resource: its identifier, its inputs, and an instance of its outputs class."""

    identifier: str
    inputs: Values
    outputs: Any


@dataclass(frozen=True)
class Drift:
    """An output that does not match the inputs: the machine, its value there, and the wanted value, as far as known."""

    machine: str
    found: Any
    wanted: Any


@dataclass(frozen=True)
class Change:
    """One difference between the stored and the wanted state.

    With `drift`, the path is an output: the machine no longer matches the inputs.
    """

    path: str
    replaces: bool = False
    drift: Drift | None = None


@dataclass(frozen=True)
class Undoing:
    """The effect of a deletion: the last five characters of the removed key, and the machine of the resource.

    `obstacle` is the error that a deletion would raise now.
    """

    key: str
    machine: str
    name: str
    obstacle: errors.AvmaError | None = None


@dataclass(frozen=True)
class Import:
    """A form of import: the parts of its identifier, and an example of a name and an identifier."""

    by: str
    name: str
    identifier: str


class Resource(ABC):
    """One kind of resource. The dataclasses `inputs` and `outputs` declare its properties."""

    name: ClassVar[str]
    description: ClassVar[str]
    imports: ClassVar[tuple[Import, ...]]
    inputs: ClassVar[type]
    outputs: ClassVar[type]
    licenses_hosts: ClassVar[bool] = False
    """Whether it licenses hosts. Then guests can wait for it."""
    timeout: ClassVar[float]
    """The default timeout of an operation in seconds."""

    def check(self, values: Values) -> list[InvalidProperty]:
        """Return all errors in the inputs. Unknown values pass. Connects to no machine."""
        return validate(self.inputs, values)

    @abstractmethod
    def diff(self, stored: Stored, wanted: Values) -> list[Change]:
        """Return the differences from the wanted inputs. Connects to no machine."""

    @abstractmethod
    def create(self, wanted: Values, operation: Operation) -> Result:
        """Bring the machine into the wanted state. Adopt an existing license.

        Raises:
            PartlyDone: the machine was changed before the error.
            AvmaError: nothing was changed.
        """

    @abstractmethod
    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        """Return the current state. None if the machine reports that the resource is gone. Without `stored`, import it.

        Raises:
            AvmaError: the state could not be read.
        """

    @abstractmethod
    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        """Bring an existing resource into the wanted state. Errors are those of `create`."""

    @abstractmethod
    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        """End the resource. Succeed if it is already gone.

        Raises:
            AvmaError: the resource still exists.
        """

    def settled(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result | None:
        """Return the result of an update that changes no machine. None if a machine must or may be changed.

        New connection settings are tried first.

        Raises:
            AvmaError: the new settings do not work.
        """
        changes = self.diff(stored, wanted)
        if is_bookkeeping_only(self.inputs, changes):
            return Result(identifier, wanted, build(self.outputs, stored.outputs))
        if not is_connected_anew(self.inputs, changes):
            return None
        found = self.try_settings(identifier, Stored(wanted, stored.outputs), operation)
        if found is None or not is_bookkeeping_only(self.inputs, changes, connects=True):
            return None
        return None if self.diff(Stored(wanted, dump(found.outputs)), wanted) else found

    def try_settings(self, identifier: str, stored: Stored, operation: Operation) -> Result | None:
        """Return the current state, as `read`. The connection settings in the inputs are new."""
        return self.read(identifier, stored, operation)

    def holdings(self, stored: Stored, wanted: Values) -> list[Claim]:
        """Return the stored machines of the resource, with their wanted keys. Connects to no machine."""
        return []

    def located(self, stored: Stored, wanted: Values, operation: Operation) -> list[Claim]:
        """Return `holdings` with the identities of machines for which the state has none.

        Older versions did not store them. The function reads the identities of these machines and changes nothing. A
        machine that cannot be queried stays without identity.
        """
        return self.holdings(stored, wanted)

    def undoes(self, identifier: str, stored: Stored, operation: Operation) -> Undoing | None:
        """Return the effect of deleting the resource, None if it changes no machine. Only reads.

        Raises:
            AvmaError: the machine could not be queried.
        """
        return None

    def predict(self, wanted: Values) -> dict[str, Any]:
        """Return the promised and the expected outputs. Connects to no machine."""
        return predicted(self.outputs, wanted)

    def askable(self, wanted: Values) -> bool:
        """Return True if a preview knows enough inputs to `probe`."""
        return known(wanted)

    def probe_update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> dict[str, Any]:
        """Return the expected outputs of `update`. Reads the machines and changes nothing.

        Raises:
            AvmaError: the error that `update` would raise.
        """
        return self.probe(wanted, operation, identifier)

    @abstractmethod
    def probe(self, wanted: Values, operation: Operation, identifier: str | None = None) -> dict[str, Any]:
        """Return the expected outputs. Reads the machines and changes nothing.

        With `identifier`, the target is an existing resource, as in `update`.

        Raises:
            AvmaError: the error that `create` or `update` would raise.
        """


class Attempted(Protocol):
    """An attempt on a machine. `changed` is True if it has changed the machine so far."""

    changed: bool


@contextlib.contextmanager
def partial_failure(attempt: Attempted, reached: Callable[[], Result]) -> Iterator[None]:
    """Pass on the reached state if an error occurs after the first change on a machine.

    Raises:
        PartlyDone: instead of such an error.
    """
    try:
        yield
    except errors.AvmaError as error:
        if not attempt.changed:
            raise
        result = reached()
        raise errors.PartlyDone(result.identifier, result, error) from error


def is_bookkeeping_only(record: type, changes: Sequence[Change], *, connects: bool = False) -> bool:
    """Return True if the changed inputs of a record need no action now (`applies_later`).

    With `connects`, they can also be connection settings. Without changes, the result is False: then the front end
    requests the update because the previous one failed.
    """
    rules = {prop.name: prop.rule for prop in properties(record)}
    later = {name for name, rule in rules.items() if rule.applies_later or (connects and rule.connects)}
    return bool(changes) and all(change.path.partition(".")[0] in later and not change.replaces for change in changes)


def is_connected_anew(record: type, changes: Sequence[Change]) -> bool:
    """Return True if the changed inputs of a record contain a connection setting (`connects`)."""
    rules = {prop.name: prop.rule for prop in properties(record)}
    names = [change.path.partition(".")[0] for change in changes]
    return any(rules[name].connects for name in names if name in rules)


def lasting(record: type, outputs: Values) -> dict[str, Any]:
    """Return the outputs that another product key does not change (`lasting`)."""
    names = {prop.name for prop in properties(record) if prop.rule.lasting}
    return {name: value for name, value in outputs.items() if name in names}


def input_changes(
    record: type, old: Values, new: Values, normal: Mapping[str, Callable[[Any], Any]] | None = None
) -> Iterator[Change]:
    """Yield the declared inputs that differ. A value equal to its default is the same as no value.

    `normal` contains, by path, the functions that bring values into a comparable form.
    """
    yield from _changes(record, old, new, "", normal or {})


def _changes(
    record: type, old: Values, new: Values, prefix: str, normal: Mapping[str, Callable[[Any], Any]]
) -> Iterator[Change]:
    for prop in properties(record):
        before, after = _effective(prop, old), _effective(prop, new)
        if before == after and known(before):
            continue
        path = prefix + prop.name
        if prop.record is not None and isinstance(before, Mapping) and isinstance(after, Mapping):
            inner = _changes(prop.record, before, after, f"{path}.", normal)
            yield from (replace(change, replaces=change.replaces or prop.rule.replaces) for change in inner)
        elif _differ(before, after, normal.get(path, lambda value: value)):
            yield Change(path, replaces=prop.rule.replaces)


def _effective(prop: Property, values: Values) -> Any:
    value = values.get(prop.name)
    return prop.default if value is None else value


def _differ(before: Any, after: Any, form: Callable[[Any], Any]) -> bool:
    if not known(before) or not known(after):
        return True
    if before is None or after is None:
        return before is not after
    return bool(form(before) != form(after))
