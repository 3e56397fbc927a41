"""One pipeline of a PowerShell runspace pool: its commands, its streams and its end ([MS-PSRP] 2.2.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from psrpcore import ServerPipeline
from psrpcore.types import (
    ErrorCategory,
    ErrorCategoryInfo,
    ErrorRecord,
    NETException,
    PipelineState,
    ProgressRecordType,
    PSInvocationState,
    PSVersion,
)

from avma_simulator.shells import psvalues
from avma_simulator.state.groups import Groups

RUNTIME_EXCEPTION = "System.Management.Automation.RuntimeException"
_WITH_INFORMATION = PSVersion("2.3")
_ROOTS = ("System.Exception", "System.Object")
_E_EXCEPTION = -2146233087
"""The default HResult of .NET exceptions (COR_E_EXCEPTION)."""


@dataclass(frozen=True)
class Command:
    """One command of a pipeline: the text of a script or the name of a cmdlet, with parameters.

    `named` contains the values of named parameters, `positional` the others.
    """

    text: str
    is_script: bool
    named: Mapping[str, Any]
    positional: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Error:
    """The content of an error record. `category` is a member of System.Management.Automation.ErrorCategory."""

    text: str
    error_id: str
    exception_type: str = RUNTIME_EXCEPTION
    category: str = "NotSpecified"
    hresult: int = _E_EXCEPTION
    activity: str = ""
    target: str | None = None
    inner: Error | None = None


class ScriptFailed(Exception):
    """A script ends with a terminating error. The arguments are those of `Error`."""

    def __init__(self, text: str, error_id: str, **details: Any) -> None:
        self.error = Error(text, error_id, **details)
        super().__init__(text)


class Streams(Protocol):
    """The output of a command. The arguments of `error` are those of `Error`."""

    def write(self, value: Any) -> None:
        """Write an object to the output stream."""

    def error(self, text: str, error_id: str, **details: Any) -> None:
        """Write an error record."""

    def warning(self, text: str) -> None:
        """Write a warning."""

    def verbose(self, text: str) -> None:
        """Write a verbose message."""

    def information(self, text: str, *tags: str) -> None:
        """Write to the information stream."""

    def progress(self, activity: str, status: str, percent: int = -1, completed: bool = False) -> None:
        """Write a progress record."""


class Pipeline:
    """The pipeline of a script. It calls `changed` after each message to the client."""

    def __init__(self, server: ServerPipeline, statements: list[list[Command]], changed: Callable[[], None]) -> None:
        self.statements = statements
        self.input: list[Any] = []
        self.run_as: Groups | None = None
        """The groups of the virtual account that runs it. None: the account of the client runs it."""
        self._server = server
        self._changed = changed

    def write(self, value: Any) -> None:
        """Write an object to the output stream. A dict becomes a PSCustomObject."""
        self._server.write_output(psvalues.psobject(value))
        self._changed()

    def error(self, text: str, error_id: str, **details: Any) -> None:
        """Write an error record. The script continues. The arguments are those of `Error`."""
        record = _record(Error(text, error_id, **details))
        self._server.write_error(
            record.Exception,
            record.CategoryInfo,
            record.TargetObject,
            record.FullyQualifiedErrorId,
            script_stack_trace=record.ScriptStackTrace,
        )
        self._changed()

    def fail(self, text: str, error_id: str, **details: Any) -> NoReturn:
        """End the pipeline with a terminating error. The arguments are those of `Error`.

        Raises:
            ScriptFailed: always.
        """
        raise ScriptFailed(text, error_id, **details)

    def warning(self, text: str) -> None:
        """Write a warning."""
        self._server.write_warning(text)
        self._changed()

    def verbose(self, text: str) -> None:
        """Write a verbose message."""
        self._server.write_verbose(text)
        self._changed()

    def information(self, text: str, *tags: str) -> None:
        """Write to the information stream. Version 2.2 of the protocol does not have it."""
        if self._server.runspace_pool.our_capability.protocolversion >= _WITH_INFORMATION:
            self._server.write_information(text, "", tags=list(tags), user="", computer="")
            self._changed()

    def progress(self, activity: str, status: str, percent: int = -1, completed: bool = False) -> None:
        """Write a progress record."""
        kind = ProgressRecordType.Completed if completed else ProgressRecordType.Processing
        self._server.write_progress(activity, 0, status, percent_complete=percent, record_type=kind)
        self._changed()

    def begin(self) -> None:
        """Start to run. Recorded: Windows sends no state message for the start."""
        self._server.state = PSInvocationState.Running

    def complete(self) -> None:
        """End with success."""
        self._server.complete()
        self._changed()

    def end_with(self, error: Error) -> None:
        """End with a terminating error. Recorded: the error is only in the state, not in the error stream."""
        self._server.prepare_message(
            PipelineState(PipelineState=PSInvocationState.Failed.value, ExceptionAsErrorRecord=_record(error))
        )
        self._server.state = PSInvocationState.Failed
        self._changed()

    def stop(self) -> None:
        """Stop at the request of the client."""
        self._server.state = PSInvocationState.Running
        self._server.stop()
        self._changed()


class _Category(ErrorCategoryInfo):
    """The category of an error in the format of Windows. psrpcore omits the colon."""

    def __str__(self) -> str:
        target = f"({self.TargetName or ''}:{self.TargetType or ''})"
        return f"{self.Category.name}: {target} [{self.Activity or ''}], {self.Reason or ''}"


def _record(error: Error) -> ErrorRecord:
    reason = error.exception_type.rpartition(".")[2]
    target = error.target or ""
    category = _Category(
        Category=ErrorCategory[error.category],
        Activity=error.activity,
        Reason=reason,
        TargetName=target,
        TargetType="String" if target else "",
    )
    record = ErrorRecord(
        Exception=_exception(error),
        CategoryInfo=category,
        TargetObject=error.target,
        FullyQualifiedErrorId=error.error_id,
        ScriptStackTrace="at <ScriptBlock>, <No file>: line 1",
    )
    record.PSObject.to_string = error.text
    return record


def _exception(error: Error) -> NETException:
    inner = None if error.inner is None else _exception(error.inner)
    made = NETException(Message=error.text, HResult=error.hresult, InnerException=inner)
    made.PSObject.type_names = [error.exception_type, *_ROOTS]
    made.PSObject.to_string = f"{error.exception_type}: {error.text}"
    return made
