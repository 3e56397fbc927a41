"""The parts of a text that each front end words in its own way: names of properties, and the next steps of the user.

The core puts parts into its texts, and a front end replaces them before a text leaves it:

    f"set {setting('guest.ready_timeout')}, then {RUN_AGAIN}"
    neutral: "set `guest.ready_timeout`, then run again"
    Pulumi:  "set `guest.readyTimeout`, then run the same `pulumi` command again"

A part is a `str`, so it works in f-strings, constants and declarations. Its marks are noncharacters, which Unicode
reserves for the inside of a program. `avma.redaction.Redactor` renders all texts that leave a front end. Call
`Wording.render` for the other ones, such as schemas and help. To name properties in errors, use their Python names.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

_BEGIN, _SEPARATOR, _END = "\ufdd0", "\ufdd1", "\ufdd2"
_CAPITAL = "\ufdd3"
_PART = re.compile(f"{_BEGIN}({_CAPITAL}?)([^{_BEGIN}{_END}]*){_END}")
_MARK = re.compile(f"[{_BEGIN}{_SEPARATOR}{_END}{_CAPITAL}]")
_SETTING, _FUNCTION = "setting", "function"


def _phrase(neutral: str, *arguments: str) -> str:
    """Return a part: a neutral text, and the argument for its braces."""
    return f"{_BEGIN}{_SEPARATOR.join((neutral, *arguments))}{_END}"


def setting(path: str, value: object = None, variable: str | None = None) -> str:
    """Return a reference to a property: its path of Python names, and a value to set, if there is one.

    `setting("guest.https", False)` is `guest.https: false` in backticks. `variable` is the environment variable of its
    current value.
    """
    words = () if value is None else (_written(value),)
    part = _phrase(_SETTING, path, *words)
    return part if variable is None else f"{part} (from {variable})"


def function(name: str) -> str:
    """Return a reference to a function of the provider, by its Python name."""
    return _phrase(_FUNCTION, name)


_INSTALL = "install the extra `{}` of the Python package"
INSTALL_EXTRA = _phrase(_INSTALL)
"""The key of `install_extra` in `Wording.phrases`."""


def install_extra(extra: str) -> str:
    """Return an imperative: install an extra of the Python package."""
    return _phrase(_INSTALL, extra)


RUN_AGAIN = _phrase("run again")
"""An imperative. Use it for every second attempt by the user."""
CONTINUE = f"{RUN_AGAIN} to continue from the current state"
APPLY = _phrase("apply the change")
"""An imperative."""
NEXT_RUN = _phrase("the next run")
"""A noun: the next run that applies the program."""
REFRESH = _phrase("refresh the state")
"""An imperative."""
RUN_OTHERS = _phrase("run only the other resources")
"""An imperative: leave one resource out of the run."""
REPLACE = _phrase("replace this resource")
"""An imperative."""
ALLOW_MORE_TIME = _phrase("allow more time")
"""An imperative: the operation needs a longer time limit."""
TIME_LIMIT = _phrase("the time limit of the operation")
"""A noun: the setting of the time limit of one operation."""
_PLACES = " in the settings of the provider, in its `{}`, or in the environment ({})"
WHERE_TO_SET = _phrase(_PLACES)
"""The key of `where_to_set` in `Wording.phrases`."""


def where_to_set(section: str, variables: str) -> str:
    """Return an adverbial with a space before it: the places of some settings.

    `section` is their record on a resource. `variables` are their environment variables.
    """
    return _phrase(_PLACES, section, variables)


ONLY_FORGETS = _phrase("only the state forgets the resource")
"""A sentence without its capital letter and period: deletion changes no machine."""
DEPEND_ON_IT = _phrase("create it before this resource")
"""An imperative: order another resource before this one."""
CONFIGURATION = _phrase("the configuration of the provider")
"""A noun: the place of settings outside of the program."""
SHOW_VERSIONS = _phrase("compare their versions")
"""An imperative: find out the versions of the SDK and the provider."""
STACK_OUTPUTS = _phrase("the outputs of a program as JSON")
"""A noun."""
STACK_EXPORT = _phrase("an export of the state")
"""A noun."""


@functools.cache
def camel_case(name: str) -> str:
    """Convert `product_key` to `productKey`."""
    head, *tail = name.split("_")
    return head + "".join(word.capitalize() for word in tail)


def capitalized(text: str) -> str:
    """Return a text with a capital letter. If it begins with a part, the part begins with one when it is rendered."""
    if text.startswith(_BEGIN):
        return f"{_BEGIN}{_CAPITAL}{text[1:].removeprefix(_CAPITAL)}"
    return text[:1].upper() + text[1:]


def phrases() -> dict[str, str]:
    """Return all phrases by the name of their constant."""
    return {name: value for name, value in globals().items() if name.isupper() and _PART.fullmatch(str(value))}


@dataclass(frozen=True)
class Wording:
    """The words of one front end.

    Attributes:
        phrases: the front end's text for each phrase, by its constant. A missing phrase stays neutral.
        setting: returns the text for the path and the value of a property. The value is a text, or None.
        function: returns the name of a function.
    """

    phrases: Mapping[str, str] = field(default_factory=dict)
    setting: Callable[[str, str | None], str] = lambda path, value: _quoted(path, value)
    function: Callable[[str], str] = lambda name: name

    def render(self, text: str) -> str:
        """Return the text in the words of the front end. A text without parts stays the same."""
        return _MARK.sub("", _PART.sub(self._rendered, text))

    def _rendered(self, part: re.Match[str]) -> str:
        capital, content = part.groups()
        text = self._text(*content.split(_SEPARATOR))
        return capitalized(text) if capital else text

    def _text(self, kind: str, argument: str = "", value: str | None = None, *_: str) -> str:
        if kind == _SETTING:
            return self.setting(argument, value)
        if kind == _FUNCTION:
            return f"`{self.function(argument)}`"
        return self.phrases.get(_phrase(kind), kind).replace("{}", argument, 1).replace("{}", value or "")


NEUTRAL = Wording()
"""The words of the core: Python names, and no commands."""


def _quoted(path: str, value: str | None) -> str:
    return f"`{path}`" if value is None else f"`{path}: {value}`"


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value.value if isinstance(value, Enum) else value)
