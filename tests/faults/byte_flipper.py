"""A proxy that flips one bit of the answer to a message, below HTTP and TLS."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_MESSAGE = 1000
"""Bytes. The client sends more than this only with a SOAP message, and less to open a connection or to sign in."""
_PLACE = 40
"""Bytes before the end of an answer."""


class _Flipper(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, address: str, target: tuple[str, int]) -> None:
        self.target = target
        super().__init__((address, 0), _Carrier)


class _Carrier(socketserver.BaseRequestHandler):
    """One connection. Each direction has a thread of its own."""

    server: _Flipper

    def handle(self) -> None:
        self._sent = 0
        client: socket.socket = self.request
        with suppress(OSError), socket.create_connection(self.server.target) as service:
            answers = threading.Thread(target=self._answer, args=(service, client), daemon=True)
            answers.start()
            while data := client.recv(1 << 20):
                self._sent += len(data)
                service.sendall(data)
            service.shutdown(socket.SHUT_RDWR)
            answers.join()

    def _answer(self, service: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := service.recv(1 << 20):
                client.sendall(_flipped(data) if self._sent > _MESSAGE else data)
                self._sent = 0
            client.shutdown(socket.SHUT_RDWR)


def _flipped(data: bytes) -> bytes:
    at = len(data) - _PLACE
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@contextmanager
def flipping(address: str, target: tuple[str, int]) -> Iterator[int]:
    """Run the proxy in front of a service. Yield its port."""
    with _Flipper(address, target) as flipper:
        thread = threading.Thread(target=flipper.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield flipper.server_address[1]
        finally:
            flipper.shutdown()
            thread.join()
