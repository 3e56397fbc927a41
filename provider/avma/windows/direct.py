"""The WMI of guests through the host on which they run: PowerShell Direct, which needs no network in the guest.

What guests of one host are asked at the same time shares one script run, since a run costs a PowerShell on the host,
and a wait for others costs little. What PowerShell Direct needs and says is from "Manage Windows virtual machines with
PowerShell Direct" at learn.microsoft.com and from PowerShell's source. The module knows no licensing.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from avma import errors
from avma.deadline import Deadline
from avma.redaction import Redactor
from avma.windows import powershell
from avma.windows.powershell import PowerShell
from avma.wsman import faults, retry
from avma.wsman.instance import BadValue, Instance

SCRIPT = "cim-in-guest"

_GATHERING = 0.05
"""Seconds that a run waits for others to share it; little beside the start of a PowerShell, which takes seconds."""
_POLL = 0.1
"""Seconds between two looks at the deadline while another thread leads a run."""
_THROTTLE = 16
"""Guests in which one run works at a time."""
_LONGEST_RUN = 300.0
"""Seconds after which a run gives up those guests that have not answered."""
_MARGIN = 5.0
"""Seconds that the script is given less than its caller waits, so that it can still say who has not answered."""

_HRESULT = re.compile(r"HRESULT 0x([0-9A-Fa-f]{8})")
_DATETIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.(\d{6})\+000")
_WINRM = "reach the guest over the network (`guest.transport: winrm`)"

Operation = Mapping[str, Any]


@dataclass(frozen=True)
class Account:
    """An account of the Windows inside a VM; the password is kept out of `repr`."""

    username: str
    password: str = field(repr=False)


@dataclass(eq=False)
class _Request:
    """Operations in one guest, and what came of them."""

    vm_id: str
    account: Account
    operations: Sequence[Operation]
    deadline: Deadline
    begun: bool = False
    answer: Mapping[str, Any] | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        """Whether it is answered."""
        return self.answer is not None or self.error is not None

    def as_json(self) -> dict[str, Any]:
        """Return it as the script's input has it."""
        account = {"username": self.account.username, "password": self.account.password}
        return {"id": self.vm_id, **account, "operations": list(self.operations)}

    def secrets(self) -> list[str]:
        """Return what must not be told of it."""
        arguments = (operation.get("arguments", {}) for operation in self.operations)
        return [self.account.password, *(str(value) for given in arguments for value in given.values())]


