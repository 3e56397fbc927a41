"""The WMI of guests through their host: PowerShell Direct, without a network in the guest.

The requirements and errors of PowerShell Direct come from "Manage Windows virtual machines with PowerShell Direct" at
learn.microsoft.com, and from the source of PowerShell.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from avma import characters, errors
from avma.connection import account_settings
from avma.context import Context
from avma.deadline import Deadline
from avma.redaction import Redactor
from avma.windows.guest_requests import Companion, GuestOperation, GuestRequest
from avma.windows.guest_runs import NO_ANSWER, NOT_ASKED, OVER_NETWORK, SCRIPT, GuestRuns
from avma.windows.hyperv import on_vm
from avma.windows.powershell import PowerShell, failure
from avma.wording import ALLOW_MORE_TIME, RUN_AGAIN, setting
from avma.wsman import retry, soap_faults
from avma.wsman.envelope import CimMethod
from avma.wsman.instance import Instance
from avma.wsman.script import Credential
from avma.wsman.sign_ins import Account as SignIn
from avma.wsman.sign_ins import Place, SignIns, is_of_domain

_LONGEST_TEXT = 256
_DATETIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\.(\d{6})\+000")


class GuestWmi:
    """The WMI of Windows inside one VM. See `avma.windows.wmi.Wmi`."""

    def __init__(
        self, runs: GuestRuns, vm_id: str, name: str, account: Credential, sign_ins: SignIns | None = None
    ) -> None:
        self._runs = runs
        self._vm_id = vm_id
        self._name = name
        self._account = account
        self._sign_ins = sign_ins or SignIns()
        self._place = Place(vm_id, name)
        of_domain = is_of_domain(account.username, name)
        self._sign_in = SignIn("powershellDirect", account.username.lower(), account.password, of_domain)

    @property
    def where(self) -> str:
        """The guest's name in errors."""
        return f"{self._name} through its host {self._runs.where}"

    def query(self, context: Context, namespace: str, wql: str) -> list[Instance]:
        """Return all instances that a WQL query finds. See `Wmi.query`."""
        return self.query_all(context, namespace, [wql])[0]

    def query_all(self, context: Context, namespace: str, queries: Sequence[str]) -> list[list[Instance]]:
        """Return the results of several queries, from one script run. See `Wmi.query_all`."""
        operations = _queries(namespace, queries)
        attempts = retry.reading(context)
        while True:
            with attempts:
                return [_rows(context, result) for result in self._results(context, operations)]

    def companion(
        self,
        context: Context,
        namespace: str,
        queries: Sequence[str],
        on_rows: Callable[[list[list[Instance]]], None],
        is_needed: Callable[[], bool] = lambda: True,
    ) -> Companion:
        """Return several queries as a request that goes along with a run for other guests.

        The run leaves it out if it is no longer needed, or if the sign-in would have to wait. After success, `on_rows`
        receives the results.
        """
        operations = _queries(namespace, queries)

        def on_end(answer: Mapping[str, Any] | None) -> None:
            with contextlib.suppress(errors.AvmaError):
                with self._sign_ins.noting(self._sign_in, self._place):
                    if answer is None:
                        raise context.error(errors.Unreachable, "the run ended without an answer", RUN_AGAIN)
                    self._require_session(context, answer)
                on_rows([_rows(context, result) for result in self._results_in(context, operations, answer)])

        def may_begin() -> bool:
            return is_needed() and self._sign_ins.begin_if_free(self._sign_in, self._place)

        return Companion(self._vm_id, self._account, operations, context, may_begin=may_begin, on_end=on_end)

    def await_companion(self, context: Context) -> None:
        """Wait for the request of `companion`, if a run works on it.

        Raises:
            TimedOut, Cancelled: the caller can wait no longer.
        """
        self._runs.await_companion(self._vm_id, context)

    def invoke(
        self, context: Context, method: CimMethod, keys: Mapping[str, str], parameters: Mapping[str, str]
    ) -> Instance:
        """Call a method of an instance once. See `Wmi.invoke`."""
        (result,) = self._results(context, [_call(method, keys, parameters)])
        return _output(context, method, result)

    def invoke_then_query(
        self, context: Context, method: CimMethod, keys: Mapping[str, str], parameters: Mapping[str, str], wql: str
    ) -> list[Instance] | None:
        """Call a method once and run a query, in one script run. See `Wmi.invoke_then_query`."""
        operations = [_call(method, keys, parameters), *_queries(method.namespace, [wql])]
        called, *read = self._results(context, operations, required=1)
        _output(context, method, called)
        try:
            return _rows(context, read[0])
        except (IndexError, errors.AvmaError):
            return None

    def close(self) -> None:
        """Do nothing: no session stays open between two runs."""

    def _results(
        self, context: Context, operations: Sequence[GuestOperation], required: int | None = None
    ) -> list[Mapping[str, Any]]:
        """Return the results of all operations. If only the first ones are required, those of the others may be errors.

        Raises:
            AvmaError: the guest could not be reached, or one of the required operations failed.
        """
        request = GuestRequest(self._vm_id, self._account, operations, context)
        with self._sign_ins.attempt(context, self._sign_in, self._place):
            answer = self._runs.ask(request)
            self._require_session(context, answer)
        return self._results_in(context, operations, answer, required)

    def _require_session(self, context: Context, answer: Mapping[str, Any]) -> None:
        """Raise an error if the session in the guest failed."""
        if isinstance(answer.get("error"), Mapping):
            raise self._session_error(context, answer["error"])

    def _results_in(
        self,
        context: Context,
        operations: Sequence[GuestOperation],
        answer: Mapping[str, Any],
        required: int | None = None,
    ) -> list[Mapping[str, Any]]:
        """Return the results in the answer of the script. The required ones come first, and are not errors."""
        required = required or len(operations)
        results = answer.get("results")
        if not isinstance(results, list) or not all(isinstance(result, Mapping) for result in results):
            raise _invalid_answer(context, "an answer without results")
        for result in results[:required]:
            if isinstance(result.get("error"), Mapping):
                raise self._operation_error(context, result["error"])
        if not required <= len(results) <= len(operations):
            raise _invalid_answer(context, f"{len(results)} results for {len(operations)} operations")
        return results

    def _session_error(self, context: Context, error: Mapping[str, Any]) -> errors.AvmaError:
        """Return the error for a session in which some or all operations did not run. PowerShell's error id decides."""
        error_id, said = str(error.get("errorId", "")), self._said(error)
        ids = error_id.split(",")
        known = _SESSION_ERRORS.get(error_id) or _SESSION_ERRORS.get(ids[0])
        if known is not None:
            return known.error(context, on_vm(self._vm_id, "Start-VM"))
        types = error.get("exceptions")
        if isinstance(types, list) and any(str(name).endswith(".PSDirectException") for name in types):
            return self._not_connected(context, said)
        if _BROKEN in ids:
            return _broken(context, said)
        shown = soap_faults.shown_id(ids[0])
        named = f" ({shown})" if shown else ""
        remedy = f"try `Enter-PSSession -VMId {self._vm_id} -Credential ACCOUNT` on the host, or {OVER_NETWORK}"
        answer = f"PowerShell Direct failed: {said or 'no message'}{named}"
        return context.error(errors.UnexpectedAnswer, answer, remedy)

    def _not_connected(self, context: Context, said: str) -> errors.AvmaError:
        """Return the error for a PSDirectException.

        The exception has a text, but no id or number to distinguish its causes (remotingexceptions.cs). Windows
        PowerShell can use the language of the host for the text. An unknown text counts as a rejected account: the
        provider does not try again, so Windows does not lock the account. The remedy names the other cause too.
        """
        if any(text in said for text in _NOT_NEGOTIATED):
            answer = f"the host and the guest could not negotiate a session: `{said}`"
            return context.error(errors.Refused, answer, _UPDATE)
        if _REJECTED in said:
            return self._logon_failed(context, said)
        return self._logon_failed(context, said, f"; if the credentials are correct, {_UPDATE}")

    def _logon_failed(self, context: Context, said: str, otherwise: str = "") -> errors.LogonUncertain:
        account = self._account
        wrong = f"the credentials of {account.username} are wrong"
        answer = f"PowerShell Direct reported `{said}`: {wrong}, or the guest is not ready yet"
        remedy = (
            f"check {account_settings('guest.', account.sources)}; if {self._name} is still starting, wait until "
            f"Windows setup has finished; then {RUN_AGAIN}{otherwise}"
        )
        return context.error(errors.LogonUncertain, answer, remedy)

    def _operation_error(self, context: Context, error: Mapping[str, Any]) -> errors.AvmaError:
        number, said = error.get("hresult"), self._said(error)
        error_id = str(error.get("errorId", "")).partition(",")[0]
        if error_id == NOT_ASKED:
            return _TOO_LATE.error(context)
        number = soap_faults.number_of(error_id) or number
        if not isinstance(number, int) or number & 0xFFFFFFFF == 0:
            detail = ": ".join(filter(None, (soap_faults.shown_id(error_id), said))) or "no message"
            return _invalid_answer(context, f"an error without a number: {detail}")
        fault = soap_faults.Fault(number & 0xFFFFFFFF, soap_faults.shown_id(error_id), said)
        return soap_faults.to_error(fault, context)

    def _said(self, error: Mapping[str, Any]) -> str:
        redact = Redactor()
        redact.learn([self._account.password])
        return characters.shortened(redact(characters.one_line(str(error.get("message", "")))), _LONGEST_TEXT)


