"""The core contains no words of a front end: its texts have parts, which each front end renders (`avma.wording`)."""

from __future__ import annotations

import ast
import dataclasses
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

from avma import explaining, explanations, hresult
from avma.configuration import Configuration
from avma.functions import FUNCTIONS, Function
from avma.inventory.inventory import Inventory
from avma.inventory.request import ClusterRequest, HostRequest
from avma.properties import Choice, properties
from avma.resources import RESOURCES
from avma.resources.resource import Resource
from avma.settings import AddressedSettings
from avma.wording import NEUTRAL, camel_case
from avma_cli.wording import COMMANDS, REPORT
from pulumi_resource_avma.schema import documentation
from pulumi_resource_avma.wording import PULUMI

CORE = Path(__file__).parents[2] / "provider" / "avma"
KINDS: list[Resource | Function] = [*RESOURCES, *FUNCTIONS]
DECLARING: list[type] = [Configuration, Inventory, ClusterRequest, HostRequest]
DECLARING += [record for kind in KINDS for record in (kind.inputs, kind.outputs)]
NAMED_BY_WINDOWS = {"windows/powershell_direct.py": {"hyperV"}}
"""Names that the scripts use too."""


def records(found: type) -> Iterator[type]:
    """Yield a record and those of its properties."""
    yield found
    for prop in properties(found):
        for kind in (prop.type, *typing.get_args(prop.type)):
            if dataclasses.is_dataclass(kind) and isinstance(kind, type):
                yield from records(kind)


RECORDS = list(dict.fromkeys(record for each in DECLARING for record in records(each)))
NAMES = {camel_case(prop.name) for record in RECORDS for prop in properties(record) if "_" in prop.name}
NAMES |= {camel_case(function.name) for function in FUNCTIONS}
OPTIONS = ("customTimeouts", "dependsOn", "--target", "--replace", "--refresh")
WORDS = re.compile(
    rf"(?i:pulumi)|\b(?:{'|'.join(sorted(NAMES))})\b|\b[Tt]ry again\b|\b[Rr]un again\b|{'|'.join(OPTIONS)}"
)
SETTING = re.compile(rf"`(?:[a-z]+\.)?(?:{'|'.join(prop.name for prop in properties(AddressedSettings))})(?::[^`]*)?`")


def literals(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each string literal that is no docstring."""
    tree = ast.parse(source)
    statements = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in statements:
            yield node.lineno, node.value


@pytest.mark.parametrize("module", sorted(CORE.rglob("*.py")), ids=lambda module: str(module.relative_to(CORE)))
def test_no_literal_has_words_of_a_front_end(module: Path) -> None:
    path = module.relative_to(CORE).as_posix()
    allowed = NAMED_BY_WINDOWS.get(path, set()) | ({"run again"} if path == "wording.py" else set())
    found = [
        f"{path}:{line}: {word}"
        for line, text in literals(module.read_text("utf-8"))
        for word in WORDS.findall(text)
        if word not in allowed
    ]
    assert found == []


@pytest.mark.parametrize("module", sorted(CORE.rglob("*.py")), ids=lambda module: str(module.relative_to(CORE)))
def test_no_literal_names_a_setting_that_a_command_has_as_an_option(module: Path) -> None:
    assert [text for _, text in literals(module.read_text("utf-8")) if SETTING.search(text)] == []


def texts() -> Iterator[str]:
    """Yield all texts of the core that do not depend on a machine."""
    for section in (*explanations.kinds(), *explanations.admin_center(), *explanations.codes()):
        yield f"{section.title}\n{section.text}"
    yield from (code.remedy for code in hresult.codes())
    for kind in KINDS:
        yield kind.description
    for record in RECORDS:
        for prop in properties(record):
            yield f"{prop.rule.description} {prop.rule.unset} {prop.rule.unit}"
            if isinstance(prop.type, type) and issubclass(prop.type, Choice):
                yield from (member.description for member in prop.type)


def test_no_mark_is_left_in_a_rendered_text() -> None:
    marks = re.compile("[\ufdd0-\ufdef]")
    for words in (NEUTRAL, PULUMI, COMMANDS, REPORT):
        assert not [text for text in texts() if marks.search(words.render(text))]
    assert not [prop for record in RECORDS for prop in properties(record) if marks.search(documentation(prop))]
    assert not [name for name in explanations.names() if marks.search(explaining.explain([name], PULUMI).text)]


def test_a_reference_to_a_property_names_one_that_exists() -> None:
    reference = re.compile("\ufdd0\ufdd3?setting\ufdd1([^\ufdd1\ufdd2]+)")
    known = {prop.name for record in RECORDS for prop in properties(record)}
    found = {path for text in texts() for path in reference.findall(text)}
    assert found
    assert {path for path in found if not known.issuperset(path.split("."))} == set()