class _Joint(Deadline):
    """The deadline of a run: over when those of all who share it are, and in any case after a while."""

    def __init__(self, deadlines: Iterable[Deadline]) -> None:
        super().__init__(_LONGEST_RUN)
        self._deadlines = tuple(deadlines)

    def remaining(self) -> float:
        """See `Deadline.remaining`."""
        return min(super().remaining(), max(deadline.remaining() for deadline in self._deadlines))

    def check(self, tried: str, where: str) -> None:
        """See `Deadline.check`."""
        super().check(tried, where)
        ends = [end for end in (_end_of(deadline, tried, where) for deadline in self._deadlines) if end is not None]
        if len(ends) == len(self._deadlines):
            raise ends[0]

    def wait(self, timeout: float, tried: str, where: str) -> None:
        """See `Deadline.wait`."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            self.check(tried, where)
            time.sleep(min(left, _POLL))
        self.check(tried, where)


class GuestRuns:
    """The script runs of one host, one at a time, each for all guests that wait for one. Safe for several threads."""

    def __init__(self, powershell: PowerShell) -> None:
        self._powershell = powershell
        self._changed = threading.Condition()
        self._waiting: list[_Request] = []
        self._under_way = False

    @property
    def where(self) -> str:
        """The host as errors name it."""
        return self._powershell.where

    def ask(self, request: _Request, tried: str) -> Mapping[str, Any]:
        """Return the script's answer for one guest: its results, or the error of its session.

        Raises:
            AnswerLost: the operations may have run.
            AvmaError: the script could not be run.
        """
        with self._changed:
            self._waiting.append(request)
        try:
            while not request.done:
                if self._leads():
                    self._lead(request.deadline, tried)
                else:
                    self._wait(request, tried)
        except (errors.TimedOut, errors.Cancelled) as end:
            raise self._left(request, end, tried) from end
        if request.error is not None:
            raise request.error
        return request.answer or {}

    def _leads(self) -> bool:
        """Say whether this thread is the one that leads the next run."""
        with self._changed:
            leads, self._under_way = not self._under_way, True
            return leads

    def _wait(self, request: _Request, tried: str) -> None:
        with self._changed:
            if self._under_way and not request.done:
                self._changed.wait(_POLL)
        if not request.done:
            request.deadline.check(tried, self.where)

    def _left(self, request: _Request, end: errors.AvmaError, tried: str) -> errors.AvmaError:
        """Take a request back whose own time is over; return the error to raise for it."""
        with self._changed:
            if request in self._waiting:
                self._waiting.remove(request)
        if not request.begun:
            return end
        return errors.AnswerLost(tried, self.where, f"{end.answer} while a script was running there", end.remedy)

    def _lead(self, deadline: Deadline, tried: str) -> None:
        """Wait for others to join, then run the script for all."""
        try:
            deadline.wait(_GATHERING, tried, self.where)
            requests = self._take()
            try:
                self._run(requests, tried)
            except Exception as error:  # kept for all who wait, and raised by each of them
                for request in requests:
                    request.error = error
        finally:
            with self._changed:
                self._under_way = False
                self._changed.notify_all()

    def _take(self) -> list[_Request]:
        """Take what waits, of each VM the first only: the others are for the next run."""
        with self._changed:
            taken: dict[str, _Request] = {}
            for request in self._waiting:
                taken.setdefault(request.vm_id, request)
            self._waiting = [request for request in self._waiting if request is not taken[request.vm_id]]
            for request in taken.values():
                request.begun = True
            return list(taken.values())

    def _run(self, requests: Sequence[_Request], tried: str) -> None:
        deadline = _Joint(request.deadline for request in requests)
        document = {
            "throttleLimit": _THROTTLE,
            "timeout": round(max(1.0, deadline.remaining() - _MARGIN), 1),
            "vms": [request.as_json() for request in requests],
        }
        secrets = [secret for request in requests for secret in request.secrets()]
        try:
            answers = self._powershell.run(SCRIPT, document, secrets, deadline, tried)
        except errors.AccessDenied as error:
            raise errors.AccessDenied(tried, error.where, error.answer, f"{error.remedy}; or {_WINRM}") from error
        by_vm = {str(answer.get("id", "")).lower(): answer for answer in answers.objects}
        for request in requests:
            request.answer = by_vm.get(request.vm_id)
            if request.answer is None:
                request.error = powershell.failure(answers.complaint, tried, self.where)


class GuestWmi:
    """The WMI of the Windows inside one VM; see `avma.windows.wmi.Wmi`."""

    def __init__(self, runs: GuestRuns, vm_id: str, name: str, account: Account) -> None:
        self._runs = runs
        self._vm_id = vm_id
        self._name = name
        self._account = account
        self._redact = Redactor()
        self._redact.learn([account.password])

    @property
    def where(self) -> str:
        """The guest as errors name it."""
        return f"{self._name} through its host {self._runs.where}"

    def query(self, namespace: str, wql: str, deadline: Deadline, tried: str) -> list[Instance]:
        """Return all instances that a WQL query finds; see `Wmi.query`."""
        return self.query_all(namespace, [wql], deadline, tried)[0]

    def query_all(self, namespace: str, queries: Sequence[str], deadline: Deadline, tried: str) -> list[list[Instance]]:
        """Return what several queries find, in one script run; see `Wmi.query_all`."""
        operations = [{"namespace": namespace, "query": wql} for wql in queries]

        def read() -> list[list[Instance]]:
            return [self._rows(result, tried) for result in self._results(operations, deadline, tried)]

        return retry.reading(read, deadline, tried, self.where)

    def invoke(
        self,
        namespace: str,
        cim_class: str,
        method: str,
        keys: Mapping[str, str],
        parameters: Mapping[str, str],
        deadline: Deadline,
        tried: str,
    ) -> Instance:
        """Call a method of an instance once; see `Wmi.invoke`."""
        target = {"namespace": namespace, "class": cim_class, "keys": dict(keys)}
        operation = {**target, "method": method, "arguments": dict(parameters)}
        (result,) = self._results([operation], deadline, tried)
        output = Instance.from_values({"ReturnValue": result.get("returnValue")})
        try:
            code = output.integer("ReturnValue") or 0
        except BadValue as error:
            raise self._not_its_own(str(error), tried) from error
        if code != 0:
            raise faults.hresult_error(code & 0xFFFFFFFF, tried, self.where)
        return output

    def close(self) -> None:
        """Nothing is open between two runs."""

    def _results(self, operations: Sequence[Operation], deadline: Deadline, tried: str) -> list[Mapping[str, Any]]:
        """Return the results of all operations.

        Raises:
            AvmaError: the guest was not reached, or one of the operations failed.
        """
        request = _Request(self._vm_id, self._account, operations, deadline)
        answer = self._runs.ask(request, tried)
        if isinstance(answer.get("error"), Mapping):
            raise self._session_error(answer["error"], tried)
        results = answer.get("results")
        if not isinstance(results, list) or not all(isinstance(result, Mapping) for result in results):
            raise self._not_its_own("an answer without results", tried)
        for result in results:
            if isinstance(result.get("error"), Mapping):
                raise self._operation_error(result["error"], tried)
        if len(results) != len(operations):
            raise self._not_its_own(f"{len(results)} results of {len(operations)} operations", tried)
        return results

    def _rows(self, result: Mapping[str, Any], tried: str) -> list[Instance]:
        rows = result.get("rows")
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise self._not_its_own("a result without rows", tried)
        return [Instance.from_values({name: _value(value) for name, value in row.items()}) for row in rows]

    def _session_error(self, error: Mapping[str, Any], tried: str) -> errors.AvmaError:
        """Return the error for a guest in which nothing, or not all, was done, by PowerShell's id of it."""
        ids, said = str(error.get("errorId", "")).split(","), self._said(error)
        if ids[0] in _SESSION_ERRORS:
            kind, answer, remedy = _SESSION_ERRORS[ids[0]]
            return kind(tried, self.where, answer, remedy)
        if "PSDirectException" in ids or "credential" in said.lower():
            return self._logon_failed(said, tried)
        if "PSSessionStateBroken" in ids:
            return self._broken(said, tried)
        remedy = f"try Invoke-Command -VMId {self._vm_id} on the host by hand, or {_WINRM}"
        return errors.UnexpectedAnswer(tried, self.where, f"PowerShell Direct failed: {ids[0]} {said}", remedy)

    def _logon_failed(self, said: str, tried: str) -> errors.NotReady:
        answer = f"`{said}`, which Windows says of wrong credentials and of a guest that is not ready alike"
        remedy = (
            f"check `guest.username` ({self._account.username}) and `guest.password`; or wait until {self._name} has "
            "started and its setup is over; then run again"
        )
        return errors.NotReady(tried, self.where, answer, remedy)

    def _broken(self, said: str, tried: str) -> errors.AnswerLost:
        answer = f"the session in the guest broke: {said}"
        remedy = (
            "see that the guest has started and that its service vmicvmsession runs, then run again; a guest before "
            f"Windows Server 2016 has none: {_WINRM}"
        )
        return errors.AnswerLost(tried, self.where, answer, remedy)

    def _operation_error(self, error: Mapping[str, Any], tried: str) -> errors.AvmaError:
        number, said = error.get("hresult"), self._said(error)
        error_id = str(error.get("errorId", "")).partition(",")[0]
        named = _HRESULT.fullmatch(error_id)
        if named:
            number = int(named[1], 16)
        if not isinstance(number, int) or number == 0:
            return self._not_its_own(f"an error without a number: {said}", tried)
        return faults.to_error(faults.Fault(number & 0xFFFFFFFF, error_id, said), tried, self.where)

    def _said(self, error: Mapping[str, Any]) -> str:
        return self._redact(" ".join(str(error.get("message", "")).split()))[:256]

    def _not_its_own(self, what: str, tried: str) -> errors.ScriptFailed:
        return powershell.failure(f"what came is {what}", tried, self.where)


