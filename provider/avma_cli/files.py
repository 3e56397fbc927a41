"""Files that commands write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from avma_cli.exits import Exit, fail

if TYPE_CHECKING:
    from avma.recording.recorder import Recorder


def write_file(option: str, path: Path, text: str) -> None:
    """Write a text to the file of an option. If that fails, end the command."""
    write_files({option: (path, text)})


def write_files(texts: Mapping[str, tuple[Path, str]]) -> None:
    """Write the texts to the files of options. If some fail, write the others, and end the command."""
    failures = []
    for option, (path, text) in texts.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            failures.append(f"{option}: cannot write {path}: {error.strerror}")
    if failures:
        fail("\n".join(failures), Exit.WRONG)


@contextmanager
def writable(paths: Mapping[str, Path | None]) -> Iterator[None]:
    """Fail before the block if a file of an option cannot be written.

    A file that is still empty after the block is removed if it is new.
    """
    given = {option: path for option, path in paths.items() if path is not None}
    new = [path for path in given.values() if not path.exists()]
    try:
        for option, path in given.items():
            try:
                path.open("a", encoding="utf-8").close()
            except OSError as error:
                fail(f"{option}: cannot write {path}: {error.strerror}")
        yield
    finally:
        for path in new:
            if path.is_file() and path.stat().st_size == 0:
                path.unlink()


def distinct(paths: Mapping[str, Path | None]) -> None:
    """Fail if two options have the same file."""
    options: dict[Path, str] = {}
    for option, path in paths.items():
        other = option if path is None else options.setdefault(path.resolve(), option)
        if other != option:
            fail(f"{option}: {path} is also the file of {other}. Choose another file")


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
    try:
        yield
    finally:
        try:
            with file:
                file.writelines(f"{line}\n" for line in recorder.lines())
        except OSError as error:
            fail(f"--record: cannot write {path}: {error.strerror}", Exit.WRONG)