def require_script(powershell: PowerShell, deadline: Deadline) -> str:
    """Run the script for guests without a guest, and return the language mode of PowerShell.

    Raises:
        Refused: the host lacks a requirement of the script.
        AvmaError: the script could not run.
    """
    context = Context("run the script for guests", powershell.where, deadline)
    answers = powershell.run(context, SCRIPT, {"Guests": [], "ThrottleLimit": 1, "Timeout": 1.0})
    facts = next((answer["host"] for answer in answers.objects if isinstance(answer.get("host"), Mapping)), None)
    if facts is None:
        raise failure(context, answers.complaint)
    if not facts.get("direct"):
        raise _SESSION_ERRORS["NamedParameterNotFound"].error(context)
    if not facts.get("hyperV"):
        raise _SESSION_ERRORS["HyperVModuleNotAvailable"].error(context)
    return str(facts.get("languageMode") or "unknown")


@dataclass(frozen=True)
class _KnownError:
    """The meaning of an error id of PowerShell or of the script."""

    kind: type[errors.AvmaError]
    answer: str
    remedy: str

    def error(self, context: Context, start: str = "") -> errors.AvmaError:
        """Return the error to raise. `start` is the command to start the VM."""
        return context.error(self.kind, self.answer, self.remedy.replace("{start}", start))


