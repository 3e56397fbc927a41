"""The conversion of the core's changes to the engine's DiffResponse.

In `diffs` and `replaces`, the engine expects each top-level property once. The detailed diff selects the side of the
old value: inputs or outputs. An update compares with inputs, and a refresh compares two states.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from avma.properties import Property, by_name
from pulumi_resource_avma.protocol import provider_pb2 as pb

if TYPE_CHECKING:
    from avma.resources.resource import Change

Values = Mapping[str, Any]

_KINDS = {
    ("add", False): pb.PropertyDiff.ADD,
    ("add", True): pb.PropertyDiff.ADD_REPLACE,
    ("delete", False): pb.PropertyDiff.DELETE,
    ("delete", True): pb.PropertyDiff.DELETE_REPLACE,
    ("update", False): pb.PropertyDiff.UPDATE,
    ("update", True): pb.PropertyDiff.UPDATE_REPLACE,
}


def response(changes: Iterable[Change], old: Values, new: Values, ignored: Sequence[str] = ()) -> pb.DiffResponse:
    """Return the changes from old to new inputs, without changes that the user ignores."""
    shown: dict[str, Change] = {}
    for change in changes:
        if not _is_ignored(change.path, ignored):
            path = change.path if change.drift else _shown_path(change.path, old, new)
            shown[path] = _merged(shown.get(path), change)
    return pb.DiffResponse(
        changes=pb.DiffResponse.DIFF_SOME if shown else pb.DiffResponse.DIFF_NONE,
        diffs=_top_level(shown),
        replaces=_top_level(path for path, change in shown.items() if change.replaces),
        detailedDiff={path: _property_diff(path, change, old, new) for path, change in shown.items()},
        hasDetailedDiff=True,
        # The old and the new resource can be on the same machine under different names. The old one must be deleted
        # first, because a later deletion would undo the work of the new one.
        deleteBeforeReplace=any(change.replaces for change in shown.values()),
    )


def of_refresh(before: Values, after: Values, ignored: Sequence[str] = ()) -> pb.DiffResponse:
    """Return the outputs that a refresh has changed from `before` to `after`, without changes that the user ignores.

    The engine asks for the way back from the machine to the state, and shows the response in reverse.
    """
    found = {path: kind for path, kind in _differences(after, before, "") if not _is_ignored(path, ignored)}
    return pb.DiffResponse(
        changes=pb.DiffResponse.DIFF_SOME if found else pb.DiffResponse.DIFF_NONE,
        diffs=_top_level(found),
        detailedDiff={path: pb.PropertyDiff(kind=_KINDS[kind, False]) for path, kind in found.items()},
        hasDetailedDiff=True,
    )


def settled(record: type, values: Values) -> dict[str, Any]:
    """Return values without those that change by themselves (`volatile`), also inside of lists of records."""
    declared = by_name(record)
    return {
        name: _settled_items(declared[name], value) if name in declared else value
        for name, value in values.items()
        if name not in declared or not declared[name].rule.volatile
    }


def _settled_items(prop: Property, value: Any) -> Any:
    record = prop.item.record if prop.collection is list else None
    return [settled(record, each) for each in value] if record is not None and isinstance(value, list) else value


def _differences(old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path and the kind of each difference, as deep as both sides have the same structure."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(name), new.get(name), f"{path}.{name}".removeprefix("."))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _list_differences(old, new, path)
    elif old != new:
        yield path, _kind(old, new)


def _list_differences(old: list[Any], new: list[Any], path: str) -> Iterator[tuple[str, str]]:
    """Yield the differences of two lists. An item between others is one difference, although the others move."""
    removed: set[int] = set()
    added: set[int] = set()
    matcher = SequenceMatcher(None, _hashable(old), _hashable(new), autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            continue
        # A path has one index for both lists. Items can only be compared if they are at the same place.
        pairs = min(end - start, new_end - new_start) if start == new_start else 0
        for index in range(start, start + pairs):
            yield from _differences(old[index], new[index], f"{path}[{index}]")
        removed.update(range(start + pairs, end))
        added.update(range(new_start + pairs, new_end))
    for index in sorted(removed | added):
        both = index in removed and index in added
        yield f"{path}[{index}]", "update" if both else "delete" if index in removed else "add"


def _hashable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return frozenset((name, _hashable(each)) for name, each in value.items() if each is not None)
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _is_ignored(path: str, ignored: Sequence[str]) -> bool:
    return any(_covers(each, path) for each in ignored)


def _covers(ignored: str, path: str) -> bool:
    """Return True if an entry of `ignoreChanges` names the path or one of its parents."""
    return ignored == "*" or path == ignored or path.startswith((f"{ignored}.", f"{ignored}["))


def _shown_path(path: str, old: Values, new: Values) -> str:
    """Shorten a path to the deepest object on both sides.

    One side may not be an object, for example JSON text in a configuration. The engine cannot show a deeper path there.
    """
    steps = path.split(".")
    for depth in range(1, len(steps)):
        if not all(isinstance(_at(side, steps[:depth]), Mapping) for side in (old, new)):
            return ".".join(steps[:depth])
    return path


def _merged(seen: Change | None, change: Change) -> Change:
    if seen is None:
        return change
    return replace(change, replaces=seen.replaces or change.replaces, drift=seen.drift and change.drift)


def _property_diff(path: str, change: Change, old: Values, new: Values) -> pb.PropertyDiff:
    """Return the difference at a path.

    The engine takes the new value from the inputs, also for drift. It would show an output as removed, and below a list
    of outputs the whole list. If it must take the old value from the inputs too, it shows the path alone.
    """
    if change.drift:
        return pb.PropertyDiff(kind=_KINDS["update", change.replaces], inputDiff=path not in new)
    steps = path.split(".")
    return pb.PropertyDiff(kind=_KINDS[_kind(_at(old, steps), _at(new, steps)), change.replaces], inputDiff=True)


def _kind(before: Any, after: Any) -> str:
    if (before is None) == (after is None):
        return "update"
    return "delete" if after is None else "add"


def _at(values: Any, steps: Sequence[str]) -> Any:
    for step in steps:
        values = values.get(step) if isinstance(values, Mapping) else None
    return values


def _top_level(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(re.split(r"[.\[]", path, maxsplit=1)[0] for path in paths))
