"""The properties, elements and attributes whose values identify nobody.

A value stays if this module lists its name and the value has the listed form. All other values become stand-ins. The
classes are those that this project queries. Their properties are Microsoft's (learn.microsoft.com).
"""

from __future__ import annotations

import re

from avma.recording import shapes


def _names(text: str) -> frozenset[str]:
    return frozenset(text.lower().split())


_PLAIN = rf"\s*|true|false|{shapes.NUMBER}|{shapes.VERSION}|{shapes.TIME}"
_WORDS = r"[A-Za-z][A-Za-z0-9]*(?:[ :_][A-Za-z0-9]+){0,3}"

_FORMS = (
    # The protocol, and its faults (MS-WSMV, DSP0226).
    (
        _PLAIN,
        "MaxEnvelopeSize OperationTimeout MaxElements MaxCharacters MaxTime Total Expires IdleTimeOut ExitCode Delay "
        "ReturnValue Datetime Interval ShellRunTime ShellInactivity CIMStatusCode ErrorSourceFormat ErrorType "
        "PerceivedSeverity ProbableCause error_Category error_Code HRESULT NTSTATUS ProcessId ChildProcesses "
        "MemoryUsed SequenceId nil mustUnderstand End IsCIM_Error PROPAGATED",
    ),
    (
        rf"{shapes.SCHEMA_URI}|{shapes.NUMBER}",
        "xmlns Address Action ResourceURI FaultDetail State Code Dialect ProtocolVersion",
    ),
    (r"\w+:\w+", "Value type qname"),
    (r"[\w-]{2,35}", "lang"),
    (r"\s*", "Command"),
    (r"root/\w+(?:/\w+)?", "__cimnamespace"),
    (r"(?:%systemroot%|C:\\Windows)\\system32\\(?:wbem\\)?\w+\.(?:dll|mui)", "path"),
    (
        _WORDS,
        "EnumerationMode InputStreams OutputStreams DesiredStream error_Type ErrorSource Operation ProviderName "
        "WINRS_NOPROFILE WINRS_CONSOLEMODE_STDIN WINRS_SKIP_CMD_SHELL WSMAN_CMDSHELL_OPTION_KEEPALIVE MustComply",
    ),
    (shapes.NUMBER, "WINRS_CODEPAGE"),
    (shapes.VERSION, "protocolversion"),
    (shapes.CIM_CLASS, "CreationClassName SystemCreationClassName __CLASS CLASSNAME"),
    # SoftwareLicensingService and SoftwareLicensingProduct.
    (
        _PLAIN,
        "RemainingWindowsReArmCount RequiredClientCount VLActivationInterval VLRenewalInterval "
        "PolicyCacheRefreshRequired IsKeyManagementServiceMachine KeyManagementServicePort "
        "KeyManagementServiceListeningPort KeyManagementServiceDnsPublishing KeyManagementServiceHostCaching "
        "KeyManagementServiceLowPriority KeyManagementServiceCurrentCount KeyManagementServiceActivationDisabled "
        "KeyManagementServiceUnlicensedRequests KeyManagementServiceLicensedRequests "
        "KeyManagementServiceOOBGraceRequests KeyManagementServiceOOTGraceRequests "
        "KeyManagementServiceNonGenuineGraceRequests KeyManagementServiceNotificationRequests "
        "KeyManagementServiceTotalRequests KeyManagementServiceFailedRequests "
        "DiscoveredKeyManagementServiceMachinePort TokenActivationGrantNumber TokenActivationILVID "
        "SubscriptionStatus SubscriptionType SubscriptionExpiry AzureMetadataResponse EmitWindowsMeter "
        "LicenseStatus LicenseStatusReason GracePeriodRemaining EvaluationEndDate TrustedTime LicenseIsAddon "
        "GenuineStatus ExtendedGrace RemainingAppReArmCount RemainingSkuReArmCount VLActivationType "
        "VLActivationTypeEnabled AutomaticVMActivationLastActivationTime Version",
    ),
    (_WORDS, "LicenseFamily SubscriptionEdition ProductKeyChannel"),
    (r"[A-Z0-9]{5}", "PartialProductKey"),
    (shapes.GUID, "ID ApplicationID"),
    (r"Windows(?:\(R\))? Operating System(?: - Windows\(R\))?, [\w() -]+ channel", "Description"),
    (r"(?:Windows\(R\)|Office \d+), [\w() -]+ edition", "Name"),
    # The operating system, Hyper-V, clusters, the event log.
    (
        _PLAIN,
        "OperatingSystemSKU BuildNumber OSLanguage InstallDate LastBootUpTime LocalDateTime EnabledState "
        "OnTimeInMilliseconds EnabledDefault HealthState RequestedState TimeOfLastConfigurationChange Role EventCode "
        "EventIdentifier EventType TimeGenerated TimeWritten RecordNumber OperationalStatus NodeWeight",
    ),
    (r"Microsoft:Hyper-V:[\w:]+", "VirtualSystemType"),
    (r"Application|System", "Logfile"),
    (r"Microsoft Corporation", "ProductVendor"),
    (r"Simulated", "Vendor"),  # of a simulated host, so that its recording proves nothing about Windows
    (r"Azure Stack HCI|Windows Server Subscription", "subscriptionName"),
)
_STAYS = {name.lower(): re.compile(form, re.IGNORECASE) for form, names in _FORMS for name in names.split()}

