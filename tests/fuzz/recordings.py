"""Fuzz targets for recordings.

A written recording can always be read. Any file is rejected or served, and every recorded request has an answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from defusedxml.ElementTree import fromstring
from pydantic import ValidationError

from avma.connection import Connection
from avma.context import Context
from avma.deadline import Deadline
from avma.recording.envelope import NOT_XML, Rewriter
from avma.recording.recorder import Recorder
from avma.recording.standins import Standins
from avma_simulator import recording
from avma_simulator.clock import Clock
from avma_simulator.estate_file.yaml_source import FileError
from avma_simulator.recording import Recording
from avma_simulator.replay import ReplayService, estate_of
from avma_simulator.state.estate_state import EstateState
from avma_simulator.wsman import soap

_OF_A_FILE = 4
"""The number of exchanges in an altered file. Further ones would be cut off before an alteration."""


class _Saying:
    """A pipe with an answer for each message."""

    def __init__(self, answers: Mapping[bytes, bytes]) -> None:
        self._answers = answers

    def send(self, context: Context, message: bytes) -> bytes:
        return self._answers[message]

    def close(self) -> None:
        pass


def recorded(connection: Connection, exchanges: Mapping[bytes, bytes]) -> list[bytes]:
    """Return the lines of a recording with these exchanges."""
    recorder = Recorder(lambda _: _Saying(exchanges))
    pipe = recorder.pipe(connection)
    for message in exchanges:
        pipe.send(Context("ask", "hv01", Deadline(60)), message)
    return [line.encode() for line in recorder.lines()]


def written(message: bytes) -> None:
    """Write a message for a recording, once as a message and once as a sentence."""
    rewriter = Rewriter(Standins(), ["Pa55w.rd"])
    rewriter.learn(message)
    text = rewriter.message(message)
    if text != NOT_XML:
        fromstring(text, forbid_dtd=True)
    rewriter.text(message.decode(errors="replace")).encode()


class Replayed:
    """A replayed recording, and the reader of other files."""

    def __init__(self, lines: list[bytes], folder: Path) -> None:
        self._file = folder / "recording.jsonl"
        self.seed = b"\n".join(lines[: 1 + _OF_A_FILE])
        whole = self._loaded(b"\n".join(lines))
        state = EstateState(estate_of(whole, "", "replay", 5985), Clock())
        self._service = ReplayService(whole, state.machines[0], state)
        self._loop = asyncio.new_event_loop()

    def close(self) -> None:
        """Close the event loop."""
        self._loop.close()

    def load(self, content: bytes) -> None:
        """Read a file, and create the estate for its replay."""
        with suppress(FileError, ValidationError):
            EstateState(estate_of(self._loaded(content), "", "replay", 5985), Clock())

    def reply(self, message: bytes) -> None:
        """Answer any bytes from the recording, or with a fault."""
        reply = self._loop.run_until_complete(self._service.reply(message))
        assert reply.status in (200, 500)
        fault = fromstring(reply.message).find(f".//{{{soap.NAMESPACES['s']}}}Fault")
        assert (reply.status == 500) == (fault is not None)

    def _loaded(self, content: bytes) -> Recording:
        self._file.write_bytes(content)
        return recording.load(self._file)


@contextmanager
def replayed(lines: list[bytes]) -> Iterator[Replayed]:
    """Yield a replayed recording, until the block ends."""
    with TemporaryDirectory() as folder:
        made = Replayed(lines, Path(folder))
        yield made
        made.close()
