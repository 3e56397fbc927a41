"""What stands between the provider and a machine can neither speak for the machine nor make it do a thing twice."""

from __future__ import annotations

from contextlib import closing

import pytest

from avma import errors
from avma.connection import resolve
from avma.deadline import Deadline
from avma.settings import AddressedSettings, Auth
from avma.wsman.cim import Cim
from avma.wsman.pipe import WinrmPipe
from core.middlebox import between
from core.runner import ADMINISTRATOR, HOST_KEY, HV01, PASSWORD

NAMESPACE, SERVICE = "root/cimv2", "SoftwareLicensingService"
FORGED = (
    b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><r><Items><i><Caption>forged</Caption></i>'
    b"</Items><EndOfSequence/><ReturnValue>0</ReturnValue></r></s:Body></s:Envelope>"
)
SEALED = b"multipart/encrypted"


def answer(status: bytes, body: bytes = b"") -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/soap+xml\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def connected(port: int, auth: Auth) -> Cim:
    settings = AddressedSettings(
        address=HV01, port=port, https=False, username=ADMINISTRATOR, password=PASSWORD, auth=auth
    )
    return Cim(resolve("hv01", settings), 1, WinrmPipe)


def version(cim: Cim) -> str:
    row = cim.query(NAMESPACE, f"SELECT Version FROM {SERVICE}", Deadline(20), "read")[0]
    return row.text("Version") or ""


def install(cim: Cim, version: str) -> None:
    parameters = {"ProductKey": HOST_KEY}
    cim.invoke(NAMESPACE, SERVICE, "InstallProductKey", {"Version": version}, parameters, Deadline(20), "install")


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
def test_an_answer_in_clear_to_a_sealed_message_is_not_believed(estate, auth):
    def forge(request: bytes, genuine: bytes) -> bytes:
        return answer(b"200 OK", FORGED) if SEALED in request.lower() and b" 200 " in genuine[:20] else genuine

    with between(HV01, (HV01, 5985), forge) as port, closing(connected(port, auth)) as cim:
        with pytest.raises(errors.AnswerLost, match=r"an answer that is not sealed, though the message was.*proxy"):
            version(cim)
        with pytest.raises(errors.AnswerLost, match="an answer that is not sealed"):
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
        with pytest.raises(errors.UnexpectedAnswer, match="HTTP 400 instead of a WinRM answer"):
            install(cim, key)
    assert estate.counts()["hv01"]["operations"][f"Invoke {SERVICE}/InstallProductKey"] == 1


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
def test_a_sealed_connection_that_was_dropped_is_made_anew_for_a_change_too(estate, auth):
    with closing(connected(5985, auth)) as cim:
        key = version(cim)
        estate.drop_connections("hv01")
        install(cim, key)
    assert estate.counts()["hv01"]["operations"][f"Invoke {SERVICE}/InstallProductKey"] == 1
