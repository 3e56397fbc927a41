"""Questions about PowerShell that only a person can answer: JEA, language modes, logs and sessions that hang."""

from __future__ import annotations

from avma_conformance.fact import Area, On, question

JEA_REACHES_GUESTS = question(
    "jea-virtual-account-reaches-guests",
    Area.GUESTS,
    "A virtual account in Hyper-V Administrators can use PowerShell Direct.",
    "Register the session configuration of `avma jea` on a host. Set AVMA_CONFIGURATION_NAME, and run `avma report` "
    "with an account for guests.",
    on=On.GUEST,
)
JEA_JOBS = question(
    "jea-session-runs-jobs-of-powershell-direct",
    Area.GUESTS,
    "A function of a restricted session can start Invoke-Command with VMId and AsJob, and receive its job.",
    "Register the session configuration of `avma jea --azure-local` on a host, whose virtual account is an "
    "administrator. Set AVMA_CONFIGURATION_NAME, and run `avma report` with an account for guests.",
    on=On.GUEST,
)
JEA_MODULES = question(
    "jea-session-loads-its-modules",
    Area.REMOTING,
    "A restricted session loads the modules Hyper-V and ServerAVMAManager for the functions of its role.",
    "Register the session configuration of `avma jea` on a host. Set AVMA_CONFIGURATION_NAME, run `avma doctor`, and "
    "look for a missing module in its output.",
    on=On.HYPER_V,
)
CONSTRAINED = question(
    "constrained-language-runs-the-script-for-guests",
    Area.GUESTS,
    "The script for guests runs in Constrained Language Mode, on the host and in the guest.",
    "Enforce a policy of App Control for Business with script enforcement on the host, and then in the guest. Run "
    "`avma report` with an account for guests each time. `avma doctor` shows the language mode of the host.",
    on=On.GUEST,
)
DENY_ENTRY = question(
    "deny-entry-stops-other-sessions",
    Area.REMOTING,
    "Windows PowerShell can deny an account the session configurations of PowerShell 7 and of microsoft.powershell."
    "workflow, and the entry stops its sessions.",
    "Run the commands of the page about hardening on a host with PowerShell 7. Then run `New-PSSession HOST "
    "-Credential ACCOUNT -ConfigurationName NAME` with PowerShell.7 and with microsoft.powershell.workflow. Both must "
    "fail.",
)
MODULE_LOG = question(
    "module-log-shows-the-types-of-secrets",
    Area.REMOTING,
    "Event 4103 shows only the type names of SecureString and PSCredential parameters.",
    "Turn on module logging for all modules on a host and in a guest. Run `pulumi up` with a key, and look for the key "
    "and the password in the events 4103 of Microsoft-Windows-PowerShell/Operational.",
    on=On.GUEST,
)
HANGING_GUEST = question(
    "hanging-guest-blocks-the-script",
    Area.GUESTS,
    "A guest that does not answer while it takes the credentials blocks Invoke-Command, also with AsJob, without a "
    "time limit.",
    "Debug or suspend the process of the service vmicvmsession in a guest. On the host, run `Measure-Command { "
    "Invoke-Command -VMId ID -Credential ACCOUNT -AsJob { 1 } }`. It does not return until the process continues.",
    on=On.GUEST,
)
LOST_SESSION = question(
    "lost-guest-session-has-its-error-id",
    Area.GUESTS,
    "A session in a guest that ends during a script fails with 2100,PSSessionStateBroken.",
    "Run `Invoke-Command -VMId ID -Credential ACCOUNT { Start-Sleep 300 }` on the host, and restart the guest. Read "
    "`$Error[0].FullyQualifiedErrorId` and the types of `$Error[0].Exception` and of its inner exceptions.",
    on=On.GUEST,
)
NEGOTIATION = question(
    "failed-negotiation-has-a-known-text",
    Area.GUESTS,
    'The error of a host that cannot negotiate with an old guest contains "secure connection".',
    r"Set RequirePsDirectAuthentication to 1 in HKLM\SOFTWARE\Microsoft\PowerShell on a host with current updates. Run "
    "`Invoke-Command -VMId ID -Credential ACCOUNT { 1 }` for a guest without updates since 2024, and read the text.",
    on=On.GUEST,
)
OLD_GUEST = question(
    "guest-before-2016-fails-quickly",
    Area.GUESTS,
    "A session in a running guest with Windows Server 2012 R2 fails within some seconds with PSSessionStateBroken.",
    "Run `Measure-Command { Invoke-Command -VMId ID -Credential ACCOUNT { 1 } }` for such a guest, and read "
    "`$Error[0].FullyQualifiedErrorId`.",
    on=On.VM,
)
STARTING_GUEST = question(
    "starting-guest-rejects-the-account",
    Area.GUESTS,
    "A guest whose Windows is still starting rejects a correct account like a wrong one.",
    "Restart a guest. On the host, run `Invoke-Command -VMId ID -Credential ACCOUNT { 1 }` every two seconds, and note "
    "each error id and text until it succeeds.",
    on=On.GUEST,
)
PARALLEL_GUESTS = question(
    "sessions-in-guests-run-in-parallel",
    Area.GUESTS,
    "Sessions of PowerShell Direct in 16 VMs run in parallel from one PowerShell process.",
    "On a host with at least 16 Windows VMs, run `avma report` with an account for guests. Compare its time with that "
    "for one VM.",
    on=On.GUEST,
)
VM_STATES = question(
    "vm-in-transition-has-the-number-of-cim",
    Area.HYPER_V,
    "A VM that is stopping, saved, paused or starting has EnabledState 4, 6, 9 or 10. Saving, pausing and resuming are "
    "32773, 32776 and 32777.",
    "Save, resume, pause, start and stop a VM. Meanwhile compare `(Get-VM NAME).State` with `(Get-CimInstance "
    "-Namespace root/virtualization/v2 Msvm_ComputerSystem -Filter \"ElementName='NAME'\").EnabledState`.",
    on=On.HYPER_V,
)