SENTENCES = _names(
    "Text Message MessageID error_Message error_WindowsErrorMessage Description CIMStatusCodeDescription "
    "ProbableCauseDescription ProductVendor ProductVersion provider"
)
"""The names of texts for people, in lower case."""
URLS = _names("To")
QUERIES = _names("Filter ParameterInfo")
"""The names of values that may contain WQL."""
ACCOUNTS = _names("Owner UserName")
NAMED = _names("Selector Option Stream")
"""Elements with a property's name in their attribute `Name`."""

_GUEST_TELLS = _names(
    "OSName OSVersion OSMajorVersion OSMinorVersion OSBuildNumber OSEditionId OSPlatformId OSVendor OSSignature "
    "CSDVersion ProcessorArchitecture ProductType ServicePackMajor ServicePackMinor SuiteMask OSKernelVersion "
    "IntegrationServicesVersion OSDistributionName OSDistributionData"
)
_GUEST_NAMES = _names("FullyQualifiedDomainName NetworkAddressIPv4 NetworkAddressIPv6 RDPAddressIPv4 RDPAddressIPv6")
_SCRIPT_TELLS = re.compile(
    r"\w*(?:action|activated|activation|channel|code|count|date|edition|enabled|error|errorid|hresult|key|license"
    r"|message|mode|release|result|state|status|time|type|version|value)",
    re.IGNORECASE,
)
_STATES = _names(
    "none null true false yes no on off ok enabled disabled active inactive activated notactivated licensed unlicensed "
    "notlicensed unknown default succeeded failed pending productkey key subscription windowsserversubscription oem"
)


def stays(name: str, value: str) -> bool:
    """Return True if a value identifies nobody, given the name of its property, element or attribute."""
    form = _STAYS.get(name.lower())
    plain = form is not None and form.fullmatch(value) is not None
    return plain and shapes.address_in(value) is None


def guest_tells(item: str) -> bool:
    """Return True if a Data Exchange item does not identify the guest."""
    return item.lower() in _GUEST_TELLS


def is_guest_item(item: str) -> bool:
    """Return True if Windows defines a Data Exchange item of that name. Guests may add others."""
    return item.lower() in _GUEST_TELLS | _GUEST_NAMES


def script_tells(name: str, value: str) -> bool:
    """Return True if a property in a script's output describes a state, a key or an error, by its name or value."""
    return _SCRIPT_TELLS.fullmatch(name) is not None or value.replace(" ", "").lower() in _STATES