_BROKEN = "PSSessionStateBroken"
_GET_VM = "Microsoft.HyperV.PowerShell.Commands.GetVM"
_NOT_NEGOTIATED = ("secure connection", "Credential response", "TransportVersion response")
"""Parts of the texts HyperVNegotiationFailed and HyperVInvalidResponse. Neither means a wrong password."""
_REJECTED = "The credential is invalid"
"""Part of the text InvalidCredential."""
_UPDATE = (
    "install the latest Windows updates on the host and in the guest: both need them if the host has "
    rf"RequirePsDirectAuthentication = 1 (HKLM\SOFTWARE\Microsoft\PowerShell); or {OVER_NETWORK}"
)
_NO_MODULE = _KnownError(
    errors.Refused,
    "the host lacks the Hyper-V module of PowerShell",
    "run `Install-WindowsFeature Hyper-V-PowerShell` on the host",
)
_GRANT = f"add that account ({setting('username')}) to Hyper-V Administrators on the host"
_NO_SUCH_VM = _KnownError(
    errors.NotOnHost,
    "PowerShell on the host lists no such VM: the VM has moved, or the account that signs in to the host has no right "
    "to it",
    f"if the VM has moved, {RUN_AGAIN}; otherwise, {_GRANT}",
)
_SESSION_ERRORS: Mapping[str, _KnownError] = {
    "NamedParameterNotFound": _KnownError(
        errors.Refused,
        "the host has no PowerShell Direct, which requires Windows Server 2016 or later",
        OVER_NETWORK,
    ),
    "HyperVModuleNotAvailable": _NO_MODULE,
    "CommandNotFoundException": _NO_MODULE,
    # Invoke-Command finds the VM with Get-VM. The error of Get-VM comes first where errors stop a script.
    f"InvalidParameter,{_GET_VM}": _NO_SUCH_VM,
    f"ObjectNotFound,{_GET_VM}": _NO_SUCH_VM,
    "InvalidVMIdNotSingle": _NO_SUCH_VM,
    f"AccessDenied,{_GET_VM}": _KnownError(
        errors.AccessDenied,
        "the account that signs in to the host has no right to Hyper-V",
        _GRANT,
    ),
    "InvalidVMState": _KnownError(
        errors.NotReady, "the VM is not running", "run `{start}` on the host, then " + RUN_AGAIN
    ),
    NO_ANSWER: _KnownError(errors.AnswerLost, "the guest did not answer in time", f"check the guest, then {RUN_AGAIN}"),
    NOT_ASKED: _KnownError(
        errors.Unreachable, "timed out while waiting for other guests on the host", f"{RUN_AGAIN}, or {ALLOW_MORE_TIME}"
    ),
}
"""The meaning of each error id of PowerShell and of the script."""
_TOO_LATE = _KnownError(
    errors.Unreachable,
    "the session in the guest started too late, so the change did not begin",
    f"{RUN_AGAIN}, or {ALLOW_MORE_TIME}",
)
"""The meaning of `NOT_ASKED` for an operation in a session."""


