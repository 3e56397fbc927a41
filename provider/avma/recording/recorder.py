"""Recordings of messages and their answers. They stay in memory unchanged, and are written without names and secrets.

A recording is a file of JSON lines. docs/doctor.md describes it. The names are replaced when the file is written,
because a late answer may reveal a name in an early one.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from avma.connection import Connection
from avma.context import Context
from avma.errors import AvmaError
from avma.recording.envelope import Rewriter
from avma.recording.standins import Standins
from avma.recording.vocabulary import Vocabulary
from avma.wsman.pipe import Pipe

FORMAT = "avma recording 1"
_NO_VOCABULARY = Vocabulary()


@dataclass(frozen=True)
class Exchange:
    """A message to a machine, and the answer or the error. `seconds` is the time until then."""

    connection: Connection
    request: bytes
    answer: bytes | None
    error: AvmaError | None
    seconds: float


class Recorder:
    """A factory of recording pipes, with their recording. Safe to use from several threads."""

    def __init__(self, new_pipe: Callable[[Connection], Pipe]) -> None:
        self._new_pipe = new_pipe
        self._lock = threading.Lock()
        self._exchanges: list[Exchange] = []

    def pipe(self, connection: Connection) -> Pipe:
        """Return a pipe to a machine that records each message."""
        return _RecordingPipe(connection, self._new_pipe(connection), self._keep)

    def __len__(self) -> int:
        """Return the number of exchanges so far."""
        with self._lock:
            return len(self._exchanges)

    def lines(self) -> Iterator[str]:
        """Yield the lines of the recording: its format and machines, then each exchange in order."""
        return self.anonymous().lines()

    def anonymous(self, vocabulary: Vocabulary = _NO_VOCABULARY) -> Anonymous:
        """Return the exchanges so far without names and secrets. The vocabulary stays in texts of this project."""
        return Anonymous(self._copy(), vocabulary)

    def _copy(self) -> list[Exchange]:
        with self._lock:
            return list(self._exchanges)

    def _keep(self, exchange: Exchange) -> None:
        with self._lock:
            self._exchanges.append(exchange)


class Anonymous:
    """Exchanges without names and secrets. Each name has the same stand-in in all of them.

    Args:
        exchanges: the exchanges.
        vocabulary: the words that stay in texts of this project.
    """

    def __init__(self, exchanges: Sequence[Exchange], vocabulary: Vocabulary = _NO_VOCABULARY) -> None:
        self._exchanges = exchanges
        standins = Standins()
        self._machines = {each.connection: _stand_in(each.connection, standins) for each in exchanges}
        self._rewriter = Rewriter(standins, [connection.password for connection in self._machines], vocabulary)
        for exchange in exchanges:
            self._rewriter.learn(exchange.answer or b"")

    def lines(self) -> Iterator[str]:
        """Yield the lines of a recording: its format and machines, then each exchange in order."""
        yield json.dumps({"format": FORMAT, "machines": list(self._machines.values())})
        for exchange in self._exchanges:
            line = {"machine": self._machines[exchange.connection]["address"], **_written(exchange, self._rewriter)}
            yield json.dumps(line, ensure_ascii=False)

    def answers(self, first: int, last: int) -> list[str]:
        """Return the answers of some exchanges, or their errors."""
        written = (_written(exchange, self._rewriter) for exchange in self._exchanges[first:last])
        return [str(each.get("answer", each.get("error"))) for each in written]

    def message(self, message: bytes) -> str:
        """Return a message that is not one of the exchanges, without names and secrets."""
        return self._rewriter.message(message)

    def text(self, text: str) -> str:
        """Return a text of this project without the names and secrets of the exchanges."""
        return self._rewriter.own_text(text)


class _RecordingPipe:
    """A pipe that passes every exchange to a callback."""

    def __init__(self, connection: Connection, inner: Pipe, keep: Callable[[Exchange], None]) -> None:
        self._connection = connection
        self._inner = inner
        self._keep = keep

    def send(self, context: Context, message: bytes) -> bytes:
        """See `Pipe.send`."""
        begun = time.monotonic()
        try:
            answer = self._inner.send(context, message)
        except AvmaError as error:
            self._keep(Exchange(self._connection, message, None, error, time.monotonic() - begun))
            raise
        self._keep(Exchange(self._connection, message, answer, None, time.monotonic() - begun))
        return answer

    def close(self) -> None:
        """See `Pipe.close`."""
        self._inner.close()


def _stand_in(connection: Connection, standins: Standins) -> dict[str, Any]:
    """Return a recording's entry for a machine: stand-ins for its name, its address and the account."""
    address = standins.address(_ip_address(connection), reached=True)
    standins.name(connection.address)  # the requests contain it
    return {
        "name": standins.name(connection.name),
        "address": address,
        "username": standins.account(connection.username),
    }


def _ip_address(connection: Connection) -> str:
    """Return the IP address of the connection, because the answers of other machines may contain it."""
    try:
        found = socket.getaddrinfo(connection.address, connection.port, type=socket.SOCK_STREAM)
    except OSError:
        return connection.address
    return str(found[0][4][0])


def _written(exchange: Exchange, rewriter: Rewriter) -> dict[str, Any]:
    written: dict[str, Any] = {
        "seconds": round(exchange.seconds, 3),
        "request": rewriter.message(exchange.request),
    }
    if exchange.answer is not None:
        return {**written, "bytes": len(exchange.answer), "answer": rewriter.message(exchange.answer)}
    error = exchange.error
    return {**written, "error": f"{type(error).__name__}: {rewriter.text(error.answer if error else '')}"}
