"""What a machine of Azure Stack HCI / Azure Local activates its guests with: a Windows Server key, or a subscription.

The cmdlets `Get-VMAutomaticActivation` and `Set-VMAutomaticActivation` of the module ServerAVMAManager, and
`Get-AzureStackHCISubscriptionStatus` (learn.microsoft.com, "Activate Windows Server VMs on Azure Local"). What they
show is not documented: all of it is carried as it is, and read only where it is unmistakable. The module knows the
cmdlets, not what a user wants of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from avma import errors, hresult, keys
from avma.deadline import Deadline
from avma.windows.powershell import PowerShell
from avma.wsman import retry

SCRIPT = "server-avma-manager"
SUBSCRIPTION = "windows server subscription"

_MODULE_MISSING = ("Modules_ModuleNotFound", "CommandNotFoundException")
_HRESULT = re.compile(r"\b0x([0-9A-Fa-f]{8})\b")
_KEY = re.compile(rf"(?:[{keys.ALPHABET}]{{5}}-){{4}}([{keys.ALPHABET}]{{5}})")
_PARTIAL = re.compile(rf"[{keys.ALPHABET}]{{5}}")
_RELEASE = re.compile(r"(?:Windows )?(?:Server )?\b(2019|2022|2025)\b(?: Datacenter)?", re.IGNORECASE)
_ON = frozenset({"enabled", "active", "activated", "licensed", "true", "on"})
_OFF = frozenset({"disabled", "inactive", "notactivated", "notlicensed", "unlicensed", "false", "off", "none"})


@dataclass(frozen=True)
class AutomaticActivation:
    """What the cmdlets show, as text, product keys masked; None where there is no such cmdlet, or it failed."""

    shown: Mapping[str, str]
    module_version: str
    subscriptions: Mapping[str, str] | None
    """The status of each subscription, by its name in lower case."""

    @property
    def partial_product_key(self) -> str | None:
        """The last five characters of the key that is set, None where they are not told."""
        of_keys = [value for name, value in self.shown.items() if "key" in name.lower()]
        return next((value.removeprefix("…") for value in of_keys if _PARTIAL.fullmatch(value.removeprefix("…"))), None)

    @property
    def key_version(self) -> str | None:
        """The Windows Server release of the key that is set, such as "2022", None where it is not told."""
        of_versions = (
            value for name, value in self.shown.items() if "version" in name.lower() or "key" in name.lower()
        )
        found = (_RELEASE.fullmatch(value.strip()) for value in of_versions)
        return next((match[1] for match in found if match), None)

    @property
    def enabled(self) -> bool | None:
        """Whether guests are activated, None where it is not told in words that are known."""
        words = {value.replace(" ", "").lower() for name, value in self.shown.items() if _tells_state(name)}
        on, off = bool(words & _ON), bool(words & _OFF)
        return on if on is not off else None

    @property
    def subscription_status(self) -> str | None:
        """The status of the Windows Server subscription in Windows' word, `Active` say; None where it is not told."""
        return (self.subscriptions or {}).get(SUBSCRIPTION)

    @property
    def subscribed(self) -> bool:
        """Whether there is an active Windows Server subscription."""
        return (self.subscription_status or "").lower() == "active"

    def __str__(self) -> str:
        """Return what is shown, in one line."""
        return ", ".join(f"{name} {value or '(empty)'}" for name, value in self.shown.items()) or "nothing"


def read(powershell: PowerShell, deadline: Deadline) -> AutomaticActivation:
    """Ask a machine of Azure Local what it activates its guests with: one script run.

    Raises:
        Refused: it lacks the module ServerAVMAManager.
        AvmaError: the script could not be run, or the cmdlet failed.
    """
    tried = "read the automatic activation of guests"

    def ask() -> Mapping[str, Any]:
        return _run(powershell, {"action": "get"}, [], deadline, tried)

    return _activation(retry.reading(ask, deadline, tried, powershell.where))


def set_product_key(powershell: PowerShell, product_key: str, deadline: Deadline) -> None:
    """Apply a Windows Server key for the guests of a machine: `Set-VMAutomaticActivation`.

    It is activated with Microsoft at once, which uses it up for this machine; one that is refused changes nothing.

    Raises:
        Refused: the machine lacks the module ServerAVMAManager.
        LicensingFault: the key was refused.
        AnswerLost: no answer came; the key may be applied.
    """
    document = {"action": "set", "productKey": product_key}
    _run(powershell, document, [product_key], deadline, "apply the Windows Server key")


def _run(
    powershell: PowerShell, document: Mapping[str, Any], secrets: Iterable[str], deadline: Deadline, tried: str
) -> Mapping[str, Any]:
    answers = powershell.run(SCRIPT, document, secrets, deadline, tried).objects
    answer = answers[0] if answers else {}
    trouble = answer.get("error")
    if isinstance(trouble, Mapping):
        raise _error(trouble, tried, powershell.where)
    if not isinstance(answer.get("result"), list):
        remedy = "run Get-VMAutomaticActivation there by hand, and report what it shows"
        raise errors.ScriptFailed(tried, powershell.where, "the script's answer holds no result", remedy)
    return answer


def _error(trouble: Mapping[str, Any], tried: str, where: str) -> errors.AvmaError:
    error_id, said = str(trouble.get("errorId", "")), " ".join(_masked(str(trouble.get("message", ""))).split())
    if error_id.startswith(_MODULE_MISSING):
        answer = "its module ServerAVMAManager is missing, which came with updates of Azure Stack HCI in 2021"
        remedy = "install the latest update on it (all machines of the cluster should have the same), and run again"
        return errors.Refused(tried, where, answer, remedy)
    code = _number(trouble.get("hresult"), error_id, said)
    if hresult.known(code):
        meaning = hresult.lookup(code)
        return errors.LicensingFault(tried, where, str(meaning), meaning.remedy, code)
    remedy = "run Get-VMAutomaticActivation there by hand; see that the machine is registered and online"
    return errors.WsmanFault(tried, where, f"the cmdlet failed: {said[:300]} ({error_id})", remedy, code)


def _number(value: Any, *texts: str) -> int:
    """Return the number of an error: one in its texts comes first, as .NET numbers every exception by its kind."""
    named = next((found for found in map(_HRESULT.search, texts) if found), None)
    if named is not None:
        return int(named[1], 16)
    return value & 0xFFFFFFFF if isinstance(value, int) else 0


def _activation(answer: Mapping[str, Any]) -> AutomaticActivation:
    rows = answer.get("subscriptions")
    return AutomaticActivation(
        shown=dict(_shown(answer["result"])),
        module_version=str(answer.get("moduleVersion") or ""),
        subscriptions=dict(_statuses(rows)) if isinstance(rows, list) else None,
    )


def _shown(rows: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Yield all names and values; those of a second object, should there be one, with its number."""
    for number, row in enumerate(row for row in rows if isinstance(row, Mapping)):
        for name, value in row.items():
            yield f"{name}{number + 1}" if number else str(name), _masked(str(value))


def _statuses(rows: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Yield name and status of subscriptions; two names of the property are in use."""
    for row in rows:
        fields = {str(name).lower(): str(value) for name, value in row.items()} if isinstance(row, Mapping) else {}
        if fields.get("subscriptionname"):
            yield fields["subscriptionname"].lower(), fields.get("subscriptionstatus") or fields.get("status", "")


def _tells_state(name: str) -> bool:
    return any(part in name.lower() for part in ("activation", "status", "state", "enabled"))


def _masked(text: str) -> str:
    """Return a text without its product keys but for their last five characters."""
    return _KEY.sub(r"…\1", text)
