"""Questions about licensing that no request can answer. A person finds the answers."""

from __future__ import annotations

from avma_conformance.fact import Area, On, question

REPEATED_ACTIVATION = question(
    "repeated-activation-uses-no-second-activation",
    Area.LICENSING,
    "Another activation of the same machine with the same key is free.",
    "Note the count of used activations of a MAK in the Microsoft 365 admin center. Run `slmgr /ato` on a machine that "
    "the key has activated. Compare the count a day later.",
)
PHONE = question(
    "phone-activation-needs-no-remaining-activation",
    Area.LICENSING,
    "The activation center grants a confirmation ID for a key without remaining online activations.",
    "Install a MAK that reports 0xC004C020 online. Request a confirmation ID for `slmgr /dti`, and note the result.",
)
EVALUATION_HOST = question(
    "evaluation-host-activates-no-guest",
    Area.LICENSING,
    "A guest on an evaluation of Datacenter gets 0xC004FD02.",
    "Install an AVMA key in a VM on an evaluation host. Run `slmgr /ato` in the VM, and note the number.",
    on=On.HYPER_V,
)
CONVERTED_EVALUATION = question(
    "converted-evaluation-keeps-its-license",
    Area.LICENSING,
    "After DISM has converted an evaluation, Windows still lists the license of the evaluation, with its family.",
    "Convert an evaluation with `DISM /Online /Set-Edition`. List `SoftwareLicensingProduct` with a "
    "`PartialProductKey`, and note the families and channels.",
)
PAY_AS_YOU_GO = question(
    "pay-as-you-go-has-status-one-and-type-two",
    Area.LICENSING,
    "A server that pays as it goes has SubscriptionStatus 1 and SubscriptionType 2.",
    "Activate Azure Arc pay-as-you-go on a Windows Server 2025. List the properties of `SoftwareLicensingService` "
    "whose names begin with Subscription, AzureMetadataResponse and EmitWindowsMeter.",
)
PAY_AS_YOU_GO_KEY = question(
    "pay-as-you-go-keeps-the-installed-key",
    Area.LICENSING,
    "Pay-as-you-go licenses the installed license, and does not change its key.",
    "Compare `PartialProductKey` and `LicenseStatus` before and after the activation of Azure Arc pay-as-you-go.",
)
MIGRATION = question(
    "migrated-guest-is-activated-by-its-new-host",
    Area.LICENSING,
    "After a live migration, the new host activates the guest, and the guest names it.",
    "Move an activated VM to another activated host. Watch `AutomaticVMActivationHostMachineName` and `LicenseStatus` "
    "in the VM for an hour.",
    on=On.CLUSTER,
)
UNLICENSED_TARGET = question(
    "migrated-guest-without-a-licensed-host-becomes-notification",
    Area.LICENSING,
    "After a live migration to a host without a license, the guest changes to Notification with 0xC004FD04.",
    "Move an activated VM to a host that is not activated. Watch `LicenseStatus` and `LicenseStatusReason` in the VM.",
    on=On.CLUSTER,
)
RENEWAL = question(
    "avma-license-lasts-until-its-end-without-a-host",
    Area.LICENSING,
    "If a renewal fails, a licensed guest stays licensed until the end of its license.",
    "Uninstall the key of a host. Watch `LicenseStatus` and `GracePeriodRemaining` of an activated VM for eight days.",
    on=On.HYPER_V,
)
NESTED_HOST = question(
    "nested-host-activates-no-guest",
    Area.LICENSING,
    "A guest of a nested Hyper-V host gets 0xC004FD02, even if the nested host is activated.",
    "Install an AVMA key in a VM of an activated Datacenter VM with Hyper-V. Run `slmgr /ato`, and note the number.",
    on=On.HYPER_V,
)
DATA_EXCHANGE = question(
    "guest-without-data-exchange-finds-no-host",
    Area.LICENSING,
    "Without the Data Exchange integration service, a guest gets 0xC004FD01.",
    "Turn off Key-Value Pair Exchange of a VM with an AVMA key. Run `slmgr /ato` in the VM, and note the number.",
    on=On.HYPER_V,
)
EVENTS = question(
    "activation-events-contain-the-number",
    Area.LICENSING,
    "The events 12309 and 12310 contain one of four notifications, and the number of the error.",
    "Run `Get-WinEvent` for both events on a host and a guest after a failed and a successful activation. Note the "
    "insertion strings and the number that belongs to each notification.",
    on=On.HYPER_V,
)
EVENT_SOURCE = question(
    "activation-events-come-from-the-licensing-platform",
    Area.LICENSING,
    "The source of the events 12309 and 12310 is Microsoft-Windows-Security-SPP.",
    "Note `SourceName` and `Message` of both events in `Win32_NTLogEvent`.",
    on=On.HYPER_V,
)
EXTENDED_GRACE = question(
    "extended-grace-has-the-reason-of-additional-grace",
    Area.LICENSING,
    "The reason of a license in ExtendedGrace is 0x4004F00D.",
    "Note `LicenseStatusReason` and `GracePeriodRemaining` of a machine with `LicenseStatus` 6.",
)
SEMI_ANNUAL = question(
    "semi-annual-release-after-1909-accepts-no-avma-key",
    Area.LICENSING,
    "Windows Server 2004, 20H2 and 23H2 accept no published AVMA key.",
    "Run `slmgr /ipk` with the AVMA keys of 2019 and 2022 on such a guest, and note the number.",
)
ACTIVATION_TIME = question(
    "activation-may-outlive-its-request",
    Area.LICENSING,
    "Activate may take longer than one request. Then the request ends with TimedOut, and the activation continues.",
    "Block the internet connection of a host with a purchased key by a firewall that drops packets. Call Activate "
    "through WinRM. Note the time until the answer, and watch `LicenseStatus`.",
)
UNDELIVERED_CALL = question(
    "rpc-call-that-was-not-executed-changed-nothing",
    Area.LICENSING,
    "After 0x800706BF from a method of the licensing service, no part of the method has run.",
    "Search WMI-Activity and the Application event log for a call that failed with this number, and for its effects.",
)
QUOTA = question(
    "quota-is-checked-before-an-operation-begins",
    Area.LICENSING,
    "After a fault about the quota of operations or shells, WinRM did not pass the call to a plug-in.",
    "Set MaxConcurrentOperationsPerUser to 1, keep one enumeration open, and call RefreshLicenseStatus. Check "
    "WMI-Activity for the call.",
)