_NO_MODULE = "run `Install-WindowsFeature Hyper-V-PowerShell` on the host"
_SESSION_ERRORS: Mapping[str, tuple[type[errors.AvmaError], str, str]] = {
    "NamedParameterNotFound": (
        errors.Refused,
        "PowerShell on its host has no PowerShell Direct, which came with Windows Server 2016",
        _WINRM,
    ),
    "HyperVModuleNotAvailable": (errors.Refused, "its host lacks the Hyper-V module of PowerShell", _NO_MODULE),
    "CommandNotFoundException": (errors.Refused, "its host lacks the Hyper-V module of PowerShell", _NO_MODULE),
    "InvalidVMIdNotSingle": (
        errors.Refused,
        "its host shows PowerShell no such VM: it has moved, or the host's account has no right to it",
        "run again if it has moved, else make the host's account a member of its Hyper-V Administrators",
    ),
    "InvalidVMState": (errors.NotReady, "the VM is not running", "start it (Start-VM) and run again"),
    "AvmaNoAnswer": (
        errors.AnswerLost,
        "the guest did not answer in time",
        "look at the guest, and run again; what was reached by then is found",
    ),
    "AvmaNotAsked": (errors.Unreachable, "it was not its turn before the time was over", "run again"),
}
"""What PowerShell's error ids, and those of the script, say of a guest."""


def _value(value: Any) -> Any:
    """Return a value of the script as WS-Management has it: a time in ISO 8601."""
    found = _DATETIME.fullmatch(value) if isinstance(value, str) else None
    return "{}-{}-{}T{}:{}:{}.{}Z".format(*found.groups()) if found else value


def _end_of(deadline: Deadline, tried: str, where: str) -> errors.AvmaError | None:
    try:
        deadline.check(tried, where)
    except errors.AvmaError as end:
        return end
    return None
