"""Connection options, the same for every command that connects to machines, and the settings that result from them.

The options are the settings that `avma.configuration` declares. Precedence: command-line option, file, environment
variable (AVMA_* for hosts, AVMA_GUEST_* for guests).
"""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Annotated, Any

import typer

from avma import logs
from avma.configuration import Configuration, GuestDefaults
from avma.environment import complete, from_environment, source_of
from avma.properties import Property, properties, validate
from avma.settings import HostSettings
from avma_cli.exits import Exit, fail
from avma_cli.wording import COMMANDS

Given = Mapping[str, Any]
"""The options on the command line, by the name of their setting. Names of guest settings begin with `guest_`."""

_IN_ENVIRONMENT_ALONE = "password"
"""Other users of the computer can read command lines."""
_GUEST = "guest_"


def set_verbosity(verbosity: int) -> None:
    """Set the level of the log: 0 for warnings, 1 for decisions, 2 for requests as well."""
    logging.getLogger("avma").setLevel((logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)])


def start_log(redact: Callable[[str], str]) -> None:
    """Write the log to standard error, at the level of the verbosity. Warnings of libraries are in it too."""
    logs.to_stderr(redact, logging.getLogger("avma").level)


def connecting(*of_guests: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return a decorator that adds the connection options to a command, and the named options for guests.

    The command receives them in one argument, `given`.
    """
    offered = [_option(prop, "") for prop in properties(HostSettings) if prop.name != _IN_ENVIRONMENT_ALONE]
    offered += [_option(prop, _GUEST) for prop in properties(GuestDefaults) if prop.name in of_guests]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**values: Any) -> None:
            said = {option.name: _plain(values.pop(option.name)) for option in offered}
            command(**values, given={name: value for name, value in said.items() if value is not None})

        own = [each for each in inspect.signature(command, eval_str=True).parameters.values() if each.name != "given"]
        # Typer reads the options from these two attributes.
        vars(run)["__signature__"] = inspect.Signature([*own, *offered])
        run.__annotations__ = {each.name: each.annotation for each in (*own, *offered)}
        return run

    return decorate


def settings(given: Given, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the provider configuration, merged from options, file and environment.

    `written` is the validated configuration in the file.
    """
    of_guest = _named(given, GuestDefaults, _GUEST)
    options = {**_named(given, Configuration), **({"guest": of_guest} if of_guest else {})}
    values = complete(options, complete(written, from_environment(Configuration)))
    failures = validate(Configuration, values)
    if failures:
        named = [source_of(Configuration, failure.path, complete(options, written)) for failure in failures]
        pairs = zip(named, failures, strict=True)
        text = "\n".join(f"{COMMANDS.render(name).replace('`', '')}: {failure.reason}" for name, failure in pairs)
        fail(text, Exit.USAGE, *(failure.topic for failure in failures))
    return values


def _option(prop: Property, prefix: str) -> inspect.Parameter:
    name = f"{prefix}{prop.name}"
    option = name.replace("_", "-")
    words = [f"--{option}", f"--no-{option}"] if prop.type is bool else [f"--{option}"]
    hint: Any = Annotated[prop.type | None, typer.Option("/".join(words), help=_help(prop, prefix))]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=hint)


def _help(prop: Property, prefix: str) -> str:
    sentence = prop.rule.description.partition(". ")[0].rstrip(".")
    if prefix:
        sentence = f"For guests: {sentence[:1].lower()}{sentence[1:]}"
    text = f"{sentence} ({prop.rule.environment[0]}; default: {prop.rule.unset})."
    return COMMANDS.render(text).replace("`", "")


def _named(given: Given, record: type, prefix: str = "") -> dict[str, Any]:
    """Return the properties of a record that have an option on the command line."""
    found = {prop.name: f"{prefix}{prop.name}" for prop in properties(record)}
    return {name: given[option] for name, option in found.items() if option in given}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
