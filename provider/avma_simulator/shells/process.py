"""One process of a remote shell: its input, its output and its exit code."""

from __future__ import annotations

import asyncio
import codecs
import logging
from collections.abc import Awaitable, Callable

STREAMS = ("stdout", "stderr")
_UTF8_CODE_PAGE = 65001
_KILLED = 1
_LOG = logging.getLogger("avma_simulator")


class Console:
    """The console of a program: text input and output in the code page of the shell."""

    def __init__(self, code_page: int) -> None:
        self._codec = _codec(code_page)
        self._input = bytearray()
        self._ended = False
        self._output = {name: bytearray() for name in STREAMS}
        self._changed = asyncio.Event()

    def feed(self, data: bytes, end: bool) -> None:
        """Add input for the program."""
        self._input += data
        self._ended = self._ended or end
        self._changed.set()

    @property
    def pending(self) -> int:
        """The number of input bytes so far."""
        return len(self._input)

    async def read(self) -> str:
        """Return the input as soon as it has ended or contains a line.

        Bytes outside of the code page are lost, as in Windows.
        """
        while not self._ended and b"\n" not in self._input:
            self._changed.clear()
            await self._changed.wait()
        return self._input.decode(self._codec, errors="replace")

    def write(self, text: str, stream: str = "stdout") -> None:
        """Write text to a stream."""
        self._output[stream] += text.encode(self._codec, errors="replace")
        self._changed.set()

    def take(self, most: int) -> dict[str, bytes]:
        """Return new output, at most `most` bytes of each stream."""
        taken = {name: bytes(pending[:most]) for name, pending in self._output.items() if pending}
        for name, data in taken.items():
            del self._output[name][: len(data)]
        return taken

    @property
    def silent(self) -> bool:
        """Whether there is no output to take."""
        return not any(self._output.values())

    async def change(self) -> None:
        """Wait for the next change."""
        self._changed.clear()
        await self._changed.wait()

    def wake(self) -> None:
        """Signal a change."""
        self._changed.set()


Program = Callable[[Console], Awaitable[int]]


class Process:
    """A running program and its console."""

    def __init__(self, program: Program, code_page: int) -> None:
        self.console = Console(code_page)
        self.exit_code: int | None = None
        self._task = asyncio.ensure_future(self._run(program))

    async def output(self, most: int) -> dict[str, bytes]:
        """Return output as soon as there is some, or an empty dict after the end of the output."""
        while self.console.silent and self.exit_code is None:
            await self.console.change()
        return self.console.take(most)

    @property
    def ended(self) -> bool:
        """Whether the program has ended and its output is read completely."""
        return self.exit_code is not None and self.console.silent

    async def kill(self) -> None:
        """Kill the program."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self, program: Program) -> None:
        code = _KILLED
        try:
            code = await program(self.console)
        except Exception as error:
            _LOG.error("a script failed with an unexpected error: %s", type(error).__name__)
        finally:
            self.exit_code = code
            self.console.wake()


def _codec(code_page: int) -> str:
    if code_page == _UTF8_CODE_PAGE:
        return "utf-8"
    try:
        return codecs.lookup(f"cp{code_page}").name
    except LookupError:
        return "cp437"
