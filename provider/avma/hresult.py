"""HRESULTs of the Software Protection Platform and of WMI: name, meaning, and what to do about each.

Names and values are those of the Windows SDK header `slerror.h`; the meanings are this project's own words. Windows'
text is localised and often missing on Server Core, so the number decides and this table explains it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HResult:
    """One HRESULT: unsigned value, symbolic name, meaning, remedy, and whether the method may be called again."""

    value: int
    name: str
    meaning: str
    remedy: str
    retryable: bool = False

    def __str__(self) -> str:
        """Return the form in which errors quote it."""
        return f"0x{self.value:08X} {self.name}: {self.meaning}"


_CHECK_KEY = "check that the key is typed as issued and belongs to this version and edition of Windows Server"
_OTHER_KEY = "use another key, or ask the Microsoft Activation Center to raise the limit of this one"
_KMS = "the machine holds a KMS client key: install an AVMA key (guest) or the Datacenter key (host) instead"
_REPAIR = "repair the licence store of the machine (slmgr /rilc) and try again"
_ELEVATE = "use an account that is an administrator of the machine and is not filtered by remote UAC"
ONLINE = "check the machine's way to the internet (name, proxy), or activate by telephone (`confirmationId`)"
_HOST = "license the Hyper-V host on which the VM now runs with an activated Datacenter key, then run again"

_TABLE = (
    # Automatic Virtual Machine Activation ("IA": inherited activation)
    HResult(
        0xC004FD00,
        "SL_E_IA_THROTTLE_LIMIT_EXCEEDED",
        "the host has answered too many activation requests",
        "wait and run again",
        retryable=True,
    ),
    HResult(
        0xC004FD01,
        "SL_E_IA_INVALID_VIRTUALIZATION_PLATFORM",
        "Windows does not run on a Hyper-V host that offers automatic activation",
        "run the VM on Hyper-V, switch its Data Exchange integration service on, or use another kind of key",
    ),
    HResult(0xC004FD02, "SL_E_IA_PARENT_PARTITION_NOT_ACTIVATED", "Windows is not activated on the host", _HOST),
    HResult(
        0xC004FD03,
        "SL_E_IA_ID_MISMATCH",
        "the host cannot activate this version or edition of Windows",
        "move the VM to a Datacenter host whose version is not below that of the guest",
    ),
    HResult(0xC004FD04, "SL_E_IA_MACHINE_NOT_BOUND", "the guest is not bound to a licensed host", _HOST),
    # Installing a key
    HResult(0xC004F050, "SL_E_INVALID_PRODUCT_KEY", "the product key is invalid", _CHECK_KEY),
    HResult(0xC004F069, "SL_E_MISMATCHED_PRODUCT_SKU", "the key belongs to another edition", _CHECK_KEY),
    HResult(0xC004E016, "SL_E_PKEY_INVALID_CONFIG", "this version of Windows does not know the key", _CHECK_KEY),
    HResult(0xC004E017, "SL_E_PKEY_INVALID_UNIQUEID", "the product key is invalid", _CHECK_KEY),
    HResult(0xC004E018, "SL_E_PKEY_INVALID_ALGORITHM", "the product key is invalid", _CHECK_KEY),
    HResult(0xC004E019, "SL_E_PKEY_INTERNAL_ERROR", "the product key could not be validated", _CHECK_KEY),
    HResult(0xC004F010, "SL_E_INVALID_PKEY", "the product key is invalid", _CHECK_KEY),
    HResult(
        0xC004F033,
        "SL_E_PRODUCT_KEY_INSTALLATION_NOT_ALLOWED",
        "this product key may not be installed",
        "look into the machine's Application event log, and use another key",
    ),
    HResult(0xC004F07D, "SL_E_INVALID_PRODUCT_KEY_TYPE", "the key is of the wrong kind", _CHECK_KEY),
    HResult(
        0xC004F210,
        "SL_E_EDITION_MISMATCHED",
        "the licence is for another edition than the one installed",
        "change the edition with DISM /Set-Edition first",
    ),
    HResult(0xC004F014, "SL_E_PKEY_NOT_INSTALLED", "no product key is installed", "declare a product key"),
    HResult(0xC004F012, "SL_E_VALUE_NOT_FOUND", "the licence store has no value for the key", _REPAIR),
    HResult(0xC004F015, "SL_E_PRODUCT_SKU_NOT_INSTALLED", "the licence is not installed", _REPAIR),
    HResult(0xC004F017, "SL_E_PUBLISHING_LICENSE_NOT_INSTALLED", "the licence is not installed", _REPAIR),
    HResult(0xC004F025, "SL_E_LUA_ACCESSDENIED", "elevated rights are required", _ELEVATE),
    # Activating
    HResult(0xC004F074, "SL_E_VL_BINDING_SERVICE_UNAVAILABLE", "no KMS host could be contacted", _KMS),
    HResult(0x8007232B, "DNS_ERROR_RCODE_NAME_ERROR", "the DNS name of a KMS host does not exist", _KMS),
    HResult(0xC004F038, "SL_E_VL_NOT_ENOUGH_COUNT", "the KMS host has too few clients", "add clients to the KMS"),
    HResult(0xC004F06C, "SL_E_VL_INVALID_TIMESTAMP", "the request's time stamp is invalid", "set the clock right"),
    HResult(0xC004C001, "SL_E_CHPA_INVALID_PRODUCT_KEY", "Microsoft's server says the key is invalid", _CHECK_KEY),
    HResult(0xC004C003, "SL_E_CHPA_PRODUCT_KEY_BLOCKED", "Microsoft's server has blocked the key", _OTHER_KEY),
    HResult(0xC004C060, "SL_E_CHPA_DYNAMICALLY_BLOCKED_PRODUCT_KEY", "the key is blocked", _OTHER_KEY),
    HResult(
        0xC004C017,
        "SL_E_CHPA_PRODUCT_KEY_BLOCKED_IPLOCATION",
        "the key is blocked for this place",
        _OTHER_KEY,
    ),
    HResult(0xC004C008, "SL_E_CHPA_MAXIMUM_UNLOCK_EXCEEDED", "the key has no activations left", _OTHER_KEY),
    HResult(0xC004C020, "SL_E_CHPA_DMAK_LIMIT_EXCEEDED", "the Multiple Activation Key has none left", _OTHER_KEY),
    HResult(0xC004C021, "SL_E_CHPA_DMAK_EXTENSION_LIMIT_EXCEEDED", "the key has none left", _OTHER_KEY),
    HResult(0xC004B100, "SL_E_CHPA_GENERAL_ERROR", "Microsoft's server could not activate the machine", ONLINE),
    HResult(0xC004C012, "SL_E_CHPA_NETWORK_ERROR", "a network error stopped the activation", ONLINE),
    HResult(0x80072EE2, "WININET_E_TIMEOUT", "Microsoft's activation server did not answer", ONLINE),
    HResult(0x80072EE7, "WININET_E_NAME_NOT_RESOLVED", "the activation server's name was not resolved", ONLINE),
    HResult(
        0xC004E028,
        "SL_E_ACTIVATION_IN_PROGRESS",
        "another activation of this machine is in progress",
        "wait and run again",
        retryable=True,
    ),
    HResult(
        0xC004F075,
        "SL_E_SERVICE_STOPPING",
        "the Software Protection service is stopping",
        "wait and run again",
        retryable=True,
    ),
    # States, as LicenseStatusReason tells them
    HResult(0xC004F009, "SL_E_GRACE_TIME_EXPIRED", "the grace period is over", "activate Windows"),
    HResult(0xC004F200, "SL_E_NOT_GENUINE", "Windows is not genuine", "install a genuine key"),
    HResult(0xC004F00F, "SL_E_OUT_OF_TOLERANCE", "the hardware changed beyond tolerance", "activate Windows again"),
    HResult(0x4004F00C, "SL_I_OOB_GRACE_PERIOD", "Windows is in its initial grace period", "activate Windows"),
    HResult(0x4004F00D, "SL_I_OOT_GRACE_PERIOD", "Windows is in its additional grace period", "activate Windows"),
    HResult(0x4004FC04, "SL_I_TIMEBASED_VALIDITY_PERIOD", "the licence is valid for a time", "nothing to do"),
    HResult(0x4004F401, "SL_I_STORE_BASED_ACTIVATION", "the licence comes from the store", "nothing to do"),
    HResult(0xC004D302, "SL_REMAPPING_SP_PUB_TS_REARMED", "the trusted store was rearmed", "restart the machine"),
    HResult(0xC004D307, "SL_REMAPPING_SP_PUB_API_MAX_REARM_REACHED", "no rearm is left", "install Windows anew"),
    HResult(0xC004E015, "SL_E_EUL_CONSUMPTION_FAILED", "the licence could not be consumed", _REPAIR),
    # WMI and Windows in general
    HResult(0x80041003, "WBEM_E_ACCESS_DENIED", "the account may not use this WMI namespace", _ELEVATE),
    HResult(0x80041010, "WBEM_E_INVALID_CLASS", "the WMI class does not exist", "repair WMI on the machine"),
    HResult(0x80041001, "WBEM_E_FAILED", "WMI failed", "look into the machine's WMI-Activity event log"),
    HResult(0x80070005, "E_ACCESSDENIED", "access is denied", _ELEVATE),
    HResult(
        0x80070422,
        "ERROR_SERVICE_DISABLED",
        "the service is disabled",
        "enable the Software Protection service (sppsvc)",
    ),
)

_BY_VALUE = {entry.value: entry for entry in _TABLE}


def codes() -> tuple[HResult, ...]:
    """Return all entries of the table."""
    return _TABLE


def lookup(value: int) -> HResult:
    """Return what is known of an HRESULT, given signed or unsigned; an unknown one says so."""
    unsigned = value & 0xFFFFFFFF
    unknown = HResult(unsigned, "HRESULT", "an error that this table does not know", "look the code up at Microsoft")
    return _BY_VALUE.get(unsigned, unknown)


def known(value: int) -> bool:
    """Say whether the table has an HRESULT, given signed or unsigned."""
    return value & 0xFFFFFFFF in _BY_VALUE


def by_name(name: str) -> HResult:
    """Return the entry of that symbolic name.

    Raises:
        KeyError: the table has no such name.
    """
    return {entry.name: entry for entry in _TABLE}[name]
