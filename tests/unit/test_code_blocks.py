"""The pages contain valid code blocks, and only existing settings and variables."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_powershell
import typer
import yaml
from markdown_it import MarkdownIt

from avma.configuration import Configuration, Guest, GuestDefaults
from avma.functions import FUNCTIONS, Function
from avma.properties import UNKNOWN, InvalidProperty, properties
from avma.resources import RESOURCES
from avma.resources.resource import Resource
from avma.settings import AddressedSettings
from avma.wording import camel_case
from avma_cli.__main__ import app
from pulumi_resource_avma.names import internal, misnamed

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
COMMANDS = vars(typer.main.get_command(app))["commands"]
SETTINGS = {camel_case(prop.name) for prop in properties(Configuration)}
GUEST_SETTINGS = {camel_case(prop.name) for prop in properties(GuestDefaults)}
VARIABLES = {name for prop in properties(Configuration) for name in prop.rule.environment}
GUEST_VARIABLES = {name for prop in properties(GuestDefaults) for name in prop.rule.environment}


def blocks(language: str) -> list[Any]:
    """Return the blocks in that language, with the names of their pages."""
    found = []
    for page in PAGES:
        fences = (token for token in MarkdownIt().parse(page.read_text("utf-8")) if token.type == "fence")
        texts = [token.content for token in fences if token.info == language]
        found += [pytest.param(text, id=f"{page.relative_to(ROOT)}-{index}") for index, text in enumerate(texts)]
    assert found
    return found


def with_unknown(value: Any) -> Any:
    """Return a program's value with UNKNOWN instead of computed parts."""
    if isinstance(value, dict):
        return {name: with_unknown(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [with_unknown(inner) for inner in value]
    return UNKNOWN if isinstance(value, str) and "${" in value else value


def failures(kind: Resource | Function, written: dict[str, Any]) -> list[InvalidProperty]:
    """Return what is wrong with the inputs of a resource or function in a program."""
    values = with_unknown(written)
    return [*misnamed(values, kind.inputs), *kind.check(internal(values, kind.inputs))]


@pytest.mark.parametrize("text", blocks("yaml"))
def test_resources_in_yaml_are_valid(text: str) -> None:
    program = yaml.safe_load(text)
    resources = {f"avma:{kind.name}": kind for kind in RESOURCES}
    for declared in program.get("resources", {}).values():
        assert failures(resources[declared["type"]], declared["properties"]) == []
    functions = {f"avma:{camel_case(kind.name)}": kind for kind in FUNCTIONS}
    for variable in program.get("variables", {}).values():
        if isinstance(variable, dict) and "fn::invoke" in variable:
            call = variable["fn::invoke"]
            assert failures(functions[call["function"]], call["arguments"]) == []


@pytest.mark.parametrize("text", blocks("python"))
def test_python_is_python(text: str) -> None:
    ast.parse(text)


@pytest.mark.parametrize("text", blocks("powershell"))
def test_powershell_is_powershell(text: str) -> None:
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    assert not parser.parse(text.encode()).root_node.has_error


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command in a block.

    If lines begin with `$ `, only these lines are commands, and the others are output.
    """
    lines = text.replace("\\\n", " ").splitlines()
    typed = [line[2:] for line in lines if line.startswith("$ ")] or lines
    for part in (part for line in typed for part in re.split(r"\||&&|;", line)):
        words = shlex.split(part, comments=True)
        while words and re.fullmatch(r"\w+=\S*", words[0]):
            words.pop(0)
        if words:
            yield words


@pytest.mark.parametrize("text", [*blocks("console"), *blocks("sh")])
def test_commands_have_the_options_targets_and_settings_that_they_name(text: str) -> None:
    for words in commands(text):
        if words[0] == "avma" and words[1] in COMMANDS:
            options = {name for param in COMMANDS[words[1]].params for name in (*param.opts, *param.secondary_opts)}
            assert {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"} <= options
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= TARGETS
        for setting in (word for word in words if word.startswith("avma:") and words[1:3] == ["config", "set"]):
            assert_is_a_setting(setting)


def assert_is_a_setting(name: str) -> None:
    path = name.removeprefix("avma:").split(".")
    assert path[0] in SETTINGS, name
    assert len(path) == 1 or (path[0] == "guest" and path[1] in GUEST_SETTINGS), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_settings_and_variables_that_are_named_exist(page: Path) -> None:
    text = page.read_text("utf-8")
    for name in re.findall(r"`avma:([a-z]\w*(?:\.\w+)?)`", text):
        assert_is_a_setting(name)
    for name in re.findall(r"`guest\.(\w+)`", text):
        assert name in GUEST_SETTINGS | {camel_case(prop.name) for prop in properties(Guest)}, name
    for name in re.findall(r"`connection\.(\w+)`", text):
        assert name in {camel_case(prop.name) for prop in properties(AddressedSettings)}, name
    for name in re.findall(r"\bAVMA_[A-Z_]*[A-Z]", text):
        assert name in VARIABLES | GUEST_VARIABLES | {"AVMA_GUEST", "AVMA_USER", "AVMA_USER_PASSWORD"}, name
