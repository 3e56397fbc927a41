from __future__ import annotations

import base64
import hashlib
import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
import requests
import spnego
from spnego.channel_bindings import GssChannelBindings
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError

from avma_simulator import EstateServer
from simulator.client import PASSWORD, SERVICE, TRANSFER, Client, envelope
from waiting import PATIENCE

SELECT = "SELECT Version FROM SoftwareLicensingService"
GET = envelope(f"{TRANSFER}/Get", SERVICE, selectors={"Version": "10.0.26100.1"})


def version(client: Client) -> object:
    return client.query(SELECT)[0]["Version"]


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as opened:
        opened.trust_env = False
        yield opened


@pytest.mark.parametrize("username", ["Administrator", "administrator", r".\Administrator", r"HV01\Administrator"])
@pytest.mark.parametrize(
    ("scheme", "options"),
    [
        ("http", {}),
        ("https", {}),
        ("https", {"message_encryption": "always"}),
        ("https", {"auth": "basic"}),
    ],
)
def test_ways_to_log_on(shared: EstateServer, username: str, scheme: str, options: dict[str, str]) -> None:
    with Client(shared.url("hv01", scheme), username, ca=shared.ca_certificate, **options) as client:
        assert version(client) == ["10.0.26100.1"]


def test_sign_ins_remove_no_variable_from_the_environment(
    shared: EstateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client in another thread may list the environment at any time, as requests does."""
    removed: list[object] = []
    monkeypatch.setattr("os.unsetenv", removed.append)
    with Client(shared.url("hv01"), "Administrator") as client:
        assert version(client) == ["10.0.26100.1"]
    assert set(removed) <= {b"no_proxy"}  # of requests, below pywinrm


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("Administrator", "wrong"),
        ("Administrator", ""),
        ("Someone", PASSWORD),
        (r"OTHER\Administrator", PASSWORD),
        ("Administrator", "guest"),
    ],
)
@pytest.mark.parametrize(("scheme", "auth"), [("http", "ntlm"), ("https", "ntlm"), ("https", "basic")])
def test_wrong_credentials_are_refused(
    shared: EstateServer, username: str, password: str, scheme: str, auth: str
) -> None:
    url = shared.url("hv01", scheme)
    with (
        Client(url, username, password, auth, shared.ca_certificate) as client,
        pytest.raises(InvalidCredentialsError),
    ):
        version(client)


def test_each_machine_has_its_own_account(shared: EstateServer) -> None:
    with Client(shared.url("web01"), password="guest") as client:
        assert version(client) == ["10.0.20348.1"]
    with Client(shared.url("web01")) as client, pytest.raises(InvalidCredentialsError):
        version(client)


def test_basic_is_not_offered_without_tls(shared: EstateServer, session: requests.Session) -> None:
    answer = session.post(shared.url("hv01"), data=GET, auth=("Administrator", PASSWORD))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Negotiate"
    answer = session.post(shared.url("hv01", "https"), verify=shared.ca_certificate)
    assert answer.headers["WWW-Authenticate"] == 'Negotiate, Basic realm="WSMAN"'


def test_basic_is_refused_where_it_is_not_allowed(serve: Callable[[str], EstateServer]) -> None:
    estate = serve("hosts:\n- {name: h, version: 2025, edition: Datacenter, username: a, password: b, https: {}}\n")
    with (
        Client(estate.url("h", "https"), "a", "b", "basic", estate.ca_certificate) as client,
        pytest.raises(InvalidCredentialsError),
    ):
        version(client)


def test_what_is_not_sealed_is_refused_over_http(shared: EstateServer) -> None:
    with (
        Client(shared.url("hv01"), message_encryption="never") as client,
        pytest.raises(WinRMTransportError) as caught,
    ):
        version(client)
    assert (caught.value.code, caught.value.response_text) == (500, "")


def test_a_body_sealed_for_another_connection_is_refused(estate: EstateServer) -> None:
    with Client(estate.url("hv01")) as client:
        assert version(client) == ["10.0.26100.1"]
        estate.drop_connections("hv01")
        with pytest.raises((WinRMTransportError, requests.ConnectionError)) as caught:
            version(client)
        assert getattr(caught.value, "code", 400) == 400
        client.protocol.transport.close_session()
        assert version(client) == ["10.0.26100.1"]


def test_the_handshake_is_counted(estate: EstateServer) -> None:
    with Client(estate.url("hv01")) as client:
        version(client)
        version(client)
    counts = estate.counts()["hv01"]
    assert (counts["connections"], counts["handshakes"], counts["requests"]) == (1, 3, 5)


@pytest.mark.parametrize("kind", ["selfSigned", "expired", "wrongName"])
def test_bad_certificates_are_not_trusted(serve: Callable[[str], EstateServer], kind: str) -> None:
    estate = serve(
        "hosts:\n- {name: h, version: 2025, edition: Datacenter, username: a, password: b,"
        f" https: {{certificate: {kind}}}}}\n"
    )
    url = estate.url("h", "https")
    with Client(url, "a", "b", ca=estate.ca_certificate) as client, pytest.raises(requests.exceptions.SSLError):
        version(client)
    with Client(url, "a", "b", server_cert_validation="ignore") as client:
        assert version(client) == ["10.0.26100.1"]


def ntlm(connection: http.client.HTTPConnection, bindings: GssChannelBindings | None, body: str) -> int:
    """Authenticate with the last token on the request with the message, and return its status."""
    context = spnego.client("Administrator", PASSWORD, protocol="ntlm", channel_bindings=bindings)
    token, sent = context.step(), ""
    for sent in ("", body):
        header = {"Authorization": f"Negotiate {base64.b64encode(token or b'').decode()}"}
        connection.request("POST", "/wsman", sent, header | {"Content-Type": "application/soap+xml"})
        answer = connection.getresponse()
        answer.read()
        challenge = answer.headers.get("WWW-Authenticate", "").partition(" ")[2]
        token = context.step(base64.b64decode(challenge)) if challenge.startswith("TlRM") else b""
    return answer.status


@pytest.mark.parametrize(
    ("hardening", "own", "other", "none"),
    [("none", 200, 200, 200), ("relaxed", 200, 401, 200), ("strict", 200, 401, 401)],
)
def test_channel_bindings_must_be_those_of_the_certificate(
    serve: Callable[[str], EstateServer], hardening: str, own: int, other: int, none: int
) -> None:
    estate = serve(
        "hosts:\n- {name: h, version: 2025, edition: Datacenter, username: Administrator, password: Pa55w.rd,"
        f" https: {{}}, channelBinding: {hardening}}}\n"
    )
    url = urlsplit(estate.url("h", "https"))
    tls = ssl.create_default_context(cafile=estate.ca_certificate)
    for spoilt, status in ((b"", own), (b"x", other), (None, none)):
        connection = http.client.HTTPSConnection(str(url.hostname), url.port, context=tls, timeout=PATIENCE)
        connection.connect()
        certificate = connection.sock.getpeercert(binary_form=True)
        digest = hashlib.sha256(certificate or b"").digest()
        data = b"tls-server-end-point:" + digest + (spoilt or b"")
        bindings = None if spoilt is None else GssChannelBindings(application_data=data)
        assert ntlm(connection, bindings, GET) == status
        connection.close()


@pytest.mark.parametrize(
    ("logons", "http", "https"),
    [
        ("ntlm", ["Negotiate"], ["Negotiate"]),
        ("negotiate", ["Negotiate", "Kerberos"], ["Negotiate", "Kerberos"]),
        ("credssp", ["CredSSP"], ["CredSSP"]),
        ("basic, ntlm", ["Negotiate"], ["Negotiate", 'Basic realm="WSMAN"']),
        ("basic", [], ['Basic realm="WSMAN"']),
    ],
)
def test_what_is_offered(
    serve: Callable[[str], EstateServer],
    session: requests.Session,
    logons: str,
    http: list[str],
    https: list[str],
) -> None:
    estate = serve(
        "hosts:\n- {name: h, version: 2025, edition: Datacenter, username: a, password: b, http: {}, https: {},"
        f" logons: [{logons}]}}\n"
    )
    for scheme, offers in (("http", http), ("https", https)):
        answer = session.post(estate.url("h", scheme), verify=estate.ca_certificate)
        assert answer.status_code == 401
        assert answer.raw.headers.getlist("WWW-Authenticate") == offers


@pytest.mark.parametrize(
    "authorization",
    [
        "Negotiate",
        "Negotiate !",
        "Negotiate AAAA",
        "NTLM TlRMTVNTUAABAAAA",
        "Negotiate YIIAAA==",
        "Digest x",
        "Basic !",
    ],
)
def test_senseless_tokens_are_refused(shared: EstateServer, session: requests.Session, authorization: str) -> None:
    for _ in range(2):
        answer = session.post(shared.url("hv01"), headers={"Authorization": authorization})
        assert (answer.status_code, answer.content) == (401, b"")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/wsman", 405), ("POST", "/", 404), ("POST", "/wsman/x", 404)]
)
def test_only_posts_to_wsman(
    shared: EstateServer, session: requests.Session, method: str, path: str, status: int
) -> None:
    url = shared.url("hv01").removesuffix("/wsman") + path
    assert session.request(method, url).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        b"--Encrypted Boundary",
        b"--Encrypted Boundary\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
        b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=3\r\n--Encrypted Boundary\r\n"
        b"\tContent-Type: application/octet-stream\r\n\x10\0\0\0" + b"x" * 19 + b"--Encrypted Boundary--\r\n",
        b"--Encrypted Boundary\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n"
        b"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length=3\r\n--Encrypted Boundary\r\n"
        b"\tContent-Type: application/octet-stream\r\n\xff\xff\xff\xff--Encrypted Boundary--\r\n",
    ],
)
def test_sealed_bodies_that_cannot_be_opened(shared: EstateServer, body: bytes) -> None:
    with Client(shared.url("hv01")) as client:
        transport = client.protocol.transport
        opened = transport.build_session()
        content_type = 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted"'
        answer = opened.post(shared.url("hv01"), data=body, headers={"Content-Type": content_type})
        assert (answer.status_code, answer.content) == (400, b"")


def test_garbage_on_the_socket_disturbs_nobody(
    shared: EstateServer, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for scheme in ("http", "https"):
        with socket.create_connection(shared.address("hv01", scheme)) as raw:
            raw.sendall(b"\x16\x03nonsense\r\n\r\n")
            raw.recv(1000)
    with Client(shared.url("hv01")) as client:
        assert version(client) == ["10.0.26100.1"]
    assert caplog.text == ""
    assert capfd.readouterr().err == ""
