"""Facts about Azure Local and Azure Stack HCI: its edition, and the cmdlets for the activation of its guests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from avma import keys
from avma.windows import azure_local, licensing
from avma.wsman.script import Secret
from avma_conformance.fact import (
    UNKNOWN,
    Area,
    Effect,
    NotHere,
    Observation,
    On,
    equal,
    fact,
    like,
    one_of,
    present,
    question,
    true,
)
from avma_conformance.subject import Subject

_SKU = 406
"""PRODUCT_AZURESTACKHCI_SERVER_CORE in winnt.h."""
_LICENSED = 1
_NO_KEY = "BBBBB-CCCCC-DDDDD-FFFFF-GGGGG"
"""A well-formed product key that does not exist."""
_GROUP = rf"[{keys.ALPHABET}]{{5}}"
_FULL_KEY = re.compile(rf"\b{_GROUP}(-{_GROUP}){{4}}\b")
_STATUS_NAMES = ("subscriptionstatus", "status")


def _get(subject: Subject) -> Mapping[str, Any]:
    """Return the answer of the script that reads the automatic activation.

    Raises:
        NotHere: the script returned no answer.
    """
    answers, complaint = subject.run(azure_local.SCRIPT, {"Action": "get"})
    if not answers:
        raise NotHere(f"the script returned no answer: {complaint}")
    return answers[0]


def _shown(answer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the objects that Get-VMAutomaticActivation wrote.

    Raises:
        NotHere: it failed.
    """
    if "result" not in answer:
        raise NotHere(f"the cmdlet failed: {answer.get('error', {}).get('errorId')}")
    return list(answer["result"])


def _subscriptions(answer: Mapping[str, Any]) -> list[Mapping[str, str]]:
    """Return the subscriptions, with lowercase names of their properties.

    Raises:
        NotHere: the cmdlet is missing, or failed.
    """
    if "subscriptions" not in answer:
        raise NotHere("Get-AzureStackHCISubscriptionStatus returned nothing")
    return [{name.lower(): str(value) for name, value in row.items()} for row in answer["subscriptions"]]


def _server_subscription(answer: Mapping[str, Any]) -> Mapping[str, str]:
    for row in _subscriptions(answer):
        if row.get("subscriptionname", "").lower() == azure_local.SUBSCRIPTION:
            return row
    raise NotHere("there is no row of the Windows Server subscription")


@fact(Area.AZURE_LOCAL, "winnt.h, PRODUCT_AZURESTACKHCI_SERVER_CORE", on=On.AZURE_LOCAL)
def azure_local_has_its_own_sku(subject: Subject) -> Observation:
    """The OperatingSystemSKU of Azure Local is 406."""
    row = subject.row("SELECT OperatingSystemSKU FROM Win32_OperatingSystem")
    return equal(_SKU, row.integer("OperatingSystemSKU"))


@fact(Area.AZURE_LOCAL, UNKNOWN, on=On.AZURE_LOCAL)
def azure_local_is_licensed(subject: Subject) -> Observation:
    """Azure Local has a licensed product of Windows in SoftwareLicensingProduct."""
    wql = (
        "SELECT LicenseStatus FROM SoftwareLicensingProduct "
        f"WHERE ApplicationID = '{licensing.WINDOWS}' AND PartialProductKey IS NOT NULL"
    )
    found = {row.integer("LicenseStatus") for row in subject.query(wql)}
    return true(f"status {_LICENSED} of one product", _LICENSED in found, found)


@fact(Area.AZURE_LOCAL, "Get-SDDCDiagnosticInfo of Windows Admin Center reads the version", on=On.AZURE_LOCAL)
def automatic_activation_has_its_module(subject: Subject) -> Observation:
    """The machine has the module ServerAVMAManager, with a version of at least 1.1."""
    found = str(_get(subject).get("moduleVersion", ""))
    return like(r"(1\.[1-9]\d*|[2-9]\d*\.\d+)(\.\d+){0,2}", found)


@fact(Area.AZURE_LOCAL, UNKNOWN, on=On.AZURE_LOCAL)
def automatic_activation_is_one_object(subject: Subject) -> Observation:
    """Get-VMAutomaticActivation writes one object with properties. This observation shows their names."""
    rows = _shown(_get(subject))
    found = "; ".join(", ".join(sorted(map(str, row))) for row in rows)
    return true("one object with properties", len(rows) == 1 and "Value" not in rows[0] and bool(rows[0]), found)


@fact(Area.AZURE_LOCAL, UNKNOWN, on=On.AZURE_LOCAL)
def automatic_activation_contains_its_state(subject: Subject) -> Observation:
    """The output of Get-VMAutomaticActivation contains one known word for its state."""
    activation = azure_local.read(subject.server.powershell, subject.deadline)
    known = activation.enabled is not None
    return true("a known word", known, "a known word" if known else "no known word, or several that contradict")


@fact(Area.AZURE_LOCAL, UNKNOWN, on=On.AZURE_LOCAL)
def automatic_activation_has_a_field_for_the_key(subject: Subject) -> Observation:
    """The output of Get-VMAutomaticActivation has a property for the key, which is partial or empty."""
    activation = azure_local.read(subject.server.powershell, subject.deadline)
    found = (
        "a partial key" if activation.partial_product_key else "an empty field" if activation.tells_no_key else "none"
    )
    return one_of(("a partial key", "an empty field"), found)


