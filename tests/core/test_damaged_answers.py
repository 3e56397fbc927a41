"""Answers damaged in transit, during the sign-in and after a completed method."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from avma import errors
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.settings import AddressedSettings, Auth
from avma.wsman.envelope import CimMethod
from avma.wsman.winrm_pipe import WinrmPipe
from avma.wsman.wsman_client import WsmanClient
from avma_simulator import EstateServer
from core.middlebox import Change, between
from core.runner import ADMINISTRATOR, PASSWORD
from core.test_authentication import ADDRESS, serving

NAMESPACE, SERVICE = "root/cimv2", "SoftwareLicensingService"
SEALED = b"multipart/encrypted"
KEYS = {"Version": "10.0.20348.1"}
BUSY = r"HTTP 503\). Wait, then run again. If the error persists, check that the WinRM service is running and not"


@contextmanager
def through(
    folder: Path, auth: Auth, offered: str, change: Change, **settings: Any
) -> Iterator[tuple[EstateServer, WsmanClient]]:
    """Connect to the machine through a proxy that changes its answers."""
    account: dict[str, Any] = {"username": ADMINISTRATOR, "password": PASSWORD, "https": False, "auth": auth}
    with serving(folder, offered) as estate, between(ADDRESS, (ADDRESS, 5985), change) as port:
        connection = resolve("hv01", AddressedSettings(address=ADDRESS, port=port, **{**account, **settings}))
        with closing(WsmanClient(connection, 1, WinrmPipe)) as cim:
            yield estate, cim


def call(cim: WsmanClient) -> None:
    cim.invoke(
        Context("refresh", cim.where, Deadline(20)), CimMethod(NAMESPACE, SERVICE, "RefreshLicenseStatus"), KEYS, {}
    )


def flipped(request: bytes, genuine: bytes) -> bytes:
    """Change one byte inside the encrypted part of an answer."""
    head, _, body = genuine.partition(b"\r\n\r\n")
    mark = body.find(b"application/octet-stream")
    if SEALED not in request.lower() or mark < 0:
        return genuine
    at = mark + 200
    return head + b"\r\n\r\n" + body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def without_head(request: bytes, genuine: bytes) -> bytes:
    return genuine.replace(b"HTTP/1.1", b"HTTQ/1.1") if SEALED in request.lower() else genuine


def require_lost(caught: pytest.ExceptionInfo[errors.AnswerLost], estate: EstateServer) -> None:
    assert "the answer was changed in transit" in caught.value.answer
    assert "password" not in str(caught.value)
    assert estate.counts()["hv01"]["operations"][f"Invoke {SERVICE}/RefreshLicenseStatus"] == 1


@pytest.mark.parametrize("change", [flipped, without_head])
@pytest.mark.parametrize(
    ("auth", "offered"), [(Auth.NTLM, "ntlm"), (Auth.NEGOTIATE, "negotiate"), (Auth.CREDSSP, "credssp")]
)
def test_an_altered_answer_is_lost_and_does_not_blame_the_password(tmp_path, auth, offered, change):
    """The machine has acted. Only its answer is damaged."""
    with through(tmp_path, auth, offered, change) as (estate, cim):
        with pytest.raises(errors.AnswerLost) as caught:
            call(cim)
        require_lost(caught, estate)


def page(status: bytes, head: bytes = b"") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + head + b"Content-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("auth", "offered"), [(Auth.NTLM, "ntlm"), (Auth.NEGOTIATE, "negotiate"), (Auth.CREDSSP, "credssp")]
)
@pytest.mark.parametrize(
    ("answer", "error", "told"),
    [
        (page(b"503 Busy", b"Server: Microsoft-HTTPAPI/2.0\r\n"), errors.ServiceBusy, BUSY),
        (page(b"503 Busy"), errors.ServiceBusy, BUSY),
        (page(b"500 Oops"), errors.UnexpectedAnswer, "HTTP 500 instead"),
        (page(b"502 Bad Gateway"), errors.Unreachable, "HTTP 502 instead.*load balancer"),
        (page(b"302 Found", b"Location: http://127.0.0.1:1/\r\n"), errors.Unreachable, r"redirect \(HTTP 302\)"),
        (page(b"407 Proxy", b"Proxy-Authenticate: Negotiate\r\n"), errors.UnexpectedAnswer, "HTTP 407 .*proxy"),
        (page(b"401 No", b"WWW-Authenticate: Negotiate bm9uc2Vuc2U=\r\n"), errors.AvmaError, "sign-in|logon|401"),
        (page(b"401 No", b"WWW-Authenticate: CredSSP bm9uc2Vuc2U=\r\n"), errors.AvmaError, "sign-in|logon|401"),
        (page(b"401 No", b"WWW-Authenticate: Negotiate !!\r\n"), errors.AvmaError, "sign-in|logon|401"),
        (page(b"200 OK"), errors.AvmaError, "sign-in|not encrypted"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", errors.UnexpectedAnswer, "not HTTP"),
    ],
)
def test_what_arrives_in_the_middle_of_a_sign_in_is_named(tmp_path, auth, offered, answer, error, told):
    def spoil(request: bytes, genuine: bytes) -> bytes:
        return answer if b"authorization:" in request.lower() else genuine

    with through(tmp_path, auth, offered, spoil) as (_, cim), pytest.raises(error, match=told) as caught:
        call(cim)
    assert "Error" not in str(caught.value)
    assert not isinstance(caught.value, errors.AnswerLost)
