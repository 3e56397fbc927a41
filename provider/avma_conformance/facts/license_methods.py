"""Facts about the methods of licensing that Windows rejects: numbers, forms, and that nothing changes.

Most observations send keys and IDs that do not exist. Some send a published key of another edition or release. Windows
should reject it, but only the facts with a report of the rejection run as harmless. If a machine accepts a key, the run
changes nothing else and warns.
"""

from __future__ import annotations

from avma import compatibility
from avma.windows.licensing import LicenseChannel
from avma.wsman import envelope
from avma.wsman.envelope import local_name
from avma_conformance.fact import Area, Effect, NotHere, Observation, equal, fact, one_of
from avma_conformance.licenses import (
    MISSING_ID,
    PRODUCT,
    SERVICE,
    answer,
    bought,
    channel,
    install_rejected,
    installed,
    key_of_another_release,
    key_of_this_release,
    must_reject,
    number,
    rejected_call,
    rejected_key,
    value_of,
    version_of_service,
    without_key,
)
from avma_conformance.subject import CIMV2, Subject

_NOT_A_KEY = "not-a-key"
_UNKNOWN_KEY = "BBBBB-BBBBB-BBBBB-BBBBB-BBBBN"
_INVALID = "0xC004F050"
_MISSING = "Sender, DestinationUnreachable, 0x80338000, WSManFault, InvalidResourceURI, WMI Provider"
_FROM_A_GET = "inferred: from a Get of Win32_Process, recorded on 2012 R2"
_DEPOSIT = "DepositOfflineConfirmationId"
_WRONG_IDS = {"InstallationId": "1234567" * 9, "ConfirmationId": "123456" * 8}
_OF_CONFIRMATION_IDS = ("0xC004F02C", "0xC004F02D", "0xC004F02E", "0xC004F02F", "0xC004F04D")


@fact(Area.LICENSING, "inferred: from Microsoft's list of activation errors", effect=Effect.HARMLESS)
def text_that_is_no_key_is_invalid(subject: Subject) -> Observation:
    """InstallProductKey rejects a text that is not a product key with 0xC004F050."""
    return equal(_INVALID, rejected_key(subject, _NOT_A_KEY))


@fact(Area.LICENSING, "inferred: from Microsoft's list of activation errors", effect=Effect.HARMLESS)
def key_that_does_not_exist_is_invalid(subject: Subject) -> Observation:
    """InstallProductKey rejects a well-formed key that does not exist with 0xC004F050."""
    return equal(_INVALID, rejected_key(subject, _UNKNOWN_KEY))


@fact(Area.LICENSING, "inferred: from the number in windowsserverdocs#3342", effect=Effect.SPENDS)
def key_of_another_release_is_not_in_the_configuration(subject: Subject) -> Observation:
    """InstallProductKey rejects a key of another release with 0xC004E016."""
    if subject.server.system(subject.deadline).azure_local:
        raise NotHere("Azure Local accepts no keys of Windows Server")
    return equal("0xC004E016", rejected_key(subject, key_of_another_release(subject)))


@fact(Area.LICENSING, "inferred: from evaluations, reported in py-kms#57", effect=Effect.SPENDS)
def key_of_a_lower_edition_has_no_license(subject: Subject) -> Observation:
    """InstallProductKey rejects a key for Standard on Datacenter with 0xC004F069."""
    system = subject.server.system(subject.deadline)
    if system.edition != compatibility.DATACENTER or system.evaluation:
        raise NotHere("it is not Datacenter")
    return equal("0xC004F069", rejected_key(subject, key_of_this_release(subject, compatibility.STANDARD)))


@fact(Area.LICENSING, "reported in py-kms#57 and by Microsoft", effect=Effect.HARMLESS)
def evaluation_rejects_keys_of_the_full_edition(subject: Subject) -> Observation:
    """InstallProductKey rejects the key of the full edition on an evaluation with 0xC004F069."""
    system = subject.server.system(subject.deadline)
    if not system.evaluation:
        raise NotHere("it is not an evaluation")
    return equal("0xC004F069", rejected_key(subject, key_of_this_release(subject, system.edition)))


@fact(Area.LICENSING, "inferred: from the documentation, which has other cmdlets for keys", effect=Effect.SPENDS)
def azure_local_rejects_keys_of_windows_server(subject: Subject) -> Observation:
    """InstallProductKey rejects a key of Windows Server on Azure Local with a licensing error."""
    if not subject.server.system(subject.deadline).azure_local:
        raise NotHere("the machine does not run Azure Local")
    numbers = (_INVALID, "0xC004E016", "0xC004F069")
    return one_of(numbers, rejected_key(subject, key_of_another_release(subject)))


@fact(Area.LICENSING, "inferred: from the rules for keys on Azure Local", effect=Effect.HARMLESS)
def rejected_key_leaves_the_previous_one(subject: Subject) -> Observation:
    """After a rejected key, the previous key is still installed, with the same ID and status."""
    installed(subject)  # without a key, no change proves nothing
    return equal(f"{_INVALID}, the same key", rejected_key(subject, _UNKNOWN_KEY, ", the same key"))


