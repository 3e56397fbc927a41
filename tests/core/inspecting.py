"""A proxy that opens TLS: it has its own certificate, and forwards requests to the real service."""

from __future__ import annotations

import selectors
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from avma_simulator.winrm.certificates import Authority


class Proxy(socketserver.ThreadingTCPServer):
    """A server on a free port of an address. It handles each connection in its own thread."""

    def __init__(self, address: str, shown: ssl.SSLContext, target: tuple[str, int], breaking: bool) -> None:
        self.shown = shown
        self.target = target
        self.breaking = breaking
        self.stopped = threading.Event()
        super().__init__((address, 0), Carrier)


class Carrier(socketserver.BaseRequestHandler):
    """One connection through the proxy, until either end closes it."""

    server: Proxy

    def handle(self) -> None:
        trusting = ssl.create_default_context()
        trusting.check_hostname = False
        trusting.verify_mode = ssl.CERT_NONE
        # TLS 1.3 sends tickets between the data, and a blocking read would wait for data in vain
        trusting.maximum_version = self.server.shown.maximum_version = ssl.TLSVersion.TLSv1_2
        with (
            suppress(OSError),
            self.server.shown.wrap_socket(self.request, server_side=True) as client,
            socket.create_connection(self.server.target) as raw,
            trusting.wrap_socket(raw) as service,
        ):
            self._carry({client: service, service: client})

    def _carry(self, ends: dict[ssl.SSLSocket, ssl.SSLSocket]) -> None:
        with selectors.DefaultSelector() as selector:  # unlike select(), it supports descriptors from 1,024 on
            for end in ends:
                selector.register(end, selectors.EVENT_READ, end)
            while not self.server.stopped.is_set():
                pending = [end for end in ends if end.pending()]
                for end in pending or [key.data for key, _ in selector.select(0.05)]:
                    data = end.recv(65536)
                    if not data or (self.server.breaking and data.startswith(b"HTTP/1.1 200")):
                        return
                    ends[end].sendall(data)


@contextmanager
def inspecting(
    folder: Path, address: str, target: tuple[str, int], breaking: bool = False
) -> Iterator[tuple[int, str]]:
    """Run a proxy in front of a TLS service. Yield its port and the file of its certificate authority.

    With `breaking`, it drops each connection when the service answers with success, without closing TLS.
    """
    authority = Authority(folder)
    shown, _ = authority.server("proxy", address, "trusted")
    with Proxy(address, shown, target, breaking) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy.server_address[1], str(authority.certificate)
        finally:
            proxy.stopped.set()
            proxy.shutdown()
            thread.join()
