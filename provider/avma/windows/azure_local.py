"""Activation of guests by Azure Stack HCI / Azure Local: with a Windows Server key or a subscription.

The module calls the cmdlets `Get-VMAutomaticActivation` and `Set-VMAutomaticActivation` of ServerAVMAManager, and
`Get-AzureStackHCISubscriptionStatus` (learn.microsoft.com, "Activate Windows Server VMs on Azure Local"). Microsoft
does not document their output. So the module keeps all of it unchanged, and interprets only unmistakable values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from avma import characters, errors, hresult, keys
from avma.context import Context
from avma.deadline import Deadline
from avma.windows.powershell import PowerShell
from avma.wording import RUN_AGAIN, setting
from avma.wsman import retry, soap_faults
from avma.wsman.script import Secret

SCRIPT = "server-avma-manager"
SUBSCRIPTION = "windows server subscription"
_LONGEST = 300
_NETWORK = f"check the machine's connection to the internet (DNS, proxy), then {RUN_AGAIN}"

_DENIED = 0x80070005
"""E_ACCESSDENIED."""
_ADMINISTRATOR = (
    f"use an administrator of the machine ({setting('username')}), or a session configuration from `avma jea "
    f"--azure-local` ({setting('configuration_name')})"
)
_MODULE_MISSING = "Modules_ModuleNotFound"
_HRESULT = re.compile(r"\b0x([0-9A-Fa-f]{8})\b")
_GROUP = rf"[{keys.ALPHABET}]{{5}}"
_KEY = re.compile(rf"(?:{_GROUP}[-\u2010-\u2015\u2212 ]){{4}}({_GROUP})", re.IGNORECASE)
_PARTIAL = re.compile(rf"(?:(?:[*X]{{5}}-){{4}}|…)?({_GROUP})", re.IGNORECASE)
_RELEASE = re.compile(r"(?:Windows )?(?:Server )?\b(2019|2022|2025)\b(?: Datacenter)?", re.IGNORECASE)
_ON = frozenset({"enabled", "active", "activated", "licensed", "true", "on"})
_OFF = frozenset({"disabled", "inactive", "notactivated", "notlicensed", "unlicensed", "false", "off"})
_OF_STATE = ("activation", "status", "state", "enabled")
_OF_SOMETHING_ELSE = ("error", "last", "subscription", "oem", "time", "date", "version", "module", "os")


@dataclass(frozen=True)
class AutomaticActivation:
    """The output of the cmdlets as text, with product keys masked."""

    shown: Mapping[str, str]
    subscriptions: Mapping[str, str] | None
    """The status of each subscription by its lowercase name. None if the cmdlet is missing or failed."""
    subscription_error: str = ""
    """The error message of the cmdlet for subscriptions."""

    @property
    def partial_product_key(self) -> str | None:
        """The last five characters of the configured key, None if the output contains no key."""
        found = (_PARTIAL.fullmatch(value.strip()) for _, value in self._of_keys())
        return next((match[1].upper() for match in found if match), None)

    @property
    def tells_no_key(self) -> bool:
        """Whether the output has a field for a key, and the field is empty."""
        values = [value.strip().lower() for _, value in self._of_keys()]
        return bool(values) and all(value in ("", "none") for value in values)

    @property
    def key_version(self) -> str | None:
        """The Windows Server release of the configured key, such as "2022". None if the output does not contain it."""
        named = [(name, value) for name, value in self.shown.items() if "version" in name.lower()]
        of_key = [value for name, value in named if "key" in name.lower()]
        found = (_RELEASE.fullmatch(value.strip()) for value in of_key)
        return next((match[1] for match in found if match), None)

    @property
    def enabled(self) -> bool | None:
        """Whether the machine activates guests. None if the output contains no known word for it."""
        words = {value.replace(" ", "").lower() for name, value in self.shown.items() if _tells_state(name)}
        on, off = bool(words & _ON), bool(words & _OFF)
        return on if on is not off else None

    @property
    def subscription_status(self) -> str | None:
        """The status of the Windows Server subscription in Windows, for example `Active`. None if unknown."""
        return (self.subscriptions or {}).get(SUBSCRIPTION)

    @property
    def subscribed(self) -> bool:
        """Whether the machine has an active Windows Server subscription."""
        return (self.subscription_status or "").lower() == "active"

    def __str__(self) -> str:
        """Return the output in one line."""
        return ", ".join(f"{name} {value or '(empty)'}" for name, value in self.shown.items()) or "nothing"

    def _of_keys(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self.shown.items() if "key" in name.lower() and not _of_more(name)]


def read(powershell: PowerShell, deadline: Deadline) -> AutomaticActivation:
    """Read how a machine of Azure Local activates its guests, in one script run.

    Raises:
        Refused: the machine lacks the module ServerAVMAManager.
        AvmaError: the script could not run, or the cmdlet failed.
    """
    context = Context("read the automatic activation of guests", powershell.where, deadline)
    attempts = retry.reading(context)
    while True:
        with attempts:
            return _activation(_run(context, powershell, {"Action": "get"}))


def set_product_key(powershell: PowerShell, product_key: str, deadline: Deadline) -> None:
    """Apply a Windows Server key for the guests of a machine with `Set-VMAutomaticActivation`.

    The machine activates the key with Microsoft immediately, and this uses up the key for the machine. A rejected key
    changes nothing.

    Raises:
        Refused: the machine lacks the module ServerAVMAManager.
        LicensingFault: the key was rejected.
        WsmanFault, AnswerLost, ScriptFailed: the cmdlet failed otherwise, or no answer came. The key may be applied.
    """
    context = Context("apply the Windows Server key", powershell.where, deadline)
    try:
        answer = _run(context, powershell, {"Action": "set", "ProductKey": Secret(product_key)})
    except errors.AnswerLost as error:
        raise retry.doubted(error) from error
    if answer.get("applied") is not True:
        raise _no_result(context)


def _run(context: Context, powershell: PowerShell, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    answers = powershell.run(context, SCRIPT, parameters).objects
    answer = answers[0] if answers else {}
    trouble = answer.get("error")
    if answer.get("applied") is True:
        return answer  # Ignore errors after the change: the caller reads the state again.
    if isinstance(trouble, Mapping):
        raise _error(context, trouble)
    if not isinstance(answer.get("result"), list):
        raise _no_result(context)
    return answer


def _no_result(context: Context) -> errors.ScriptFailed:
    remedy = "run `Get-VMAutomaticActivation` on the machine, and report its output"
    return context.error(errors.ScriptFailed, "the script returned no result", remedy)


def _error(context: Context, trouble: Mapping[str, Any]) -> errors.AvmaError:
    error_id, said = str(trouble.get("errorId", "")), characters.one_line(_masked(str(trouble.get("message", ""))))
    if error_id.startswith(_MODULE_MISSING):
        answer = "its module ServerAVMAManager is missing (updates of Azure Stack HCI have included it since 2021)"
        remedy = f"install the latest update on all machines of the cluster, then {RUN_AGAIN}"
        return context.error(errors.Refused, answer, remedy)
    code = _number(trouble.get("hresult"), error_id, said)
    if code == _DENIED:
        return context.error(
            errors.AccessDenied, "access is denied to its module ServerAVMAManager", _ADMINISTRATOR, code
        )
    if hresult.known(code):
        meaning = hresult.lookup(code)
        online = meaning.remedy == hresult.ONLINE
        kind = errors.LicensingFault if online or hresult.is_licensing(code) else errors.WsmanFault
        return context.error(kind, str(meaning), _NETWORK if online else meaning.remedy, code)
    remedy = (
        "run `Get-VMAutomaticActivation` on the machine; check that the machine is registered with Azure and online"
    )
    reported = characters.shortened(said, _LONGEST) or "PowerShell returned no message"
    answer = f"its module ServerAVMAManager failed: {reported}"
    shown = soap_faults.shown_id(error_id)
    return context.error(errors.WsmanFault, f"{answer} ({shown})" if shown else answer, remedy, code)


def _number(value: Any, *texts: str) -> int:
    """Return the code of an error. A code in its texts comes first, because .NET numbers exceptions only by type."""
    named = next((found for found in map(_HRESULT.search, texts) if found), None)
    if named is not None:
        return int(named[1], 16)
    return value & 0xFFFFFFFF if isinstance(value, int) else 0


def _activation(answer: Mapping[str, Any]) -> AutomaticActivation:
    rows, trouble = answer.get("subscriptions"), answer.get("subscriptionError")
    said = str(trouble.get("message", "")) if isinstance(trouble, Mapping) else ""
    return AutomaticActivation(
        shown=dict(_shown(answer["result"])),
        subscriptions=dict(_statuses(rows)) if isinstance(rows, list) else None,
        subscription_error=characters.shortened(characters.one_line(_masked(said)), _LONGEST),
    )


def _shown(rows: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Yield all names and values. The names of a second object get its number."""
    for number, row in enumerate(row for row in rows if isinstance(row, Mapping)):
        for name, value in row.items():
            yield f"{name}{number + 1}" if number else str(name), _masked(str(value))


def _statuses(rows: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Yield the names and statuses of subscriptions. Two names of the status property are in use."""
    for row in rows:
        fields = {str(name).lower(): str(value) for name, value in row.items()} if isinstance(row, Mapping) else {}
        if fields.get("subscriptionname"):
            yield fields["subscriptionname"].lower(), fields.get("subscriptionstatus") or fields.get("status", "")


def _tells_state(name: str) -> bool:
    words = name.lower()
    return any(part in words for part in _OF_STATE) and not any(part in words for part in _OF_SOMETHING_ELSE)


def _of_more(name: str) -> bool:
    """Return True if a property with "key" in its name describes a key but does not contain it."""
    return any(part in name.lower() for part in ("version", "status", "state", "type", "channel", "date", "time"))


def _masked(text: str) -> str:
    """Return the text with all product keys masked except for their last five characters."""
    return _KEY.sub(r"…\1", text)