@fact(Area.LICENSING, "inferred: from the PowerShell module OSLicense and OMI", effect=Effect.HARMLESS)
def licensing_error_is_a_wmi_error(subject: Subject) -> Observation:
    """A licensing error is a fault Receiver, InternalError with an MSFT_WmiError."""
    return equal("Receiver, InternalError, 0xC004F050, MSFT_WmiError", str(install_rejected(subject, _NOT_A_KEY)))


@fact(Area.LICENSING, "inferred: from the error IDs that PowerShell shows", effect=Effect.HARMLESS)
def licensing_error_repeats_its_number(subject: Subject) -> Observation:
    """MessageID of a licensing error is HRESULT and the number in lower case. The error type is HRESULT."""
    with must_reject(subject):
        found = answer(subject, SERVICE, "InstallProductKey", version_of_service(subject), {"ProductKey": _NOT_A_KEY})
    error = next((each for each in found.iter() if local_name(each) == "MSFT_WmiError"), found)
    return equal("HRESULT 0xc004f050, HRESULT", f"{value_of(error, 'MessageID')}, {value_of(error, 'error_Type')}")


@fact(Area.LICENSING, _FROM_A_GET)
def license_that_does_not_exist_is_missing(subject: Subject) -> Observation:
    """Get of a license with an unknown ID is rejected like any missing instance."""
    return equal(_MISSING, str(subject.fault(envelope.get(CIMV2, PRODUCT, {"ID": MISSING_ID}))))


@fact(Area.LICENSING, _FROM_A_GET, effect=Effect.HARMLESS)
def license_that_does_not_exist_cannot_be_activated(subject: Subject) -> Observation:
    """Activate of a license with an unknown ID is rejected like a Get of it."""
    return _rejected_as_missing(subject, "Activate")


@fact(Area.LICENSING, _FROM_A_GET, effect=Effect.HARMLESS)
def license_that_does_not_exist_has_no_key_to_uninstall(subject: Subject) -> Observation:
    """UninstallProductKey of a license with an unknown ID is rejected like a Get of it."""
    return _rejected_as_missing(subject, "UninstallProductKey")


@fact(Area.LICENSING, _FROM_A_GET, effect=Effect.HARMLESS)
def license_that_does_not_exist_takes_no_confirmation_id(subject: Subject) -> Observation:
    """DepositOfflineConfirmationId of a license with an unknown ID is rejected like a Get of it."""
    return _rejected_as_missing(subject, _DEPOSIT)


def _rejected_as_missing(subject: Subject, method: str) -> Observation:
    fault, note = rejected_call(subject, method, MISSING_ID, _WRONG_IDS if method == _DEPOSIT else None)
    return equal(_MISSING, f"{fault}{note}")


@fact(Area.LICENSING, "slerror.h, confirmed for unlicensed machines", effect=Effect.HARMLESS)
def license_without_a_key_cannot_be_activated(subject: Subject) -> Observation:
    """Activate of a license without a key is rejected with 0xC004F014."""
    return _rejected_without_key(subject, "Activate")


@fact(Area.LICENSING, "inferred: from Activate", effect=Effect.HARMLESS)
def license_without_a_key_has_none_to_uninstall(subject: Subject) -> Observation:
    """UninstallProductKey of a license without a key is rejected with 0xC004F014."""
    return _rejected_without_key(subject, "UninstallProductKey")


def _rejected_without_key(subject: Subject, method: str) -> Observation:
    fault, note = rejected_call(subject, method, without_key(subject).text("ID") or "")
    return equal("0xC004F014", f"{number(fault)}{note}")


@fact(Area.LICENSING, "inferred: from the names in slerror.h", effect=Effect.HARMLESS)
def wrong_confirmation_id_is_rejected(subject: Subject) -> Observation:
    """DepositOfflineConfirmationId rejects wrong IDs with a number about confirmation IDs."""
    if subject.server.system(subject.deadline).azure_local:
        raise NotHere("Azure Local has a license of another kind")
    fault, note = rejected_call(subject, _DEPOSIT, bought(subject).text("ID") or "", _WRONG_IDS)
    return one_of(_OF_CONFIRMATION_IDS, f"{number(fault)}{note}")


@fact(Area.LICENSING, "inferred: from the name SL_E_INVALID_PRODUCT_KEY_TYPE", effect=Effect.HARMLESS)
def generic_key_is_not_activated_by_phone(subject: Subject) -> Observation:
    """DepositOfflineConfirmationId rejects a license with a KMS client or AVMA key with 0xC004F07D."""
    row = installed(subject)
    if channel(row) not in (LicenseChannel.KMS_CLIENT, LicenseChannel.AVMA):
        raise NotHere("the installed key is not a generic one")
    fault, note = rejected_call(subject, _DEPOSIT, row.text("ID") or "", _WRONG_IDS)
    return equal("0xC004F07D", f"{number(fault)}{note}")
