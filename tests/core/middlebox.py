"""A proxy for http that forwards messages and changes answers for a test."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedIOBase

Change = Callable[[bytes, bytes], bytes]
"""A function from the head of a request and its answer to the changed answer."""

_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")


class _Box(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, address: str, target: tuple[str, int], change: Change) -> None:
        self.target = target
        self.change = change
        super().__init__((address, 0), _Carrier)


class _Carrier(socketserver.StreamRequestHandler):
    server: _Box

    def handle(self) -> None:
        with suppress(OSError), socket.create_connection(self.server.target) as service:
            answers = service.makefile("rb")
            while request := _message(self.rfile):
                service.sendall(b"".join(request))
                answer = _message(answers)
                self.wfile.write(self.server.change(request[0], b"".join(answer)))


def _message(stream: BufferedIOBase) -> tuple[bytes, bytes] | tuple[()]:
    """Read the head and body of one HTTP message. Return an empty tuple at the end of the connection."""
    head = b""
    while line := stream.readline():
        head += line
        if line == b"\r\n":
            length = _LENGTH.search(head)
            return head, stream.read(int(length[1]) if length else 0)
    return ()


@contextmanager
def between(address: str, target: tuple[str, int], change: Change) -> Iterator[int]:
    """Run a proxy in front of a service and yield the port for clients."""
    with _Box(address, target, change) as box:
        thread = threading.Thread(target=box.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield box.server_address[1]
        finally:
            box.shutdown()
            thread.join()
