"""Files that commands write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from avma_cli.exits import Exit, fail

if TYPE_CHECKING:
    from avma.recording.recorder import Recorder


def write_file(option: str, path: Path, text: str) -> None:
    """Write a text to the file of an option. If that fails, end the command."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"{option}: cannot write {path}: {error.strerror}", Exit.WRONG)


@contextmanager
def written_recording(recorder: Recorder, path: Path | None) -> Iterator[None]:
    """Write the recording at the end, even after an error. Fail before the start if the file cannot be written."""
    if path is None:
        yield
        return
    try:
        file = path.open("x", encoding="utf-8")
    except FileExistsError:
        fail(f"--record: {path} already exists. Choose a new file")
    except OSError as error:
        fail(f"--record: cannot write {path}: {error.strerror}")
    with file:
        try:
            yield
        finally:
            file.writelines(f"{line}\n" for line in recorder.lines())
