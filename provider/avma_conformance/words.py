"""The words of the suite: everything that its source writes into reports, and the words of Windows itself.

A report shows these words even if the machine, a VM or an account has one of them as a name. Without that, a machine
whose vendor is Microsoft Corporation would make this name unreadable in each expected value.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from functools import cache
from importlib import import_module
from types import CodeType, FunctionType, ModuleType
from typing import Any

import avma_conformance
from avma import compatibility, errors
from avma.recording.vocabulary import Vocabulary
from avma.windows import hyperv, licensing
from avma_conformance.fact import Fact

_OF_WINDOWS = (
    "Microsoft Corporation Windows Server Datacenter Standard Essentials Azure Edition Stack HCI Local Evaluation Core "
    "Hyper-V Virtual Machine WinRM WMI Provider PowerShell Operating System Sender Receiver AccessDenied InternalError "
    "WSManFault MSFT_WmiError ProviderFault HTTP HTTPAPI Negotiate NTLM Kerberos CredSSP Basic UTC Remote Management "
    "Users Administrators true false null nothing"
)
_LANGUAGES = (
    "cs-CZ da-DK de-DE el-GR en-GB en-US es-ES fi-FI fr-FR he-IL hu-HU it-IT ja-JP ko-KR nb-NO nl-NL pl-PL pt-BR pt-PT "
    "ro-RO ru-RU sv-SE tr-TR uk-UA zh-CN zh-HK zh-TW"
)


_OWN = ("avma", "avma_conformance")


@cache
def vocabulary() -> Vocabulary:
    """Return the words that stay readable in reports."""
    found = pkgutil.walk_packages(avma_conformance.__path__, f"{avma_conformance.__name__}.")
    modules = [import_module(each.name) for each in found]
    shared = (compatibility, errors, hyperv, licensing)
    languages = (_LANGUAGES, _LANGUAGES.replace("-", "_"))
    return Vocabulary(_texts([_OF_WINDOWS, *languages, *map(_constants, (*modules, *shared))]))


def _constants(owner: ModuleType | type) -> list[Any]:
    """Return the values of a module or class without those that Python adds, such as the path of the installation."""
    return [value for name, value in vars(owner).items() if not name.startswith("__")]


def _texts(values: Iterable[Any]) -> Iterator[str]:
    """Yield the texts and numbers in values, and in the source of functions and classes of this project."""
    for value in values:
        if isinstance(value, Enum):
            yield from _texts([value.name, value.value])
        elif isinstance(value, (str, int)):
            yield str(value)
        elif isinstance(value, Fact):
            yield from (value.name, value.statement, value.source, value.by_hand)
            yield from _texts([value.observe])
        elif isinstance(value, CodeType):
            yield from _texts(value.co_consts)
        elif isinstance(value, Mapping):
            yield from _texts([*value, *value.values()])
        elif isinstance(value, (list, tuple, set, frozenset)):
            yield from _texts(value)
        elif isinstance(value, FunctionType) and _is_own(value):
            yield from _texts([each for each in value.__code__.co_consts if each != value.__doc__])
        elif isinstance(value, type) and _is_own(value):
            yield value.__name__
            yield from _texts(list(value) if issubclass(value, Enum) else _constants(value))


def _is_own(value: Any) -> bool:
    return str(value.__module__).partition(".")[0] in _OWN