AZURE_LOCAL_SOURCES = question(
    "subscription-takes-precedence-over-a-server-key",
    Area.AZURE_LOCAL,
    "A machine with a subscription or an OEM license and a key activates its guests with the first of them.",
    "Apply a key to a machine with a subscription. Compare the output of `Get-VMAutomaticActivation` before and after.",
    on=On.AZURE_LOCAL,
)
AZURE_LOCAL_KEYS = question(
    "server-key-that-does-not-fit-has-a-licensing-error",
    Area.AZURE_LOCAL,
    "`Set-VMAutomaticActivation` reports 0xC004F050, 0xC004F069 or 0xC004F033 for an unknown, unsuitable or older key.",
    "Run it with a key that does not exist, with a key for Standard, and with a key of an older release. Note the "
    "errors.",
    on=On.AZURE_LOCAL,
)
AZURE_LOCAL_TIME = question(
    "server-key-is-applied-within-four-minutes",
    Area.AZURE_LOCAL,
    "`Set-VMAutomaticActivation` takes less than 240 seconds, with the activation at Microsoft.",
    "Measure the cmdlet with a new key, with and without a connection to the internet.",
    on=On.AZURE_LOCAL,
)
AZURE_EDITION = question(
    "azure-edition-guest-needs-the-subscription",
    Area.AZURE_LOCAL,
    "A server key without Software Assurance does not activate guests with Datacenter: Azure Edition.",
    "Install the AVMA key of Azure Edition in a VM on a machine with a server key. Run `slmgr /ato`, and note the "
    "number.",
    on=On.AZURE_LOCAL,
)
AZURE_LOCAL_OUTPUT = question(
    "automatic-activation-shows-state-source-and-key",
    Area.AZURE_LOCAL,
    "`Get-VMAutomaticActivation` shows whether the activation is on, and the release and last characters of the key.",
    "Run it on a machine with a key, on one with a subscription, and on one with neither. Note all names and values.",
    on=On.AZURE_LOCAL,
)
MISSING_SUBSCRIPTION = question(
    "missing-subscription-is-inactive",
    Area.AZURE_LOCAL,
    "`Get-AzureStackHCISubscriptionStatus` lists a Windows Server Subscription that is not bought as Inactive.",
    "Run it on a machine without the subscription.",
    on=On.AZURE_LOCAL,
)
