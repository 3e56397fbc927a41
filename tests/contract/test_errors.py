"""Errors: gRPC codes, and the text that users see."""

from __future__ import annotations

import logging
from collections.abc import Callable

import grpc
import pytest
from grpc import StatusCode

from avma import errors
from avma.resources.resource import Operation
from contract.harness import Calls, failure, secret, struct
from contract.shelf import Shelf

DOUBTFUL = {StatusCode.UNKNOWN, StatusCode.INTERNAL, StatusCode.DATA_LOSS}
PARTS = ("hang the shelf", "lab", "no", "ask")


def raising(error: Exception) -> Callable[[str, Operation], None]:
    def script(_name: str, _operation: Operation) -> None:
        raise error

    return script


CODES = {
    errors.InvalidInput: StatusCode.INVALID_ARGUMENT,
    errors.InvalidHost: StatusCode.INVALID_ARGUMENT,
    errors.Unreachable: StatusCode.UNAVAILABLE,
    errors.AnswerLost: StatusCode.UNAVAILABLE,
    errors.OperationTimedOut: StatusCode.UNAVAILABLE,
    errors.ServiceBusy: StatusCode.UNAVAILABLE,
    errors.CertificateNotTrusted: StatusCode.UNAVAILABLE,
    errors.LogonRefused: StatusCode.UNAUTHENTICATED,
    errors.AccessDenied: StatusCode.PERMISSION_DENIED,
    errors.EmptyAnswer: StatusCode.FAILED_PRECONDITION,
    errors.UnexpectedAnswer: StatusCode.FAILED_PRECONDITION,
    errors.ScriptFailed: StatusCode.FAILED_PRECONDITION,
    errors.WsmanFault: StatusCode.FAILED_PRECONDITION,
    errors.LicensingFault: StatusCode.FAILED_PRECONDITION,
    errors.Refused: StatusCode.FAILED_PRECONDITION,
    errors.Evaluation: StatusCode.FAILED_PRECONDITION,
    errors.NotEligible: StatusCode.FAILED_PRECONDITION,
    errors.NewerThanHost: StatusCode.FAILED_PRECONDITION,
    errors.DataExchangeOff: StatusCode.FAILED_PRECONDITION,
    errors.KeyConflict: StatusCode.FAILED_PRECONDITION,
    errors.NotReady: StatusCode.FAILED_PRECONDITION,
    errors.NotOnHost: StatusCode.FAILED_PRECONDITION,
    errors.LogonUncertain: StatusCode.FAILED_PRECONDITION,
    errors.NodesFailed: StatusCode.FAILED_PRECONDITION,
    errors.GuestsFailed: StatusCode.FAILED_PRECONDITION,
    errors.NotFound: StatusCode.FAILED_PRECONDITION,
    errors.TimedOut: StatusCode.DEADLINE_EXCEEDED,
    errors.Cancelled: StatusCode.ABORTED,
}


@pytest.mark.parametrize("kind", CODES)
def test_each_error_of_the_core_has_its_code(calls: Calls, shelf: Shelf, kind: type[errors.AvmaError]) -> None:
    error = kind(*PARTS, code=5) if issubclass(kind, errors.WsmanFault) else kind(*PARTS)
    shelf.script = raising(error)
    with pytest.raises(grpc.RpcError) as caught:
        calls.create({"room": "lab"})
    assert failure(caught.value) == (CODES[kind], str(error))
    assert str(error).startswith("lab: could not hang the shelf: no. Ask")
    assert CODES[kind] not in DOUBTFUL


def test_every_error_of_the_core_is_in_the_table() -> None:
    kinds = [errors.AvmaError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert set(kinds) - set(CODES) == {errors.AvmaError, errors.PartlyDone}


def test_a_bug_is_named_without_its_text(calls: Calls, shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    shelf.script = raising(ValueError("shelf-pass is in here"))
    with caplog.at_level(logging.ERROR), pytest.raises(grpc.RpcError) as caught:
        calls.create({"room": "lab", "password": secret("shelf-pass")})
    code, message = failure(caught.value)
    assert code is StatusCode.INTERNAL
    assert message.startswith("unexpected error in pulumi-resource-avma (ValueError in test_errors.py:")
    assert "Traceback" not in message
    assert "shelf-pass" not in message
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("call", ["create", "read", "update", "delete"])
def test_a_secret_never_leaves_in_an_error(calls: Calls, shelf: Shelf, call: str) -> None:
    texts = ["shelf-pass", "4711-lock", "provider-pass", "hush-hush", "YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67"]
    shelf.script = raising(errors.Refused("use " + " ".join(texts), *PARTS[1:]))
    inputs = {
        "room": "lab",
        "password": secret("shelf-pass"),
        "lock": {"code": "4711-lock"},
        "label": secret("hush-hush"),
    }
    operation = {
        "create": lambda: calls.create(inputs),
        "read": lambda: calls.read("lab", inputs=struct(inputs), properties=struct(inputs)),
        "update": lambda: calls.update(inputs, inputs),
        "delete": lambda: calls.delete(inputs),
    }[call]
    with pytest.raises(grpc.RpcError) as caught:
        operation()
    _, message = failure(caught.value)
    assert message.startswith("lab: could not use [secret] [secret] [secret] [secret] …VCH67: no. Ask")


def test_an_asset_outside_check_is_refused(calls: Calls, shelf: Shelf) -> None:
    asset = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17", "text": "x"}
    with pytest.raises(grpc.RpcError) as caught:
        calls.create({"room": "lab", "label": asset})
    code, message = failure(caught.value)
    assert code is StatusCode.INVALID_ARGUMENT
    assert "`label`" in message
    assert shelf.calls == []


@pytest.mark.parametrize("kind", [errors.LogonRefused, errors.LogonUncertain])
@pytest.mark.parametrize("call", ["read", "delete"])
def test_a_rejected_sign_in_with_stored_settings_says_so(
    calls: Calls, shelf: Shelf, kind: type[errors.AvmaError], call: str
) -> None:
    shelf.script = raising(kind(*PARTS))
    stored = struct({"room": "lab"})
    operation = {
        "read": lambda: calls.read("lab", inputs=stored, properties=stored),
        "delete": lambda: calls.delete({"room": "lab"}),
    }[call]
    with pytest.raises(grpc.RpcError) as caught:
        operation()
    code, message = failure(caught.value)
    assert code is CODES[kind]
    assert "use the settings that the last `pulumi up` saved." in message
    assert "`--run-program`" in message
    assert "See: avma explain " in message


def test_nodes_that_reject_the_stored_account_say_so(calls: Calls, shelf: Shelf) -> None:
    stored = struct({"room": "lab"})
    for causes, said in (([errors.LogonRefused(*PARTS)], True), ([errors.Unreachable(*PARTS)], False)):
        shelf.script = raising(errors.NodesFailed(*PARTS, causes))
        with pytest.raises(grpc.RpcError) as caught:
            calls.read("lab", inputs=stored, properties=stored)
        assert ("`--run-program`" in failure(caught.value)[1]) is said


def test_a_rejected_sign_in_of_an_import_or_an_update_says_nothing_of_stored_settings(
    calls: Calls, shelf: Shelf
) -> None:
    shelf.script = raising(errors.LogonRefused(*PARTS))
    for operation in (lambda: calls.read("lab"), lambda: calls.update({"room": "lab"}, {"room": "attic"})):
        with pytest.raises(grpc.RpcError) as caught:
            operation()
        assert "--run-program" not in str(caught.value.details())
