"""The conversion of errors to gRPC statuses, and the sentences that the plugin adds to them.

Only this module chooses codes and releases messages. The engine shows only the message. UNKNOWN, INTERNAL and DATA_LOSS
make it doubt its state. UNKNOWN and DATA_LOSS are therefore never used, and INTERNAL only for a bug in the provider.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct
from grpc import StatusCode

from avma import errors, topics
from avma.properties import InvalidProperty
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.protocol import status_pb2

if TYPE_CHECKING:
    from avma.resources.resource import Stored

CODES: Mapping[type[BaseException], StatusCode] = {
    errors.InvalidInput: StatusCode.INVALID_ARGUMENT,
    errors.Unreachable: StatusCode.UNAVAILABLE,
    errors.LogonRefused: StatusCode.UNAUTHENTICATED,
    errors.AccessDenied: StatusCode.PERMISSION_DENIED,
    errors.TimedOut: StatusCode.DEADLINE_EXCEEDED,
    errors.Cancelled: StatusCode.ABORTED,
    errors.AvmaError: StatusCode.FAILED_PRECONDITION,
}


class Declined(Exception):
    """An unsupported or currently impossible call. `topic` is the argument of `avma explain`."""

    def __init__(self, code: StatusCode, message: str, topic: str) -> None:
        super().__init__(topics.explained(message, topic))
        self.code = code


class Noted(Exception):
    """An error of the core with an additional sentence of the plugin, for example about a Pulumi command."""

    def __init__(self, error: errors.AvmaError, note: str) -> None:
        super().__init__(error.with_note(note))
        self.error = error


class MissingKeys(Exception):
    """Required configuration is missing. `keys` maps names to descriptions."""

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__(
            topics.explained(f"the configuration is incomplete: set {', '.join(keys)}", topics.CONFIGURATION)
        )
        self.keys = keys


class InitFailed(Exception):
    """The resource exists but did not reach its new state. The engine keeps it and updates it in the next run."""

    def __init__(self, identifier: str, properties: Struct, inputs: Struct, cause: errors.PartlyDone[object]) -> None:
        super().__init__(cause.message)
        self.identifier = identifier
        self.properties = properties
        self.inputs = inputs
        self.cause = cause


def status_of(error: Exception, redact: Callable[[str], str]) -> status_pb2.Status:
    """Return the status for an error."""
    status = status_pb2.Status(code=_number(code_for(error)), message=redact(_message(error)))
    detail = _detail(error, redact)
    if detail is not None:
        status.details.add().Pack(detail)
    return status


def check_failures(failures: Iterable[InvalidProperty], redact: Callable[[str], str]) -> list[pb.CheckFailure]:
    """Convert failures to the protocol, without secrets. Each contains the command that explains it."""
    explained = ((failure.path, topics.explained(failure.reason, failure.topic)) for failure in failures)
    return [pb.CheckFailure(property=path, reason=redact(reason)) for path, reason in explained]


def invalid(failures: Sequence[InvalidProperty]) -> Declined:
    """Return the error for invalid inputs, for calls without failures in their response."""
    message = ". ".join(f"`{failure.path}` {failure.reason}" for failure in failures)
    return Declined(StatusCode.INVALID_ARGUMENT, message, failures[0].topic)


def is_bug(error: Exception) -> bool:
    """Return True for unexpected exceptions (bugs)."""
    return code_for(error) is StatusCode.INTERNAL


def code_of(status: status_pb2.Status) -> StatusCode:
    """Return the code of a status as a gRPC constant."""
    return next(code for code in StatusCode if _number(code) == status.code)


def _number(code: StatusCode) -> int:
    number, _ = code.value
    return int(number)


def code_for(error: BaseException) -> StatusCode:
    """Return the code for an error."""
    if isinstance(error, Declined):
        return error.code
    if isinstance(error, Noted):
        return code_for(error.error)
    if isinstance(error, MissingKeys):
        return StatusCode.INVALID_ARGUMENT
    if isinstance(error, (InitFailed, errors.PartlyDone)):
        return code_for(error.cause)
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), StatusCode.INTERNAL)


def _message(error: Exception) -> str:
    if isinstance(error, errors.AvmaError):
        return error.message
    return _bug_report(error) if is_bug(error) else str(error)


def _bug_report(error: Exception) -> str:
    """Return a report of a bug without the exception's text, which could contain secrets."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    bug = f"unexpected error in pulumi-resource-avma ({type(error).__name__}{where}). Please report it"
    return topics.explained(bug, topics.INTERNAL_ERROR)


