"""What every resource offers to a front end, and what it gets from one.

A front end passes values as the user wrote them (see `avma.properties.Values`), runs one `Operation` at a time per
call, and stores what comes back. The rules that hold for all resources: `check` and `diff` ask no machine; an error
before the first change on a machine is raised as it is, one after it as `PartlyDone`; `read` says "gone" only after
the machine said so.
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
from avma.properties import Failure, Property, Values, known, properties, validate
from avma.resources.claims import Claim, Claims, stake
from avma.settings import Settings
from avma.windows.machine import Machines, Server

_log = logging.getLogger("avma.resources")
_PAUSE = 0.2
"""Seconds between two looks at claims of machines that are being asked who they are."""


@dataclass(frozen=True)
class Operation:
    """What one call of a front end works with.

    Args:
        configuration: the configuration of the provider.
        machines: the machines of the run.
        deadline: the end of the operation's time.
        show_status: shows what the operation is doing, until the next such text.
        show_warning: shows a warning.
        claims: the claims of the whole run.
        resource: the resource, as errors name it.
        shown: returns the text of an error that does not end the call, to which a front end can add a note.
    """

    configuration: Configuration
    machines: Machines
    deadline: Deadline
    show_status: Callable[[str], None]
    show_warning: Callable[[str], None]
    claims: Claims = field(default_factory=Claims)
    resource: str = ""
    shown: Callable[[errors.AvmaError], str] = str

    def warn_of(self, name: str, error: errors.AvmaError) -> None:
        """Warn of the error of one machine that does not end the call."""
        self.warn(f"{name}: {self.shown(error)}")

    def status(self, text: str) -> None:
        """Show what the operation is doing, and log it."""
        _log.info("%s", text)
        self.show_status(text)

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
        """Claim a machine for the resource before it is changed; arguments as for `Claim`.

        Raises:
            KeyConflict: another resource of the run wants another key there.
            Refused: another resource wants another key, and it is not known on which machine.
            TimedOut, Cancelled: its machine was still being asked.
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
        """Return the machine of that name, reached as the layers of settings say, the first winning.

        `prefix` stands before the names of the properties that errors tell to set.

        Raises:
            InvalidInput: the settings cannot work.
        """
        connection = resolve(name, *layers, prefix=prefix)
        if any(settings is not None and settings.insecure for settings in layers[:1]):
            self.warn(f"{connection.where}: `{prefix}insecure` is set, so its TLS certificate is not verified")
        return self.machines.get(connection)


@dataclass(frozen=True)
class Stored:
    """What a front end has stored of a resource: the inputs as the user wrote them, and the outputs."""

    inputs: Values
    outputs: Values


@dataclass(frozen=True)
class Result:
    """A resource as it is now: its identifier, the inputs that describe it, and an instance of its outputs class."""

    identifier: str
    inputs: Values
    outputs: Any


@dataclass(frozen=True)
class Change:
    """One difference between what is stored and what is wanted.

    `drift` says that the path is one of the outputs, which the machine no longer has as the inputs want it.
    """

    path: str
    replaces: bool = False
    drift: bool = False


@dataclass(frozen=True)
class Undoing:
    """What a deletion undoes: the last five characters of the key that goes, and on which machine.

    `obstacle` is why the deletion would be refused now.
    """

    key: str
    machine: str
    name: str
    obstacle: errors.AvmaError | None = None


@dataclass(frozen=True)
class Import:
    """A way to adopt what exists: what its identifier is made of, and an example of a name and an identifier."""

    by: str
    name: str
    identifier: str


