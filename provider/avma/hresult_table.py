"""The table of HRESULTs: their meanings and remedies.

Names and values are those of the Windows SDK headers `slerror.h`, `wbemcli.h`, `winerror.h`, `ntstatus.h` and
`wsmerror.h`. The meanings are this project's own words.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from avma.wording import RUN_AGAIN, setting


class Again(Enum):
    """The kind of operation to retry after an HRESULT."""

    NOTHING = "nothing"
    READ = "a read"
    """The condition passes by itself. A method may have started before it occurred."""
    CALL = "a read or a method call"
    """Windows refused the call before it started."""


@dataclass(frozen=True)
class HResult:
    """One HRESULT: its unsigned value, symbolic name, meaning and remedy, and the kind of operation to retry.

    The name is empty for a number outside the table.
    """

    value: int
    name: str
    meaning: str
    remedy: str
    again: Again = Again.NOTHING

    @property
    def retryable(self) -> bool:
        """Whether to retry a method call that failed with it."""
        return self.again is Again.CALL

    @property
    def transient(self) -> bool:
        """Whether to retry a read that failed with it."""
        return self.again is not Again.NOTHING

    def __str__(self) -> str:
        """Return the form in which errors quote it."""
        return f"0x{self.value:08X} {self.name}: {self.meaning}" if self.name else f"0x{self.value:08X}, {self.meaning}"


CHECK_KEY = "check the key for typing errors, and check that it is for this version and edition of Windows Server"
_OTHER_KEY = "use another key, or ask the Microsoft Activation Center to raise the activation limit of the key"
_REJECTED_KEY = "use another key, or ask the Microsoft Activation Center why it rejects this key"
_KMS = "replace the KMS client key of the machine: use an AVMA key on a guest, or your Datacenter key on a host"
_CLOCKS = f"correct the clocks of the machine and of its KMS host; then {RUN_AGAIN}"
_REPAIR = f"run `slmgr /rilc` on the machine to repair its license store; then {RUN_AGAIN}"
_CONVERT = (
    "use a key for the installed edition; or, to change the edition, run `DISM /Online /Get-TargetEditions` on the "
    "machine, convert it with `DISM /Online /Set-Edition:EDITION "
    f"/ProductKey:KEY /AcceptEula`, and restart it; then {RUN_AGAIN}"
)
REMOTE_ADMINISTRATORS = (
    r"New-ItemProperty HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System "
    "-Name LocalAccountTokenFilterPolicy -Value 1 -PropertyType DWord -Force"
)
"""The command that lets local accounts keep the rights of administrators over the network."""
ELEVATE = (
    "use an administrator of the machine; for a local account other than the built-in Administrator, also run in "
    f"PowerShell on the machine: `{REMOTE_ADMINISTRATORS}`"
)
ONLINE = (
    "check the machine's internet connection (name resolution, proxy), or activate by phone "
    f"({setting('confirmation_id')})"
)
_HOST = f"use a Datacenter key to activate Windows on the VM's current Hyper-V host; then {RUN_AGAIN}"
_WAIT = f"wait until the machine has finished starting or stopping; then {RUN_AGAIN}"
_SHELLS = f"wait, or close open shells; then {RUN_AGAIN}"
_BUSY = f"wait, or lower {setting('max_concurrency')}; then {RUN_AGAIN}"
_WMI = (
    "run `winmgmt /verifyrepository` on the machine; if it reports an inconsistency, run `winmgmt /salvagerepository`"
)
_SERVICE = (
    "start the Software Protection service on the machine (`Start-Service sppsvc`); if the service does not start, "
    "check the Application event log of the machine"
)
_TAMPERED = (
    "run `sfc /scannow` and `DISM /Online /Cleanup-Image /RestoreHealth` on the machine, restart it, and remove "
    "programs that change its licensing"
)
_FILES = "run `sfc /scannow` and `DISM /Online /Cleanup-Image /RestoreHealth` on the machine, and restart it"

_PHONE = (
    f"read {setting('installation_id')} again, get a confirmation ID for it from the Microsoft Activation Center, and "
    f"set {setting('confirmation_id')} to it"
)

TABLE = (
    # Automatic Virtual Machine Activation ("IA": inherited activation)
    HResult(
        0xC004FD00,
        "SL_E_IA_THROTTLE_LIMIT_EXCEEDED",
        "the host has received too many activation requests",
        f"wait, then {RUN_AGAIN}",
        Again.CALL,
    ),
    HResult(
        0xC004FD01,
        "SL_E_IA_INVALID_VIRTUALIZATION_PLATFORM",
        "Windows does not run on a Hyper-V host with automatic activation",
        "check that the VM runs on a Hyper-V host with Datacenter, and that its Data Exchange integration service is "
        "on; if the VM cannot run on such a host, remove the VmActivation and give the guest its own key (KMS or MAK)",
    ),
    HResult(0xC004FD02, "SL_E_IA_PARENT_PARTITION_NOT_ACTIVATED", "Windows is not activated on the host", _HOST),
    HResult(
        0xC004FD03,
        "SL_E_IA_ID_MISMATCH",
        "the host cannot activate this version or edition of Windows",
        "move the VM to a Datacenter host with the same or a later version of Windows Server",
    ),
    HResult(0xC004FD04, "SL_E_IA_MACHINE_NOT_BOUND", "the guest is not bound to a licensed host", _HOST),
    # Installing a key
    HResult(0xC004F050, "SL_E_INVALID_PRODUCT_KEY", "the product key is invalid", CHECK_KEY),
    HResult(0xC004F069, "SL_E_MISMATCHED_PRODUCT_SKU", "the key belongs to another edition", CHECK_KEY),
    HResult(0xC004E016, "SL_E_PKEY_INVALID_CONFIG", "this version of Windows does not recognize the key", CHECK_KEY),
    HResult(0xC004E017, "SL_E_PKEY_INVALID_UNIQUEID", "the product key is invalid", CHECK_KEY),
    HResult(0xC004E018, "SL_E_PKEY_INVALID_ALGORITHM", "the product key is invalid", CHECK_KEY),
    HResult(0xC004E019, "SL_E_PKEY_INTERNAL_ERROR", "the product key could not be validated", CHECK_KEY),
    HResult(0xC004F010, "SL_E_INVALID_PKEY", "the product key is invalid", CHECK_KEY),
    HResult(
        0xC004F033,
        "SL_E_PRODUCT_KEY_INSTALLATION_NOT_ALLOWED",
        "Windows does not allow this product key to be installed",
        "check the machine's Application event log, and use another key",
    ),
    HResult(0xC004F07D, "SL_E_INVALID_PRODUCT_KEY_TYPE", "the key has the wrong type", CHECK_KEY),
    HResult(
        0xC004F210,
        "SL_E_EDITION_MISMATCHED",
        "the license is for another edition than the one installed",
        _CONVERT,
    ),
    HResult(0xC004F014, "SL_E_PKEY_NOT_INSTALLED", "no product key is installed", f"set {setting('product_key')}"),
    HResult(0xC004F012, "SL_E_VALUE_NOT_FOUND", "the license store contains no value for the key", _REPAIR),
    HResult(0xC004F015, "SL_E_PRODUCT_SKU_NOT_INSTALLED", "the license is not installed", _REPAIR),
    HResult(0xC004F017, "SL_E_PUBLISHING_LICENSE_NOT_INSTALLED", "the license is not installed", _REPAIR),
    HResult(0xC004F025, "SL_E_LUA_ACCESSDENIED", "elevated rights are required", ELEVATE),
    # Activating
    HResult(0xC004F074, "SL_E_VL_BINDING_SERVICE_UNAVAILABLE", "no KMS host could be contacted", _KMS),
    HResult(0x8007232B, "DNS_ERROR_RCODE_NAME_ERROR", "the DNS name of a KMS host does not exist", _KMS),
    HResult(0xC004F038, "SL_E_VL_NOT_ENOUGH_COUNT", "the KMS host has too few clients", f"add KMS clients, or {_KMS}"),
    HResult(0xC004F06C, "SL_E_VL_INVALID_TIMESTAMP", "the request's time stamp is invalid", _CLOCKS),
    HResult(0xC004C001, "SL_E_CHPA_INVALID_PRODUCT_KEY", "Microsoft's server rejected the key", CHECK_KEY),
    HResult(0xC004C003, "SL_E_CHPA_PRODUCT_KEY_BLOCKED", "Microsoft's server has blocked the key", _REJECTED_KEY),
    HResult(0xC004C060, "SL_E_CHPA_DYNAMICALLY_BLOCKED_PRODUCT_KEY", "the key is blocked", _REJECTED_KEY),
    HResult(
        0xC004C017,
        "SL_E_CHPA_PRODUCT_KEY_BLOCKED_IPLOCATION",
        "the key is blocked in this location",
        _REJECTED_KEY,
    ),
    HResult(0xC004C008, "SL_E_CHPA_MAXIMUM_UNLOCK_EXCEEDED", "the key has no activations left", _OTHER_KEY),
    HResult(0xC004C020, "SL_E_CHPA_DMAK_LIMIT_EXCEEDED", "the Multiple Activation Key is used up", _OTHER_KEY),
    HResult(
        0xC004C021, "SL_E_CHPA_DMAK_EXTENSION_LIMIT_EXCEEDED", "the extended limit of the key is used up", _OTHER_KEY
    ),
    HResult(0xC004B100, "SL_E_CHPA_GENERAL_ERROR", "Microsoft's server could not activate the machine", ONLINE),
    HResult(0xC004C012, "SL_E_CHPA_NETWORK_ERROR", "a network error stopped the activation", ONLINE),
    HResult(0x80072EE2, "WININET_E_TIMEOUT", "Microsoft's activation server did not answer", ONLINE),
    HResult(0x80072EE7, "WININET_E_NAME_NOT_RESOLVED", "the activation server's name could not be resolved", ONLINE),
    HResult(
        0xC004E028,
        "SL_E_ACTIVATION_IN_PROGRESS",
        "another activation of this machine is in progress",
        f"wait, then {RUN_AGAIN}",
        Again.CALL,
    ),
    HResult(
        0xC004F075,
        "SL_E_SERVICE_STOPPING",
        "the Software Protection service is stopping",
        f"wait, then {RUN_AGAIN}",
        Again.CALL,
    ),
    # Activating by phone
    HResult(0xC004F02C, "SL_E_CIDIID_INVALID_DATA", "the confirmation ID is malformed", _PHONE),
    HResult(0xC004F02D, "SL_E_CIDIID_INVALID_VERSION", "the confirmation ID has the wrong version", _PHONE),
    HResult(
        0xC004F02E,
        "SL_E_CIDIID_VERSION_NOT_SUPPORTED",
        "Windows does not support the version of the confirmation ID",
        _PHONE,
    ),
    HResult(0xC004F02F, "SL_E_CIDIID_INVALID_DATA_LENGTH", "the confirmation ID has the wrong length", _PHONE),
    HResult(
        0xC004F04D,
        "SL_E_CIDIID_INVALID_CHECK_DIGITS",
        "the installation ID or the confirmation ID is invalid",
        _PHONE,
    ),
    # States, as LicenseStatusReason reports them
    HResult(0xC004F009, "SL_E_GRACE_TIME_EXPIRED", "the grace period is over", "activate Windows"),
    HResult(0xC004F200, "SL_E_NOT_GENUINE", "Windows is not genuine", "install a genuine key"),
    HResult(0xC004F00F, "SL_E_OUT_OF_TOLERANCE", "the hardware changed beyond tolerance", "activate Windows again"),
    HResult(0x4004F00C, "SL_I_OOB_GRACE_PERIOD", "Windows is in its initial grace period", "activate Windows"),
    HResult(0x4004F00D, "SL_I_OOT_GRACE_PERIOD", "Windows is in its additional grace period", "activate Windows"),
    HResult(
        0x4004FC04, "SL_I_TIMEBASED_VALIDITY_PERIOD", "the license is valid for a limited time", "no action is needed"
    ),
    HResult(0x4004F401, "SL_I_STORE_BASED_ACTIVATION", "the license comes from the store", "no action is needed"),
    HResult(0xC004D302, "SL_REMAPPING_SP_PUB_TS_REARMED", "the trusted store was rearmed", "restart the machine"),
    HResult(0xC004D307, "SL_REMAPPING_SP_PUB_API_MAX_REARM_REACHED", "no rearm is left", "reinstall Windows"),
    HResult(0xC004E015, "SL_E_EUL_CONSUMPTION_FAILED", "the license could not be consumed", _REPAIR),
    HResult(
        0xC004F056,
        "SL_E_VL_MACHINE_NOT_BOUND",
        "the machine was not activated by a KMS host within its period",
        _KMS,
    ),
    HResult(0xC004F034, "SL_E_EUL_NOT_AVAILABLE", "the license was not found or is invalid", _REPAIR),
    HResult(
        0xC004E002,
        "SL_E_TOKEN_STORE_INVALID_STATE",
        "the license store contains inconsistent data",
        _REPAIR,
    ),
    HResult(0xC004E003, "SL_E_EVALUATION_FAILED", "the license could not be evaluated", _REPAIR),
    HResult(
        0xC004C032,
        "SL_E_CHPA_TIMEBASED_ACTIVATION_NOT_AVAILABLE",
        "Microsoft's server offers no further time-based activation for the key",
        _REJECTED_KEY,
    ),
    HResult(
        0xC004D301,
        "SL_REMAPPING_SP_PUB_TS_TAMPERED",
        "the trusted store of the licensing service is damaged or was changed",
        _TAMPERED,
    ),
    HResult(
        0xC004D401,
        "SL_REMAPPING_SP_PUB_TAMPER_MODULE_AUTHENTICATION",
        "a system file of the licensing service does not match its signature",
        _TAMPERED,
    ),
    HResult(0xC004F027, "SL_E_TAMPER_DETECTED", "the license was changed", _TAMPERED),
    # WMI
    HResult(0x80041003, "WBEM_E_ACCESS_DENIED", "the account has no right to this WMI namespace", ELEVATE),
    HResult(
        0x80041062,
        "WBEM_E_PRIVILEGE_NOT_HELD",
        "the account does not hold a privilege that WMI requires",
        ELEVATE,
    ),
    HResult(0x80041001, "WBEM_E_FAILED", "WMI failed", "check the machine's WMI-Activity event log"),
    HResult(
        0x80041002, "WBEM_E_NOT_FOUND", "the WMI object does not exist", f"{RUN_AGAIN}; if the error persists, {_WMI}"
    ),
    HResult(0x80041004, "WBEM_E_PROVIDER_FAILURE", "a WMI provider failed", _WMI),
    HResult(0x80041006, "WBEM_E_OUT_OF_MEMORY", "WMI does not have enough memory", _BUSY, Again.READ),
    HResult(0x80041008, "WBEM_E_INVALID_PARAMETER", "WMI does not accept a parameter", _WMI),
    HResult(0x8004100C, "WBEM_E_NOT_SUPPORTED", "WMI does not support the operation", _WMI),
    HResult(0x8004100E, "WBEM_E_INVALID_NAMESPACE", "the WMI namespace does not exist", _WMI),
    HResult(0x80041010, "WBEM_E_INVALID_CLASS", "the WMI class does not exist", _WMI),
    HResult(0x80041011, "WBEM_E_PROVIDER_NOT_FOUND", "a WMI provider is not registered", _WMI),
    HResult(0x80041013, "WBEM_E_PROVIDER_LOAD_FAILURE", "WMI could not load a provider", _WMI),
    HResult(0x80041014, "WBEM_E_INITIALIZATION_FAILURE", "WMI could not start", _WMI),
    HResult(0x80041015, "WBEM_E_TRANSPORT_FAILURE", "WMI lost the connection to a provider", _WAIT, Again.READ),
    HResult(0x80041017, "WBEM_E_INVALID_QUERY", "WMI does not accept the query", _WMI),
    HResult(0x80041032, "WBEM_E_CALL_CANCELLED", "WMI canceled the call", _WAIT, Again.READ),
    HResult(0x80041033, "WBEM_E_SHUTTING_DOWN", "WMI is shutting down or restarting", _WAIT, Again.READ),
    HResult(0x80041045, "WBEM_E_SERVER_TOO_BUSY", "WMI is too busy", _BUSY, Again.READ),
    HResult(0x8004106C, "WBEM_E_QUOTA_VIOLATION", "WMI has reached one of its quotas", _BUSY, Again.READ),
    # WS-Management. Inferred (quota-is-checked-before-an-operation-begins) for both quotas: WinRM counts an operation
    # before it passes it to a plug-in.
    HResult(
        0x803381A6,
        "ERROR_WSMAN_QUOTA_MAX_OPERATIONS",
        "the account has too many running requests on the machine",
        _BUSY,
        Again.CALL,
    ),
    HResult(
        0x803381A5,
        "ERROR_WSMAN_QUOTA_MAX_SHELLS",
        "the account has too many open shells on the machine",
        _SHELLS,
        Again.CALL,
    ),
    HResult(0x803381A7, "ERROR_WSMAN_QUOTA_USER", "the account has reached its load quota", _BUSY, Again.READ),
    HResult(0x803381A8, "ERROR_WSMAN_QUOTA_SYSTEM", "the machine has reached its load quota", _BUSY, Again.READ),
    # PowerShell repeats a CIM call, also of a method, after all of these numbers (IsWsManQuotaReached in its source,
    # CimChildJobBase.cs).
    HResult(0x803381AB, "ERROR_WSMAN_QUOTA_MAX_SHELLUSERS", "too many users have open shells", _SHELLS, Again.CALL),
    HResult(0x803381E4, "ERROR_WSMAN_QUOTA_MAX_SHELLS_PPQ", "the account has too many shells", _SHELLS, Again.CALL),
    HResult(0x803381E5, "ERROR_WSMAN_QUOTA_MAX_USERS_PPQ", "too many users use WinRM", _BUSY, Again.CALL),
    HResult(0x803381E6, "ERROR_WSMAN_QUOTA_MAX_PLUGINSHELLS_PPQ", "there are too many shells", _SHELLS, Again.CALL),
    HResult(0x803381E7, "ERROR_WSMAN_QUOTA_MAX_PLUGINOPERATIONS_PPQ", "too many requests run", _BUSY, Again.CALL),
    HResult(
        0x803381E8,
        "ERROR_WSMAN_QUOTA_MAX_OPERATIONS_USER_PPQ",
        "the account has too many running requests on the machine",
        _BUSY,
        Again.CALL,
    ),
    HResult(0x803381E9, "ERROR_WSMAN_QUOTA_MAX_COMMANDS_PER_SHELL_PPQ", "too many commands run", _BUSY, Again.CALL),
    HResult(
        0x803381EA,
        "ERROR_WSMAN_QUOTA_MIN_REQUIREMENT_NOT_AVAILABLE_PPQ",
        "the machine has too few free resources",
        _BUSY,
        Again.CALL,
    ),
    HResult(
        0x80338000,
        "ERROR_WSMAN_RESOURCE_NOT_FOUND",
        "the class or instance does not exist",
        f"{RUN_AGAIN}; if the error persists, {_WMI}",
    ),
    HResult(
        0x8033805B,
        "ERROR_WSMAN_UNEXPECTED_SELECTORS",
        "the instance does not exist",
        f"{RUN_AGAIN}; if the error persists, {_WMI}",
    ),
    HResult(
        0x8033801A,
        "ERROR_WSMAN_CANNOT_PROCESS_FILTER",
        "the WMI class or namespace does not exist on the machine",
        "check the name of the machine; on a Hyper-V host, install the Hyper-V role; on a cluster "
        "node, install the Failover Clustering feature",
    ),
    HResult(
        0x80338104,
        "ERROR_WSMAN_WMI_SVC_ACCESS_DENIED",
        "the WMI service denies access to the account",
        ELEVATE,
    ),
    HResult(
        0x80338105,
        "ERROR_WSMAN_WMI_PROVIDER_ACCESS_DENIED",
        "a WMI provider denies access to the account",
        ELEVATE,
    ),
    HResult(
        0x80338106,
        "ERROR_WSMAN_WMI_CANNOT_CONNECT_ACCESS_DENIED",
        "the account has no right to connect to the WMI service",
        ELEVATE,
    ),
    # Windows in general
    HResult(0x80070005, "E_ACCESSDENIED", "access is denied", ELEVATE),
    HResult(
        0xC0000022,
        "STATUS_ACCESS_DENIED",
        "Windows denied the licensing service or the account access to a file or registry key",
        "use an administrator of the machine; if the account is one, restore the permissions of the Software "
        "Protection service (NETWORK SERVICE) on its store and registry keys",
    ),
    HResult(
        0x80070422,
        "ERROR_SERVICE_DISABLED",
        "the service is disabled",
        "enable the Software Protection service (sppsvc) on the machine",
    ),
    HResult(0x80070426, "ERROR_SERVICE_NOT_ACTIVE", "the service is not running", _SERVICE),
    HResult(0x8007041D, "ERROR_SERVICE_REQUEST_TIMEOUT", "the service did not start in time", _SERVICE),
    HResult(
        0x80070241,
        "ERROR_INVALID_IMAGE_HASH",
        "a system file does not match its digital signature",
        _FILES,
    ),
    HResult(0x8007000E, "E_OUTOFMEMORY", "the machine does not have enough memory", _BUSY, Again.READ),
    HResult(0x800706BA, "RPC_S_SERVER_UNAVAILABLE", "the RPC server does not answer", _WAIT, Again.READ),
    HResult(0x800706BB, "RPC_S_SERVER_TOO_BUSY", "the RPC server is too busy", _BUSY, Again.READ),
    HResult(0x800706BE, "RPC_S_CALL_FAILED", "an RPC call failed", _WAIT, Again.READ),
    # RPC defines it as "did not execute". Inferred (rpc-call-that-was-not-executed-changed-nothing): this is true of
    # the whole method. So retry only reads.
    HResult(0x800706BF, "RPC_S_CALL_FAILED_DNE", "an RPC call was not executed", _WAIT, Again.READ),
    HResult(0x80010108, "RPC_E_DISCONNECTED", "the process behind a WMI object has ended", _WAIT, Again.READ),
    HResult(0xC0020036, "EPT_NT_NOT_REGISTERED", "the licensing service does not accept calls", _SERVICE),
)
