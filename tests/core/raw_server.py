"""A TLS server that answers each request with the bytes of a test. Because of TLS, clients send Basic credentials."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from avma_simulator.winrm.certificates import Authority

Respond = Callable[[socket.socket], None]


@contextmanager
def serving(directory: Path, *answers: bytes | Respond) -> Iterator[int]:
    """Yield the port of a server with these answers. The last one repeats.

    An answer is bytes or a function. The server closes the connection after bytes. A function receives the connection.
    """
    context, _ = Authority(directory).server("raw", "127.0.0.1", "trusted")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_serve, args=(listener, context, answers))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listener: socket.socket, context: ssl.SSLContext, answers: tuple[bytes | Respond, ...]) -> None:
    left = list(answers)
    while True:
        try:
            plain, _ = listener.accept()
        except OSError:
            return
        with suppress(OSError), closing(context.wrap_socket(plain, server_side=True)) as connection:
            connection.settimeout(20)
            _read_request(connection)
            answer = left.pop(0) if len(left) > 1 else left[0]
            if callable(answer):
                answer(connection)
            else:
                connection.sendall(answer)
                connection.unwrap()


def _read_request(connection: socket.socket) -> None:
    heard = b""
    while b"\r\n\r\n" not in heard:
        heard += _more(connection)
    head, _, body = heard.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    missing = int(fields[b"content-length"]) - len(body)
    while missing > 0:
        missing -= len(_more(connection))


def _more(connection: socket.socket) -> bytes:
    more = connection.recv(65536)
    if not more:
        raise ConnectionError("no request came")
    return more
