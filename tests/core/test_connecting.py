"""Connection failures: each yields one clear sentence. Broken connections are reopened."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from avma import errors
from avma.configuration import Configuration
from avma.connection import resolve
from avma.deadline import Deadline
from avma.settings import Auth
from avma.windows.licensing import Licensing, LicensingReader
from avma.wsman.winrm_pipe import WinrmPipe
from avma.wsman.wsman_client import WsmanClient
from avma_simulator import load_estate, running
from core.runner import ADMINISTRATOR, HV01, PASSWORD
from core.silence import accepting
from loopback import address
from waiting import PATIENCE

TLS_ESTATE = f"""
hosts:
  - {{name: trusted, version: "2022", edition: Datacenter, address: {address(1)}, https: {{port: 5986}},
      logons: [ntlm, basic], username: {ADMINISTRATOR}, password: {PASSWORD}}}
  - {{name: selfsigned, version: "2022", edition: Datacenter, address: {address(2)},
      https: {{port: 5986, certificate: selfSigned}}, username: {ADMINISTRATOR}, password: {PASSWORD}}}
  - {{name: expired, version: "2022", edition: Datacenter, address: {address(3)},
      https: {{port: 5986, certificate: expired}}, username: {ADMINISTRATOR}, password: {PASSWORD}}}
  - {{name: wrongname, version: "2022", edition: Datacenter, address: {address(4)},
      https: {{port: 5986, certificate: wrongName}}, username: {ADMINISTRATOR}, password: {PASSWORD}}}
  - {{name: plain, version: "2022", edition: Datacenter, address: {address(5)}, http: {{port: 5985}},
      username: {ADMINISTRATOR}, password: {PASSWORD}}}
  - {{name: norights, version: "2022", edition: Datacenter, address: {address(6)}, http: {{port: 5985}},
      username: {ADMINISTRATOR}, password: {PASSWORD}, rights: none}}
"""


@pytest.fixture
def tls(tmp_path):
    file = tmp_path / "tls.yaml"
    file.write_text(TLS_ESTATE)
    with running(load_estate(file)) as server:
        yield server


def read(address: str, settings: Configuration, seconds: float = 20) -> Licensing:
    with closing(WsmanClient(resolve(address, settings), 2, WinrmPipe)) as cim:
        return LicensingReader(cim).read(Deadline(seconds))


def settings(**values: Any) -> Configuration:
    return replace(Configuration(username=ADMINISTRATOR, password=PASSWORD), **values)


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.BASIC])
def test_https_with_a_certificate_of_a_given_authority(tls, auth):
    assert read(address(1), settings(auth=auth, ca_cert=tls.ca_certificate)).system.version == "2022"


def test_https_without_checking_the_certificate(tls):
    assert read(address(2), settings(insecure=True)).system.version == "2022"


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<html/>login",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
)
def test_a_service_that_is_not_winrm_gives_a_named_error(answer):
    with answering(answer) as port, pytest.raises(errors.AvmaError) as caught:
        read("127.0.0.1", settings(https=False, port=port))
    assert caught.value.remedy


def test_a_redirect_is_not_followed(estate, configuration):
    redirect = f"HTTP/1.1 307 Moved\r\nLocation: http://{HV01}:5985/wsman\r\nContent-Length: 0\r\n\r\n".encode()
    with answering(redirect) as port, pytest.raises(errors.Unreachable, match="returned a redirect"):
        read("127.0.0.1", replace(configuration, port=port))
    assert estate.counts()["hv01"]["requests"] == 0


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """Answer every request with the same bytes, and yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()
        thread = threading.Thread(target=serve, args=(server, answer, stop))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            stop.set()
            thread.join()


def serve(server: socket.socket, answer: bytes, stop: threading.Event) -> None:
    server.settimeout(0.05)
    while not stop.is_set():
        try:
            client, _ = server.accept()
        except TimeoutError:
            continue
        with client:
            client.settimeout(PATIENCE)
            try:
                client.recv(65536)
                client.sendall(answer)
            except OSError:
                continue


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
def test_silence_ends_with_the_deadline(caplog, auth):
    with accepting() as server:
        port = server.getsockname()[1]
        silent = settings(https=False, port=port, auth=auth, operation_timeout="1s", connect_timeout="1s")
        with pytest.raises(errors.TimedOut, match=r"the time limit of 0\.5 s expired"):
            read("127.0.0.1", silent, seconds=0.5)
    assert caplog.text == ""


def test_dropped_connections_are_opened_again(estate, configuration):
    with closing(WsmanClient(resolve(HV01, configuration), 2, WinrmPipe)) as cim:
        for _ in range(4):
            assert LicensingReader(cim).read(Deadline(20)).system.version == "2022"
            estate.drop_connections("hv01")
    assert estate.counts()["hv01"]["connections"] >= 4


def test_threads_do_not_share_a_connection(estate, configuration):
    answers: list[object] = []
    with closing(WsmanClient(resolve(HV01, configuration), 3, WinrmPipe)) as cim:

        def work() -> None:
            answers.extend(LicensingReader(cim).read(Deadline(20)).system.version for _ in range(5))

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == ["2022"] * 30
    assert estate.counts()["hv01"]["connections"] <= 3


@pytest.mark.parametrize(
    ("content", "answer"), [(None, "cannot be read"), ("root:x:0:0::/root:/bin/sh\n", "contains no PEM certificate")]
)
def test_a_file_of_authorities_that_cannot_be_used(tls, tmp_path, content, answer):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(errors.InvalidInput, match=answer):
        read(address(1), settings(ca_cert=str(file)))


def test_basic_with_a_password_outside_latin_1(tmp_path):
    file = tmp_path / "estate.yaml"
    file.write_text(TLS_ESTATE.replace(PASSWORD, "Pässwörd-€-1"))
    with running(load_estate(file)) as server:
        given = settings(password="Pässwörd-€-1", auth=Auth.BASIC, ca_cert=server.ca_certificate)
        assert read(address(1), given).system.version == "2022"


def test_an_ipv6_address(tmp_path):
    file = tmp_path / "estate.yaml"
    file.write_text(TLS_ESTATE.replace(f"{address(5)}, http: {{port: 5985}}", '"::1", http: {}'))
    with running(load_estate(file)) as server:
        port = server.address("plain")[1]
        assert read("::1", settings(https=False, port=port)).system.version == "2022"
        with pytest.raises(errors.LogonRefused, match=rf"\[::1\]:{port}: could not"):
            read("::1", settings(https=False, port=port, password="wrong-one"))