@fact(Area.AZURE_LOCAL, UNKNOWN, on=On.AZURE_LOCAL)
def automatic_activation_shows_no_whole_key(subject: Subject) -> Observation:
    """The output of Get-VMAutomaticActivation contains no whole product key."""
    values = present([str(value) for row in _shown(_get(subject)) for value in row.values()], "the output is empty")
    whole = sum(_FULL_KEY.search(value.upper()) is not None for value in values)
    return equal("0 whole keys", f"{whole} whole keys")


@fact(Area.AZURE_LOCAL, "troubleshooting guide of Azure Local, Get-SDDCDiagnosticInfo", on=On.AZURE_LOCAL)
def subscriptions_contain_that_of_windows_server(subject: Subject) -> Observation:
    """Get-AzureStackHCISubscriptionStatus has one row with the name Windows Server Subscription."""
    names = [row.get("subscriptionname", "").lower() for row in _subscriptions(_get(subject))]
    return equal(1, names.count(azure_local.SUBSCRIPTION))


@fact(Area.AZURE_LOCAL, "troubleshooting guide of Azure Local, Get-SDDCDiagnosticInfo", on=On.AZURE_LOCAL)
def subscription_has_a_status(subject: Subject) -> Observation:
    """The row of a subscription has a property SubscriptionStatus or Status."""
    names = set(_server_subscription(_get(subject)))
    return true("SubscriptionStatus or Status", bool(names & set(_STATUS_NAMES)), ", ".join(sorted(names)))


@fact(Area.AZURE_LOCAL, "inferred: the troubleshooting guide of Azure Local names Active alone", on=On.AZURE_LOCAL)
def subscription_status_is_active_or_inactive(subject: Subject) -> Observation:
    """The status of the Windows Server subscription is Active with a subscription, and Inactive without one."""
    row = _server_subscription(_get(subject))
    return one_of(("Active", "Inactive"), next((row[name] for name in _STATUS_NAMES if name in row), "none"))


@fact(
    Area.AZURE_LOCAL,
    '"Activate Windows Server VMs on Azure Local" at learn.microsoft.com; inferred: the number',
    on=On.AZURE_LOCAL,
    effect=Effect.HARMLESS,
)
def rejected_server_key_changes_nothing(subject: Subject) -> Observation:
    """Set-VMAutomaticActivation with a key that does not exist fails with 0xC004F050, and changes nothing."""
    before = _shown(_get(subject))
    answers, complaint = subject.run(azure_local.SCRIPT, {"Action": "set", "ProductKey": Secret(_NO_KEY)})
    answer = answers[0] if answers else {}
    after = _shown(_get(subject))
    number = _number(answer.get("error") or {})
    if answer.get("applied") or before != after:
        subject.warn("Check the activation of guests with `Get-VMAutomaticActivation`, and apply your key again")
    found = "applied" if answer.get("applied") else number if answers else complaint
    return equal("0xC004F050, no change", f"{found}, {'no change' if before == after else 'a change'}")


def _number(trouble: Mapping[str, Any]) -> str:
    """Return the HRESULT of an error. A number in its texts comes first."""
    texts = f"{trouble.get('errorId')} {trouble.get('message')}"
    named = re.search(r"0x([0-9A-Fa-f]{8})", texts)
    return f"0x{named[1].upper()}" if named else f"0x{int(trouble.get('hresult') or 0) & 0xFFFFFFFF:08X}"


SET_OUTPUT = question(
    "set-automatic-activation-returns-the-new-state",
    Area.AZURE_LOCAL,
    "Set-VMAutomaticActivation writes the same object as Get-VMAutomaticActivation.",
    "When you apply a Windows Server key anyway, run `Set-VMAutomaticActivation KEY | Format-List *` and then "
    "`Get-VMAutomaticActivation | Format-List *`. Compare the names of the properties. Do not send the values.",
    on=On.AZURE_LOCAL,
)
ADMINISTRATORS_ONLY = question(
    "automatic-activation-needs-an-administrator",
    Area.AZURE_LOCAL,
    "The cmdlets of ServerAVMAManager reject an account that is not an administrator, also to read. The error is "
    "System.UnauthorizedAccessException with E_ACCESSDENIED.",
    "Add an account to Remote Management Users alone. Run `Invoke-Command HOST -Credential ACCOUNT { "
    "Get-VMAutomaticActivation }`, and read `$Error[0].FullyQualifiedErrorId` and `$Error[0].Exception.HResult`.",
    on=On.AZURE_LOCAL,
)
MODULE_LOG = question(
    "module-logging-covers-server-avma-manager",
    Area.AZURE_LOCAL,
    "ServerAVMAManager is a script module with functions, so module logging can record the product key.",
    "Run `Get-Command Set-VMAutomaticActivation | Format-List CommandType, Module`. Turn on module logging for the "
    "module, run `Get-VMAutomaticActivation`, and look for an event 4103 with its name.",
    on=On.AZURE_LOCAL,
)
OFFLINE = question(
    "subscription-status-fails-offline",
    Area.AZURE_LOCAL,
    "Get-AzureStackHCISubscriptionStatus fails without a connection to Azure. Get-VMAutomaticActivation does not.",
    "Block the machine's connection to the internet. Run both cmdlets, and read `$Error[0].FullyQualifiedErrorId`.",
    on=On.AZURE_LOCAL,
)