def _detail(error: Exception, redact: Callable[[str], str]) -> Message | None:
    if isinstance(error, InitFailed):
        return pb.ErrorResourceInitFailed(
            id=error.identifier,
            properties=error.properties,
            inputs=error.inputs,
            reasons=[redact(str(error))],
        )
    if isinstance(error, MissingKeys):
        keys = [
            pb.ConfigureErrorMissingKeys.MissingKey(name=name, description=description)
            for name, description in error.keys.items()
        ]
        return pb.ConfigureErrorMissingKeys(missingKeys=keys)
    return None


UNREACHABLE = (
    " Or set the environment variable AVMA_DELETE_UNREACHABLE=true for this run. `pulumi destroy` reads "
    "`deleteUnreachable: true` from the configuration only with `--run-program`."
)


_FORGOTTEN = "`deleteUnreachable` is set, so the provider forgets the resource"

_SIGN_IN = (errors.LogonRefused, errors.LogonUncertain)
_STORED = (
    "`pulumi refresh` and `pulumi destroy` use the settings that the last `pulumi up` saved. If the password or a "
    "setting has changed since then, add `--run-program`, or run `pulumi up` first."
)


def ways_out(error: errors.AvmaError, urn: str, more: str = "") -> str:
    """Return what the user can do after a failed deletion: correct the settings, or forget the resource."""
    forget = f"To forget the resource and leave the machine as it is, run `pulumi state delete '{urn}'`.{more}"
    return f"{_STORED} {forget}" if _is_rejected_sign_in(error) else forget


def text_of_forgotten(error: errors.AvmaError) -> str:
    """Return the warning about a failed deletion that ends with `deleteUnreachable`."""
    if not error.in_doubt:
        return error.with_note(f"{_FORGOTTEN} and leaves the machine unchanged.")
    look = "run `slmgr /dlv` on the machine"
    return error.with_note(f"{_FORGOTTEN}. The deletion may have changed the machine. To see its license, {look}.")


def _is_rejected_sign_in(error: errors.AvmaError) -> bool:
    """Return True if a machine rejected the account. For a cluster, one node is enough."""
    causes = error.causes if isinstance(error, errors.NodesFailed) else (error,)
    return any(isinstance(cause, _SIGN_IN) for cause in causes)


def text_of_preview(error: errors.AvmaError, longest: float) -> str:
    """Return the warning of a preview about a machine that it could not read in `longest` seconds."""
    goes_on = "The preview continues without the state of this machine."
    if not isinstance(error, errors.TimedOut):
        return error.with_note(goes_on)
    # The remedy is about the time limit of the operation, which does not change that of a preview.
    limit = f"A preview waits at most {longest:.0f} s for a machine, and `pulumi up` waits longer."
    return errors.TimedOut(error.tried, error.where, error.answer, "").with_note(f"{limit} {goes_on}")


def text_of_stored(error: errors.AvmaError) -> str:
    """Return the text of an error from a connection with stored settings."""
    return error.with_note(_STORED) if _is_rejected_sign_in(error) else error.message


@contextlib.contextmanager
def stored_settings_explained(stored: Stored | None) -> Iterator[None]:
    """Add a note about stored settings to a rejected sign-in. An import has no stored settings."""
    try:
        yield
    except (*_SIGN_IN, errors.NodesFailed) as error:
        if stored is None or not _is_rejected_sign_in(error):
            raise
        raise Noted(error, _STORED) from error
