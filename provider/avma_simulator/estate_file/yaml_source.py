"""A YAML file as plain data with the line of each value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from avma_simulator.fields import Location


class _Loader(yaml.SafeLoader):
    """A loader for `on`, `off`, `yes`, `no`, dates and `12:30` as text, as in YAML 1.2 but not in PyYAML."""


_LIKE_1_1 = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:int"}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in _LIKE_1_1]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_BOOLEAN = re.compile("(?:true|True|TRUE|false|False|FALSE)$")
_WHOLE_NUMBER = re.compile("(?:[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+)$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", _BOOLEAN, list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _WHOLE_NUMBER, list("-+0123456789"))


@dataclass(frozen=True)
class Mistake:
    """A mistake in a file, with its line and field."""

    line: int
    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.line}: {self.field}: {self.text}" if self.field else f"{self.line}: {self.text}"


class FileError(Exception):
    """A file cannot be used. The text gives the reasons, one line for each mistake."""

    def __init__(self, path: Path, mistakes: list[Mistake], text: str = "") -> None:
        self.mistakes = mistakes
        lines = [f"{path}:{mistake}" for mistake in sorted(mistakes, key=lambda mistake: mistake.line)]
        super().__init__("\n".join(lines) if lines else f"{path}: {text}")


@dataclass(frozen=True)
class YamlSource:
    """A parsed file: its data, and the node tree with the lines."""

    path: Path
    data: Any
    _root: yaml.Node

    def mistake(self, location: Location, text: str) -> Mistake:
        """Return a mistake at the field `location`. If the file does not contain it, use its nearest parent."""
        return Mistake(_line(self._root, location), dotted(location), text)


def read(path: Path) -> YamlSource:
    """Read a YAML file.

    Raises:
        FileError: the file cannot be read, is not YAML, is empty, or repeats a field.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FileError(path, [], f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise FileError(path, [], "is not UTF-8 text") from None
    loader = _Loader(text)
    try:
        return _source(path, loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise FileError(path, [Mistake(line, "", f"is not YAML: {error.problem}")]) from None
    except (yaml.YAMLError, ValueError) as error:
        raise FileError(path, [], f"is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise FileError(path, [], "is nested too deeply, or an alias contains itself") from None
    finally:
        loader.dispose()


def dotted(location: Location) -> str:
    """Return a location in the form `hosts[0].vms[1].name`."""
    written = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return written.removeprefix(".")


def _source(path: Path, loader: yaml.SafeLoader) -> YamlSource:
    root = loader.get_single_node()
    if root is None:
        raise FileError(path, [], "is empty")
    # This must happen before construction, which replaces merge keys (`<<`) with their fields.
    repeated = [Mistake(line, field, "is declared twice") for line, field in _repeated(root, ())]
    if repeated:
        raise FileError(path, repeated)
    return YamlSource(path, loader.construct_document(root), root)


def _repeated(node: yaml.Node, location: Location) -> Iterator[tuple[int, str]]:
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _repeated(item, (*location, index))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            here = (*location, str(key.value))
            if key.value in seen:
                yield key.start_mark.line + 1, dotted(here)
            seen.add(key.value)
            yield from _repeated(value, here)


def _line(node: yaml.Node, location: Location) -> int:
    line = node.start_mark.line + 1
    for part in location:
        found = _child(node, part)
        if found is None:
            return line
        marked, node = found
        line = marked.start_mark.line + 1
    return line


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in reversed(node.value) if key.value == part), None)
    return None
