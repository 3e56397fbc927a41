"""Each authentication method over real sockets, as seen by client and server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import requests

from avma import errors
from avma.configuration import Configuration
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.settings import Auth, MessageEncryption
from avma.windows import hyperv
from avma.windows.licensing import Licensing, LicensingReader
from avma.wsman.http_adapter import Adapter
from avma.wsman.winrm_pipe import WinrmPipe
from avma.wsman.wsman_client import WsmanClient
from avma_simulator import EstateServer, load_estate, running
from core.certificates import holder
from core.runner import ADMINISTRATOR, PASSWORD
from loopback import address

ADDRESS = address(1)
ESTATE = f"""
hosts:
  - name: hv01
    version: "2022"
    edition: Datacenter
    address: {ADDRESS}
    http: {{port: 5985}}
    https: {{port: 5986}}
    username: {ADMINISTRATOR}
    password: {PASSWORD}
"""


@contextmanager
def serving(folder: Path, logons: str, more: str = "") -> Iterator[EstateServer]:
    file = folder / "estate.yaml"
    file.write_text(f"{ESTATE}    logons: [{logons}]\n{more}")
    with running(load_estate(file)) as server:
        yield server


def read(estate: EstateServer, https: bool = True, seconds: float = 20, **values: Any) -> Licensing:
    given: dict[str, Any] = {
        "username": ADMINISTRATOR,
        "password": PASSWORD,
        "ca_cert": estate.ca_certificate,
        "https": https,
    }
    configuration = replace(Configuration(), **{**given, **values})
    with closing(WsmanClient(resolve(ADDRESS, configuration), 2, WinrmPipe)) as cim:
        return LicensingReader(cim).read(Deadline(seconds))


def logged_on(estate: EstateServer) -> dict[str, int]:
    """Return the number of sign-ins to the machine by authentication method."""
    logons: dict[str, int] = estate.counts()["hv01"]["logons"]
    return logons


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
@pytest.mark.parametrize(
    ("auth", "logon"),
    [
        (Auth.NTLM, "ntlm"),
        (Auth.NEGOTIATE, "negotiate/ntlm"),
        (Auth.CREDSSP, "credssp"),
    ],
)
def test_authentication_with_a_password(tmp_path, auth, logon, https):
    with serving(tmp_path, auth.value, "    channelBinding: strict\n") as estate:
        assert read(estate, https, auth=auth).system.version == "2022"
        assert logged_on(estate) == {logon: 1}
        with pytest.raises(errors.LogonRefused, match=r"rejected the sign-in of .* \(401\)"):
            read(estate, https, auth=auth, password="wrong-one")
        assert logged_on(estate) == {logon: 1}


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE, Auth.CREDSSP, Auth.BASIC])
def test_no_connection_changes_the_environment(tmp_path, monkeypatch, auth):
    """All threads share it. A thread that lists the variables while one is removed fails with a KeyError."""
    changed = set()
    monkeypatch.setattr("os.putenv", lambda name, _: changed.add(os.fsdecode(name)))
    monkeypatch.setattr("os.unsetenv", lambda name: changed.add(os.fsdecode(name)))
    with serving(tmp_path, auth.value) as estate:
        assert read(estate, auth=auth).service_version
    assert changed <= {"NTLM_USER_FILE", "KRB5_KTNAME"}  # those of the simulator


@pytest.mark.parametrize("auth", [Auth.KERBEROS, Auth.CREDSSP])
def test_a_missing_package_of_an_authentication_method_is_named(tmp_path, monkeypatch, auth):
    monkeypatch.setattr("avma.wsman.kerberos.find_spec", lambda name: None)
    monkeypatch.setattr("winrm.transport.HAVE_CREDSSP", False)
    with serving(tmp_path, "ntlm") as estate:
        with pytest.raises(errors.InvalidInput) as caught:
            read(estate, False, auth=auth)
        assert f"the extra `{auth.value}`" in str(caught.value)
        assert estate.counts()["hv01"]["requests"] == 0


@pytest.fixture
def wire(monkeypatch) -> list[tuple[str, str]]:
    """Record the content types of each request with a body, and of its answer."""
    passed: list[tuple[str, str]] = []
    send = Adapter.send

    def noting(self: Adapter, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        response = send(self, request, **options)
        if request.body and response.ok:
            asked, answered = (
                headers.get("Content-Type", "").partition(";")[0] for headers in (request.headers, response.headers)
            )
            passed.append((asked, answered))
        return response

    monkeypatch.setattr(Adapter, "send", noting)
    return passed


SEALED = ("multipart/encrypted", "multipart/encrypted")
PLAIN = ("application/soap+xml", "application/soap+xml")


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE, Auth.CREDSSP])
@pytest.mark.parametrize(
    ("https", "encryption", "form"),
    [
        (False, MessageEncryption.AUTO, SEALED),
        (False, MessageEncryption.ALWAYS, SEALED),
        (True, MessageEncryption.AUTO, PLAIN),
        (True, MessageEncryption.ALWAYS, SEALED),
        (True, MessageEncryption.NEVER, PLAIN),
    ],
)
def test_message_encryption(tmp_path, wire, auth, https, encryption, form):
    with serving(tmp_path, auth.value) as estate:
        read(estate, https, auth=auth, message_encryption=encryption)
    assert set(wire) == {form}


@pytest.mark.parametrize(
    ("auth", "https", "encryption", "answer"),
    [
        (Auth.NTLM, False, MessageEncryption.NEVER, "unencrypted messages over http"),
        (Auth.KERBEROS, False, MessageEncryption.NEVER, "unencrypted messages over http"),
        (Auth.BASIC, True, MessageEncryption.ALWAYS, "`basic` provides no key"),
        (Auth.BASIC, False, MessageEncryption.AUTO, "Basic authentication over http"),
        (Auth.CERTIFICATE, False, MessageEncryption.AUTO, "works over https only"),
    ],
)
def test_what_would_go_open_over_the_network_is_refused(tmp_path, auth, https, encryption, answer):
    given: dict[str, Any] = {
        "auth": auth,
        "message_encryption": encryption,
        "client_cert": "c.pem",
        "client_key": "k.pem",
    }
    with serving(tmp_path, "ntlm") as estate:
        with pytest.raises(errors.InvalidInput, match=answer):
            read(estate, https, **given)
        assert estate.counts()["hv01"]["requests"] == 0


def test_credssp_seals_long_messages_in_pieces(tmp_path, wire):
    vms = "".join(f"      - {{name: vm{n}, version: '2022', edition: Standard}}\n" for n in range(20))
    query = f"SELECT Name FROM Msvm_ComputerSystem WHERE ElementName <> '{'x' * 40000}'"
    with serving(tmp_path, "credssp", f"    vms:\n{vms}") as estate:
        given = Configuration(username=ADMINISTRATOR, password=PASSWORD, https=False, auth=Auth.CREDSSP)
        with closing(WsmanClient(resolve(ADDRESS, given), 2, WinrmPipe)) as cim:
            rows = cim.query(Context("list", cim.where, Deadline(20)), "root/virtualization/v2", query)
            facts = hyperv.list_guest_facts(cim, Deadline(20))
        assert logged_on(estate) == {"credssp": 1}
    assert (len(rows), len(facts)) == (21, 20)
    assert wire[0][0] == "multipart/x-multi-encrypted"
    assert "multipart/x-multi-encrypted" in [answer for _, answer in wire]


@pytest.mark.parametrize("text", [False, True], ids=["paths", "text"])
def test_a_client_certificate(tmp_path, monkeypatch, text):
    own = holder(tmp_path, "svc-avma")
    paths = {"client_cert": str(tmp_path / "svc-avma.pem"), "client_key": str(tmp_path / "svc-avma.key")}
    given: dict[str, Any] = {"client_cert": own.certificate, "client_key": own.key} if text else paths
    # the user's own account for that machine must not replace the certificate
    (tmp_path / "netrc").write_text(f"machine {ADDRESS} login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with serving(tmp_path, "certificate", f"    clientCertificate: {tmp_path / 'svc-avma.pem'}\n") as estate:
        found = read(estate, auth=Auth.CERTIFICATE, username=None, password=None, **given)
        assert found.system.version == "2022"
        assert set(logged_on(estate)) == {"certificate"}


def test_a_client_certificate_of_another_user(tmp_path):
    holder(tmp_path, "svc-avma")
    other = holder(tmp_path, "somebody")
    with serving(tmp_path, "certificate", f"    clientCertificate: {tmp_path / 'svc-avma.pem'}\n") as estate:
        given: dict[str, Any] = {"auth": Auth.CERTIFICATE, "client_cert": other.certificate, "client_key": other.key}
        with pytest.raises(errors.Unreachable, match="that the machine trusts its issuer"):
            read(estate, **given)
        assert estate.counts()["hv01"]["requests"] == 0


def test_a_key_that_is_not_that_of_the_certificate_is_named_and_not_shown(tmp_path):
    own, other = holder(tmp_path, "svc-avma"), holder(tmp_path, "somebody")
    with (
        serving(tmp_path, "ntlm") as estate,
        pytest.raises(errors.InvalidInput, match="are not a matching PEM pair") as caught,
    ):
        read(estate, auth=Auth.CERTIFICATE, client_cert=own.certificate, client_key=other.key)
    assert "BEGIN" not in str(caught.value)


def test_basic_over_https(tmp_path):
    with serving(tmp_path, "basic") as estate:
        assert read(estate, auth=Auth.BASIC).system.version == "2022"
        assert set(logged_on(estate)) == {"basic"}


def test_authorities_as_text(tmp_path):
    with serving(tmp_path, "ntlm") as estate:
        text = Path(estate.ca_certificate).read_text()
        assert read(estate, ca_cert=text).system.version == "2022"
        with pytest.raises(errors.InvalidInput, match="the text in `ca_cert` contains no PEM certificate"):
            read(estate, ca_cert=text.replace("BEGIN CERTIFICATE", "BEGIN NOTHING"))


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE, Auth.CREDSSP, Auth.BASIC])
def test_nothing_is_taken_from_the_environment(tmp_path, monkeypatch, auth):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.setenv(name, "/nowhere/ca.pem")
    keys = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(keys))
    with serving(tmp_path, auth.value) as estate:
        assert read(estate, auth=auth).system.version == "2022"
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", estate.ca_certificate)
        with pytest.raises(errors.CertificateNotTrusted):
            read(estate, auth=auth, ca_cert=None)
    assert not keys.exists()


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE, Auth.CREDSSP])
def test_the_environment_cannot_ask_for_a_weaker_ntlm(tmp_path, monkeypatch, auth):
    with serving(tmp_path, auth.value) as estate:
        for level in ("2", "many"):
            monkeypatch.setenv("LM_COMPAT_LEVEL", level)
            with pytest.raises(errors.InvalidInput, match=f"LM_COMPAT_LEVEL is `{level}`"):
                read(estate, auth=auth)
        assert estate.counts()["hv01"]["requests"] == 0
        monkeypatch.setenv("LM_COMPAT_LEVEL", "5")
        assert read(estate, auth=auth).system.version == "2022"


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE, Auth.CREDSSP])
def test_a_dropped_encrypted_connection_is_opened_again(tmp_path, auth):
    with serving(tmp_path, auth.value) as estate:
        given = Configuration(username=ADMINISTRATOR, password=PASSWORD, https=False, auth=auth)
        with closing(WsmanClient(resolve(ADDRESS, given), 2, WinrmPipe)) as cim:
            for _ in range(3):
                assert LicensingReader(cim).read(Deadline(20)).system.version == "2022"
                estate.drop_connections("hv01")