def _broken(context: Context, said: str) -> errors.AnswerLost:
    remedy = (
        f"check that the guest has started and that its service vmicvmsession is running, then {RUN_AGAIN}; if the "
        f"guest is older than Windows Server 2016, it lacks this service: {OVER_NETWORK}"
    )
    return context.error(errors.AnswerLost, f"the session in the guest broke: {said or 'no message'}", remedy)


def _invalid_answer(context: Context, what: str) -> errors.ScriptFailed:
    return failure(context, f"received {what}")


def _queries(namespace: str, queries: Sequence[str]) -> list[GuestOperation]:
    return [{"namespace": namespace, "query": wql} for wql in queries]


def _call(method: CimMethod, keys: Mapping[str, str], parameters: Mapping[str, str]) -> GuestOperation:
    target = {"namespace": method.namespace, "class": method.cim_class, "keys": dict(keys)}
    return {**target, "method": method.name, "arguments": dict(parameters)}


def _output(context: Context, method: CimMethod, result: Mapping[str, Any]) -> Instance:
    """Return the output of a method. Raise WsmanFault if its `ReturnValue` is not 0."""
    output = Instance.from_values({"ReturnValue": result.get("returnValue")}, context)
    code = output.integer("ReturnValue") or 0
    if code != 0:
        raise soap_faults.returned_error(code, method, context)
    return output


def _rows(context: Context, result: Mapping[str, Any]) -> list[Instance]:
    rows = result.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise _invalid_answer(context, "a result without rows")
    return [Instance.from_values({name: _value(value) for name, value in row.items()}, context) for row in rows]


def _value(value: Any) -> Any:
    """Return a value from the script as WS-Management writes it: a time in ISO 8601."""
    found = _DATETIME.fullmatch(value) if isinstance(value, str) else None
    return "{}-{}-{}T{}:{}:{}.{}Z".format(*found.groups()) if found else value
