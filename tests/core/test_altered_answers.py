"""Proxies and other intermediaries cannot impersonate a machine or repeat a change."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from avma import errors, keys
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.settings import AddressedSettings, Auth
from avma.wsman.envelope import CimMethod
from avma.wsman.winrm_pipe import WinrmPipe
from avma.wsman.wsman_client import WsmanClient
from core.middlebox import between
from core.runner import ADMINISTRATOR, HOST_KEY, HV01, PASSWORD

NAMESPACE, SERVICE = "root/cimv2", "SoftwareLicensingService"
FORGED = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><r><Items><i><Caption>forged</Caption></i>'
    b"</Items><EndOfSequence/><ReturnValue>0</ReturnValue></r></s:Body></s:Envelope>"
)
SEALED = b"multipart/encrypted"
OFFER = re.compile(rb"(?i)WWW-Authenticate: [^\r]*\r\n")


def answer(status: bytes, body: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def connected(port: int, auth: Auth) -> WsmanClient:
    settings = AddressedSettings(
        address=HV01, port=port, https=False, username=ADMINISTRATOR, password=PASSWORD, auth=auth
    )
    return WsmanClient(resolve("hv01", settings), 1, WinrmPipe)


def version(cim: WsmanClient) -> str:
    row = cim.query(Context("read", cim.where, Deadline(20)), NAMESPACE, f"SELECT Version FROM {SERVICE}")[0]
    return row.text("Version") or ""


def install(cim: WsmanClient, version: str) -> None:
    parameters = {"ProductKey": HOST_KEY}
    cim.invoke(
        Context("install", cim.where, Deadline(20)),
        CimMethod(NAMESPACE, SERVICE, "InstallProductKey"),
        {"Version": version},
        parameters,
    )


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
def test_a_plain_answer_to_an_encrypted_message_is_rejected(estate, auth):
    def forge(request: bytes, genuine: bytes) -> bytes:
        return answer(b"200 OK", FORGED) if SEALED in request.lower() and b" 200 " in genuine[:20] else genuine

    with between(HV01, (HV01, 5985), forge) as port, closing(connected(port, auth)) as cim:
        with pytest.raises(errors.AnswerLost, match=r"the answer is not encrypted, although the message was.*proxy"):
            version(cim)
        with pytest.raises(errors.AnswerLost, match="the answer is not encrypted"):
            install(cim, "10.0.20348.1")


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
@pytest.mark.parametrize("body", [b"", b"<html>no</html>"])
def test_a_400_from_the_way_does_not_send_a_change_again(estate, auth, body):
    spoiling = False

    def spoil(request: bytes, genuine: bytes) -> bytes:
        return answer(b"400 Bad Request", body) if spoiling and SEALED in request.lower() else genuine

    with between(HV01, (HV01, 5985), spoil) as port, closing(connected(port, auth)) as cim:
        key = version(cim)
        spoiling = True
        with pytest.raises(errors.AnswerLost, match="HTTP 400 instead of a WinRM answer"):
            install(cim, key)
    assert estate.counts()["hv01"]["operations"][f"Invoke {SERVICE}/InstallProductKey"] == 1


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
def test_a_dropped_encrypted_connection_is_opened_again_for_a_change(estate, auth):
    with closing(connected(5985, auth)) as cim:
        key = version(cim)
        estate.drop_connections("hv01")
        install(cim, key)
    assert estate.counts()["hv01"]["operations"][f"Invoke {SERVICE}/InstallProductKey"] == 1


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
@pytest.mark.parametrize("offers", [True, False], ids=["with methods", "without methods"])
def test_a_401_in_the_middle_is_answered_by_one_more_sign_in_for_a_change_too(estate, auth, offers):
    def change(request: bytes, genuine: bytes) -> bytes:
        return genuine if offers or SEALED not in request.lower() else OFFER.sub(b"", genuine)

    estate.faults("hv01", [{"operation": f"{SERVICE}/InstallProductKey", "answer": "unauthorized", "times": 1}])
    with between(HV01, (HV01, 5985), change) as port, closing(connected(port, auth)) as cim:
        install(cim, version(cim))
    assert estate.present_faults("hv01")[0]["times"] == 0
    assert estate.machine("hv01")["partialProductKey"] == keys.partial(HOST_KEY)


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
@pytest.mark.parametrize("status", [b"401 No\r\nWWW-Authenticate: Negotiate", b"401 No"])
def test_a_session_that_is_lost_each_time_is_no_wrong_password(estate, auth, status):
    """A load balancer behaves like this if it sends each message to a different machine."""
    refusal = b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n"

    def refuse(request: bytes, genuine: bytes) -> bytes:
        return refusal if SEALED in request.lower() else genuine

    lost = pytest.raises(errors.Unreachable, match=r"did not recognize the session.*load balancer")
    with between(HV01, (HV01, 5985), refuse) as port, closing(connected(port, auth)) as cim, lost as caught:
        install(cim, "10.0.20348.1")
    assert not isinstance(caught.value, errors.AnswerLost)
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
def test_a_connection_that_ends_with_the_sign_in_is_made_again_for_a_change_too(estate, auth):
    ended: list[bool] = []

    def end(request: bytes, genuine: bytes) -> bytes:
        if ended or SEALED in request.lower() or b" 200 " not in genuine[:20]:
            return genuine
        ended.append(True)
        return genuine.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)

    with between(HV01, (HV01, 5985), end) as port, closing(connected(port, auth)) as cim:
        install(cim, "10.0.20348.1")
    assert ended
    assert estate.counts()["hv01"]["operations"][f"Invoke {SERVICE}/InstallProductKey"] == 1