class Resource(ABC):
    """One kind of resource. `inputs` and `outputs` are the dataclasses that declare its properties."""

    name: ClassVar[str]
    description: ClassVar[str]
    imports: ClassVar[tuple[Import, ...]]
    inputs: ClassVar[type]
    outputs: ClassVar[type]
    licenses_hosts: ClassVar[bool] = False
    """Whether guests can wait for it: it licenses hosts."""
    timeout: ClassVar[float]
    """Seconds that an operation may take where the user sets nothing."""

    def check(self, values: Values) -> list[Failure]:
        """Return everything that is wrong with the inputs; unknown ones pass. No machine is asked."""
        return validate(self.inputs, values)

    @abstractmethod
    def diff(self, stored: Stored, wanted: Values) -> list[Change]:
        """Return what differs from the wanted inputs. No machine is asked."""

    @abstractmethod
    def create(self, wanted: Values, operation: Operation) -> Result:
        """Bring the machine into the wanted state, adopting what is there already.

        Raises:
            PartlyDone: the machine was changed before the error came.
            AvmaError: nothing was changed.
        """

    @abstractmethod
    def read(self, identifier: str, stored: Stored | None, operation: Operation) -> Result | None:
        """Return the state now, None when the machine says that the thing is gone. Without `stored`: import.

        Raises:
            AvmaError: the state could not be found out.
        """

    @abstractmethod
    def update(self, identifier: str, stored: Stored, wanted: Values, operation: Operation) -> Result:
        """Bring an existing resource into the wanted state; errors as for `create`."""

    @abstractmethod
    def delete(self, identifier: str, stored: Stored, operation: Operation) -> None:
        """End the resource; one that is gone already is a success.

        Raises:
            AvmaError: the resource still exists.
        """

    def holdings(self, stored: Stored, wanted: Values) -> list[Claim]:
        """Return which machines the resource has, by what is stored, and which keys it wants there. Asks no machine."""
        return []

    def located(self, stored: Stored, wanted: Values, operation: Operation) -> list[Claim]:
        """Return `holdings` with the machines that the state does not show, as it was stored by an older version.

        Asks these machines who they are, and changes nothing. One that cannot be asked stays without identity.
        """
        return self.holdings(stored, wanted)

    def undoes(self, identifier: str, stored: Stored, operation: Operation) -> Undoing | None:
        """Return what deleting the resource undoes, None if it only forgets. Looks and changes nothing.

        Raises:
            AvmaError: the machine could not be asked.
        """
        return None

    @abstractmethod
    def predict(self, wanted: Values) -> dict[str, Any]:
        """Return the outputs that are certain before anything was done. No machine is asked."""

    def askable(self, wanted: Values) -> bool:
        """Say whether enough of the inputs is known for a preview to `probe`."""
        return known(wanted)

    @abstractmethod
    def probe(self, wanted: Values, operation: Operation, identifier: str | None = None) -> dict[str, Any]:
        """Return the outputs to expect, having asked the machines and changed nothing.

        With `identifier` an existing resource is looked for, as `update` does.

        Raises:
            AvmaError: what would stand in the way of `create` or `update`.
        """


class Attempted(Protocol):
    """Something that was tried on a machine; `changed` says whether the machine was changed so far."""

    changed: bool


@contextlib.contextmanager
def keeping(attempt: Attempted, reached: Callable[[], Result]) -> Iterator[None]:
    """Hand over the state that was reached when an error comes after the first change on a machine.

    Raises:
        PartlyDone: in place of such an error.
    """
    try:
        yield
    except errors.AvmaError as error:
        if not attempt.changed:
            raise
        result = reached()
        raise errors.PartlyDone(result.identifier, result, error) from error


def only_said(changes: Sequence[Change]) -> bool:
    """Say whether the changes are such that nothing is to be done about them now: what to do later, how to connect.

    No change at all is not: then an update is asked for because the one before failed.
    """
    later = ("onDelete", "forceDestroy", "productKeyVersion", "connection", "guest", "hosts")
    return bool(changes) and all(change.path.partition(".")[0] in later and not change.replaces for change in changes)


def input_changes(
    record: type, old: Values, new: Values, normal: Mapping[str, Callable[[Any], Any]] | None = None
) -> Iterator[Change]:
    """Yield the declared inputs that differ; a value equal to its default is the same as none.

    `normal` gives, by path, the form in which two values are compared.
    """
    yield from _changes(record, old, new, "", normal or {})


def _changes(
    record: type, old: Values, new: Values, prefix: str, normal: Mapping[str, Callable[[Any], Any]]
) -> Iterator[Change]:
    for prop in properties(record):
        path = prefix + prop.name
        before, after = _effective(prop, old), _effective(prop, new)
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
