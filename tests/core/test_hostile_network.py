"""A hostile host or network gets no password, no weaker protection, and no endless output."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from avma import errors
from avma.configuration import Configuration
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.settings import Auth
from avma.wsman.winrm_pipe import WinrmPipe
from avma.wsman.wsman_client import WsmanClient
from avma_simulator.winrm.certificates import Authority
from core.runner import ADMINISTRATOR, HV01, PASSWORD
from secret_search import Canary, leaks

OTHERS = [auth for auth in Auth if auth not in (Auth.BASIC, Auth.CERTIFICATE, Auth.KERBEROS)]


@contextmanager
def offering(folder: Path, *schemes: str) -> Iterator[tuple[int, list[str]]]:
    """Run a TLS server that rejects all requests and offers these schemes. Yield its port and what it received."""
    received: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            received.append(f"{self.headers}\n{body!r}")
            self.send_response(401)
            for scheme in schemes:
                self.send_header("WWW-Authenticate", scheme)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    context, _ = Authority(folder).server("raw", "127.0.0.1", "trusted")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_address[1], received
        finally:
            server.shutdown()
            thread.join()


def query(port: int, **settings: Any) -> None:
    values = Configuration(username=ADMINISTRATOR, password=PASSWORD, insecure=True, port=port, **settings)
    with closing(WsmanClient(resolve("127.0.0.1", values), 1, WinrmPipe)) as cim:
        cim.query(Context("read", cim.where, Deadline(20)), "root/cimv2", "SELECT * FROM X")


@pytest.mark.parametrize("auth", OTHERS)
@pytest.mark.parametrize("schemes", [("Basic realm=x",), ("Basic realm=x", "Digest realm=x, nonce=y"), ()])
def test_a_host_that_offers_only_weaker_methods_gets_no_password(tmp_path, auth, schemes):
    with offering(tmp_path, *schemes) as (port, received), pytest.raises(errors.AvmaError):
        query(port, auth=auth)
    assert received
    assert not [text for text in received if "Authorization: Basic" in text]
    assert leaks([Canary("password", PASSWORD)], {"requests": "".join(received).encode()}) == []


def test_https_never_becomes_http(estate):
    """The machine listens only for http. Nothing is sent there, not even if the port is given."""
    for port in (None, 5985):
        settings = Configuration(username=ADMINISTRATOR, password=PASSWORD, port=port)
        with closing(WsmanClient(resolve(HV01, settings), 1, WinrmPipe)) as cim, pytest.raises(errors.Unreachable):
            cim.query(Context("read", cim.where, Deadline(20)), "root/cimv2", "SELECT * FROM X")
    assert estate.counts()["hv01"]["requests"] == 0
