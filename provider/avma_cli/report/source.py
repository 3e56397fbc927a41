"""Reads the source of a report: a host list (YAML), or the outputs or the export of a Pulumi stack (JSON).

All three become the same plain values. The declared properties of `avma.inventory.request` validate them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from avma import topics
from avma.configuration import Configuration
from avma.inventory.request import ClusterRequest, HostRequest
from avma.properties import InvalidProperty, build
from avma_cli.report import stack
from pulumi_resource_avma.names import checked
from pulumi_resource_avma.wording import PULUMI

STDIN = Path("-")
_PARTS = ("settings", "hosts", "clusters")
_NOTHING = (
    "lists no hosts and no clusters. Add `hosts` or `clusters` to the host list, add outputs with these names to the "
    "stack, or pass the output of `pulumi stack export`"
)


class SourceError(Exception):
    """A source is unusable. The text has one line per mistake, and `topics` explain the mistakes."""

    def __init__(self, text: str, failures: Sequence[InvalidProperty] = ()) -> None:
        super().__init__(text)
        self.topics = [failure.topic for failure in failures] or [topics.HOST_LIST]


@dataclass(frozen=True)
class Source:
    """The hosts and clusters to read. `settings` are validated values of the provider configuration."""

    name: str
    settings: dict[str, Any]
    hosts: tuple[HostRequest, ...]
    clusters: tuple[ClusterRequest, ...]


def read(path: Path) -> Source:
    """Read a file, or standard input if the path is `-`.

    Raises:
        SourceError: the file cannot be read, or is not a usable source.
    """
    name = "standard input" if path == STDIN else str(path)
    return parse(_text(path, name), name)


def parse(text: str, name: str) -> Source:
    """Read the text of a source. Errors contain `name`.

    Raises:
        SourceError: the text is not a usable source.
    """
    values = _parts(text, name)
    settings, failures = _settings(values["settings"])
    hosts = list(_entries(values["hosts"], HostRequest, "hosts", "host", failures))
    clusters = list(_entries(values["clusters"], ClusterRequest, "clusters", "cluster", failures))
    if failures:
        text = "\n".join(f"{name}: {failure.path}: {failure.reason}" for failure in failures)
        raise SourceError(PULUMI.render(text), failures)
    if not hosts and not clusters:
        raise SourceError(f"{name}: {_NOTHING}")
    return Source(
        name,
        settings,
        tuple(build(HostRequest, each) for each in hosts),
        tuple(build(ClusterRequest, each) for each in clusters),
    )


def _text(path: Path, name: str) -> str:
    try:
        return sys.stdin.read() if path == STDIN else path.read_text(encoding="utf-8")
    except OSError as error:
        raise SourceError(f"{name}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SourceError(f"{name}: is not UTF-8 text") from None


def _parts(text: str, name: str) -> dict[str, Any]:
    """Return settings, hosts and clusters. JSON comes from Pulumi, so other keys in it are ignored."""
    try:
        document = json.loads(text)
    except ValueError:
        return _complete(_host_list(text, name))
    if isinstance(document, Mapping) and "deployment" in document:
        return _complete(stack.estate(document))
    outputs = document if isinstance(document, Mapping) else {}
    return _complete({part: outputs[part] for part in _PARTS if part in outputs})


def _complete(values: Mapping[str, Any]) -> dict[str, Any]:
    defaults: dict[str, Any] = {"settings": {}, "hosts": [], "clusters": []}
    return {part: default if values.get(part) is None else values[part] for part, default in defaults.items()}


def _host_list(text: str, name: str) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"{mark.line + 1}: " if mark else " "
        raise SourceError(f"{name}:{line}is not YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(document, Mapping):
        raise SourceError(f"{name}: must be a host list with {', '.join(f'`{part}`' for part in _PARTS)}")
    unknown = [str(part) for part in document if part not in _PARTS]
    if unknown:
        lines = (f"{name}: {part}: is not a key of a host list. Use {', '.join(_PARTS)}" for part in unknown)
        raise SourceError("\n".join(lines))
    return document


def _settings(values: Any) -> tuple[dict[str, Any], list[InvalidProperty]]:
    if not isinstance(values, Mapping):
        reason = "must be an object with settings of the provider configuration"
        return {}, [InvalidProperty("settings", reason, topics.HOST_LIST)]
    return checked(values, Configuration, "settings")


def _entries(
    values: Any, record: type, part: str, key: str, failures: list[InvalidProperty]
) -> Iterator[dict[str, Any]]:
    """Yield the entries of a list. A plain text is the name of the host or cluster."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        failures.append(InvalidProperty(part, "must be a list", topics.HOST_LIST))
        return
    for index, value in enumerate(values):
        entry = {key: value} if isinstance(value, str) else value
        path = f"{part}[{index}]"
        if not isinstance(entry, Mapping):
            failures.append(InvalidProperty(path, f"must be a name or an object with `{key}`", topics.HOST_LIST))
            continue
        found, wrong = checked(entry, record, path)
        failures += wrong
        if not wrong:
            yield found
