"""Failures that look alike on the wire: each has its own error and remedy."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from avma import errors
from avma.configuration import Configuration
from avma.connection import resolve
from avma.deadline import Deadline
from avma.settings import Auth
from avma.windows.licensing import LicensingReader
from avma.wording import NEUTRAL
from avma.wsman.winrm_pipe import WinrmPipe
from avma.wsman.wsman_client import WsmanClient
from avma_simulator import EstateServer, load_estate, running
from core.certificates import holder
from core.inspecting import inspecting
from core.runner import ADMINISTRATOR, PASSWORD
from core.test_connecting import answering
from loopback import address

MACHINES = {
    1: "trusted, https: {port: 5986}",
    2: "selfsigned, https: {port: 5986, certificate: selfSigned}",
    3: "expired, https: {port: 5986, certificate: expired}",
    4: "wrongname, https: {port: 5986, certificate: wrongName}",
    5: "plain, http: {port: 5985}, logons: [ntlm, basic]",
    6: "norights, http: {port: 5985}, rights: none",
    7: "basiconly, https: {port: 5986}, logons: [basic]",
    8: "strict, https: {port: 5986}, channelBinding: strict",
    9: "lax, https: {port: 5986}, channelBinding: none",
    10: "mapped, https: {port: 5986}, logons: [ntlm, certificate], clientCertificate: CLIENT",
    11: "unmapped, https: {port: 5986}",
}


@pytest.fixture(scope="module")
def alike(tmp_path_factory) -> Iterator[EstateServer]:
    folder = tmp_path_factory.mktemp("alike")
    holder(folder, "mapped")
    lines = (
        f"- {{name: {rest}, version: '2022', edition: Datacenter, address: {address(number)}, "
        f"username: {ADMINISTRATOR}, password: {PASSWORD}}}\n"
        for number, rest in MACHINES.items()
    )
    file = folder / "estate.yaml"
    file.write_text("hosts:\n" + "".join(lines).replace("CLIENT", str(folder / "mapped.pem")))
    with running(load_estate(file)) as server:
        yield server


def fail(estate: EstateServer, address: str, **values: Any) -> errors.AvmaError:
    """Read the license of a machine, and return the error for the user."""
    given: dict[str, Any] = {
        "username": ADMINISTRATOR,
        "password": PASSWORD,
        "ca_cert": estate.ca_certificate,
        **values,
    }
    connection = resolve(address, replace(Configuration(), **given))
    with closing(WsmanClient(connection, 2, WinrmPipe)) as cim, pytest.raises(errors.AvmaError) as caught:
        LicensingReader(cim).read(Deadline(20))
    text = str(caught.value)
    assert text.startswith(address)
    assert ": could not read the licensing service: " in text
    assert PASSWORD not in text
    assert "wrong-one" not in text
    return caught.value


HTTP = {"https": False}
WRONG = {"password": "wrong-one"}


@pytest.mark.parametrize(
    ("number", "values", "error", "answer", "remedy"),
    [
        # 401
        (5, {**HTTP, **WRONG}, errors.LogonRefused, "the service rejected the sign-in of Administrator (401)",
         "check `username` and `password`; check that the account may sign in over the network"),
        (5, {**HTTP, **WRONG, "auth": Auth.NEGOTIATE}, errors.LogonRefused, "rejected the sign-in of",
         "check `username` and `password`"),
        (7, {**WRONG, "auth": Auth.BASIC}, errors.LogonRefused, "rejected the sign-in of",
         "check `username` and `password`"),
        (1, WRONG, errors.LogonRefused, "the service rejected the sign-in of Administrator (401)",
         "if these checks pass, look for a proxy that decrypts TLS"),
        (7, {}, errors.LogonRefused, "does not offer `ntlm`, only Basic (WWW-Authenticate)",
         "set `auth` to `basic`, or enable `ntlm` on the machine with "
         r"`Set-Item WSMan:\localhost\Service\Auth\Negotiate $true` in PowerShell"),
        (1, {"auth": Auth.BASIC}, errors.LogonRefused, "does not offer `basic`, only Negotiate (WWW-Authenticate)",
         "set `auth` to `ntlm`, or enable `basic` on the machine with "
         r"`Set-Item WSMan:\localhost\Service\Auth\Basic $true` in PowerShell"),
        (5, {**HTTP, "auth": Auth.CREDSSP}, errors.LogonRefused, "does not offer `credssp`, only Negotiate (",
         "set `auth` to `ntlm`, or enable `credssp` on the machine"),
        (7, {"auth": Auth.NEGOTIATE}, errors.LogonRefused, "does not offer `negotiate`, only Basic", "`basic`"),
        (11, {"auth": Auth.CERTIFICATE}, errors.LogonRefused, "the service rejected the client certificate (401)",
         "winrm/config/service/certmapping"),
        # no connection
        (5, {**HTTP, "port": 1}, errors.Unreachable, "nothing listens on that port",
         "check the port; if WinRM is not set up, run `winrm quickconfig` on the machine"),
        (5, {"port": 1}, errors.Unreachable, "nothing listens on that port",
         "it opens only http (port 5985), so set `https: false` after it, or create an https listener"),
        # signed in without the rights
        (6, HTTP, errors.AccessDenied, "access is denied", "LocalAccountTokenFilterPolicy"),
        # TLS
        (2, {}, errors.CertificateNotTrusted, "an untrusted authority", "set `ca_cert`"),
        (1, {"ca_cert": None}, errors.CertificateNotTrusted, "an untrusted authority", "set `ca_cert`"),
        (3, {}, errors.CertificateNotTrusted, "has expired", "renew the certificate"),
        (4, {}, errors.CertificateNotTrusted, "is for another name", "`connection.address` to a name from the"),
        (10, {"auth": Auth.CERTIFICATE}, errors.AnswerLost, "connection broke",
         "the dates of `client_cert`"),
        (5, {"port": 5985}, errors.Unreachable, "does not use TLS", "set `https: false`"),
        (1, {**HTTP, "port": 5986}, errors.Unreachable, "uses TLS, but `https: false` is set", "set `https: true`"),
    ],
)  # fmt: skip
def test_each_failure_has_its_own_error_and_remedy(alike, tmp_path, number, values, error, answer, remedy):
    if values.get("auth") is Auth.CERTIFICATE:
        somebody = holder(tmp_path, "somebody")
        values = {**values, "client_cert": somebody.certificate, "client_key": somebody.key}
    told = fail(alike, address(number), **values)
    assert type(told) is error
    assert answer in NEUTRAL.render(told.answer)
    assert remedy in NEUTRAL.render(told.remedy)


def test_a_name_that_cannot_be_resolved(alike):
    told = fail(alike, "no-such-host.invalid")
    assert type(told) is errors.Unreachable
    assert "cannot be resolved" in told.answer
    assert "set `connection.address` to the IP address" in NEUTRAL.render(told.remedy)


@pytest.mark.parametrize(
    ("status", "headers", "body", "error", "answer", "remedy"),
    [
        ("200 OK", "Content-Type: text/html", "<html>Log in", errors.UnexpectedAnswer, "text/html", "login page"),
        ("403 Forbidden", "Content-Type: text/html", "<html>No", errors.UnexpectedAnswer, "text/html", "login page"),
        ("200 OK", "Content-Type: text/plain; charset=x", "hello", errors.UnexpectedAnswer, "text/plain", "login page"),
        ("404 Not Found", "X: y", "", errors.UnexpectedAnswer, "HTTP 404 instead of a WinRM answer", "check that"),
        ("407 Proxy", "Proxy-Authenticate: NTLM", "", errors.UnexpectedAnswer, "HTTP 407 instead", "proxy"),
        ("500 Oops", "X: y", "", errors.UnexpectedAnswer, "HTTP 500 instead", "check that"),
        ("502 Bad Gateway", "X: y", "", errors.Unreachable, "HTTP 502 instead", "load balancer"),
        ("504 Timeout", "X: y", "", errors.Unreachable, "HTTP 504 instead", "load balancer"),
        ("302 Found", "Location: http://127.0.0.1:1/", "", errors.Unreachable, "a redirect (HTTP 302)", "check that"),
        ("401 No", "WWW-Authenticate: Bearer", "", errors.LogonRefused, "only Bearer (WWW-Authenticate)",
         "set `auth` to an authentication method that the service offers"),
        ("401 No", "X: y", "", errors.LogonRefused, "(no WWW-Authenticate)", "on the machine with `Set-Item WSMan:"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE, Auth.CREDSSP])
def test_an_endpoint_that_is_not_winrm_is_named(alike, auth, status, headers, body, error, answer, remedy):
    page = f"HTTP/1.1 {status}\r\n{headers}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
    with answering(page.encode()) as port:
        told = fail(alike, "127.0.0.1", https=False, port=port, auth=auth)
    assert type(told) is error
    assert answer in NEUTRAL.render(told.answer)
    assert remedy in NEUTRAL.render(told.remedy)


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
@pytest.mark.parametrize("number", [1, 8])
def test_a_proxy_that_opens_tls_is_found_by_its_thumbprint(alike, tmp_path, auth, number):
    with inspecting(tmp_path, "127.0.0.1", (address(number), 5986)) as (port, authority):
        shown = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(("127.0.0.1", port)))
        told = fail(alike, "127.0.0.1", port=port, ca_cert=authority, auth=auth)
    thumbprint = hashlib.sha1(shown, usedforsecurity=False).hexdigest()
    assert isinstance(told, errors.LogonRefused)
    assert "check `username` and `password`" in NEUTRAL.render(told.remedy)
    assert NEUTRAL.render(told.remedy).endswith(f"certificate on port {port}, {thumbprint.upper()}")


def test_without_channel_binding_a_sign_in_works_through_the_proxy(alike, tmp_path):
    with inspecting(tmp_path, "127.0.0.1", (address(9), 5986)) as (port, authority):
        given: dict[str, Any] = {"username": ADMINISTRATOR, "password": PASSWORD, "ca_cert": authority, "port": port}
        with closing(WsmanClient(resolve("127.0.0.1", replace(Configuration(), **given)), 2, WinrmPipe)) as cim:
            assert LicensingReader(cim).read(Deadline(20)).system.version == "2022"


def test_an_answer_over_tls_that_breaks_off_is_lost_and_nothing_else(alike, tmp_path):
    """The machine may have acted, so the error must not claim that the machine was unreachable."""
    with inspecting(tmp_path, "127.0.0.1", (address(9), 5986), breaking=True) as (port, authority):
        told = fail(alike, "127.0.0.1", port=port, ca_cert=authority)
    assert type(told) is errors.AnswerLost
