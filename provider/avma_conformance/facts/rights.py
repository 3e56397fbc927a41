"""Facts about the rights of accounts that are not administrators."""

from __future__ import annotations

from avma import errors
from avma.windows import cluster, computer
from avma.windows.licensing import WINDOWS
from avma.wsman import envelope
from avma.wsman.envelope import CimMethod
from avma.wsman.identify import identify
from avma.wsman.instance import Instance
from avma.wsman.soap_faults import CANNOT_PROCESS_FILTER
from avma_conformance.fact import Area, Effect, NotHere, Observation, On, equal, fact, one_of, present, question, true
from avma_conformance.fault_form import NO_FAULT, FaultForm
from avma_conformance.licenses import PRODUCT, SERVICE, number
from avma_conformance.remote_shell import creation, fault_of_opening
from avma_conformance.subject import CIMV2, HYPER_V, Subject

_DENIED_BY_WINRM = "Sender, AccessDenied, 0x00000005, WSManFault"
_DENIED_BY_WINRM_NUMBERS = (0x00000005, 0x80070005)
_DENIED_BY_WMI = ("0x80041003", "0x80338104", "0x80338105", "0x80338106")
_NEEDS_ELEVATION = "0xC004F025"
_GUIDE = "Microsoft's Volume Activation guide"
_HYPER_V_QUERY = "SELECT Name FROM Msvm_ComputerSystem"


@fact(Area.RIGHTS, "description of Remote Management Users", on=On.USER)
def member_of_remote_management_users_reads_windows(subject: Subject) -> Observation:
    """A user with the right to root/cimv2 reads the operating system."""
    return equal(1, len(_rows(subject, "SELECT Version FROM Win32_OperatingSystem")))


@fact(Area.RIGHTS, _GUIDE, on=On.USER)
def user_reads_the_licensing_service(subject: Subject) -> Observation:
    """A user with the right to root/cimv2 reads the licensing service."""
    return equal(1, len(_rows(subject, f"SELECT Version FROM {SERVICE}")))


@fact(Area.RIGHTS, _GUIDE, on=On.USER)
def user_reads_the_licenses(subject: Subject) -> Observation:
    """A user with the right to root/cimv2 reads the licenses, with their status."""
    rows = _rows(subject, f"SELECT ID,LicenseStatus FROM {PRODUCT} WHERE ApplicationID = '{WINDOWS}'")
    known = [row for row in rows if row.integer("LicenseStatus") is not None]
    return true("at least 1 license with a status", bool(known), f"{len(known)} licenses with a status")


@fact(Area.RIGHTS, f"slerror.h, {_GUIDE}", on=On.USER, effect=Effect.HARMLESS)
def user_calls_no_licensing_method(subject: Subject) -> Observation:
    """A method of the licensing service is denied to a user, by WMI or with 0xC004F025."""
    return one_of((*_DENIED_BY_WMI, _NEEDS_ELEVATION), _method(subject, "RefreshLicenseStatus", {}))


@fact(Area.RIGHTS, f"slerror.h, {_GUIDE}", on=On.USER, effect=Effect.HARMLESS)
def key_of_a_user_is_not_even_examined(subject: Subject) -> Observation:
    """InstallProductKey is denied to a user before Windows examines the key."""
    found = _method(subject, "InstallProductKey", {"ProductKey": "not-a-key"})
    return one_of((*_DENIED_BY_WMI, _NEEDS_ELEVATION), found)


@fact(Area.RIGHTS, "containers/libhvee#224, microsoft/devhome#2476, Managing WMI security", on=On.USER)
def hyper_v_shows_no_vm_to_a_user(subject: Subject) -> Observation:
    """A user outside of Hyper-V Administrators gets no rows of Hyper-V, or is denied the namespace."""
    return _hidden(subject, HYPER_V, _HYPER_V_QUERY, "the host has no row of Hyper-V")


@fact(Area.RIGHTS, "inferred: from Hyper-V, and from Grant-ClusterAccess", on=On.USER)
def cluster_shows_nothing_to_a_user(subject: Subject) -> Observation:
    """A user without access to the cluster gets no rows of it, or is denied the namespace."""
    return _hidden(subject, cluster.NAMESPACE, "SELECT Name FROM MSCluster_Cluster", "the machine is not in a cluster")


def _hidden(subject: Subject, namespace: str, query: str, without_rows: str) -> Observation:
    """Compare the rows of a user with those of the administrator, who must see some."""
    _require_cimv2(subject)
    try:
        present(subject.query(query, namespace), without_rows)
        rows = subject.as_user().wmi.query(subject.context, namespace, query)
    except errors.WsmanFault as error:
        if error.code == CANNOT_PROCESS_FILTER:
            raise NotHere("the machine does not have the namespace") from error
        raise
    except errors.AccessDenied:
        return one_of(("0 rows", "access denied"), "access denied")
    return one_of(("0 rows", "access denied"), f"{len(rows)} rows")


@fact(Area.RIGHTS, "wsmerror.h, logs of DSC and winerlm", on=On.USER)
def namespace_without_a_grant_has_its_own_number(subject: Subject) -> Observation:
    """A namespace that does not grant access to a user denies it with 0x80338104, 0x80338105 or 0x80338106."""
    return one_of(_DENIED_BY_WMI[1:], number(_denied_namespace(subject)))


@fact(Area.RIGHTS, "inferred: from other errors of WMI", on=On.USER)
def denied_namespace_is_a_wmi_error(subject: Subject) -> Observation:
    """The fault for a denied namespace is Receiver, InternalError with an MSFT_WmiError."""
    fault = _denied_namespace(subject)
    return equal("Receiver, InternalError, MSFT_WmiError", f"{fault.code}, {fault.subcode}, {fault.form}")


def _denied_namespace(subject: Subject) -> FaultForm:
    """Return the fault of a namespace that denies access.

    Raises:
        NotHere: the machine lacks the namespace, or grants access to it.
    """
    _require_cimv2(subject)
    fault = subject.fault(envelope.enumerate_query(HYPER_V, _HYPER_V_QUERY), subject.user)
    if isinstance(fault, str):
        raise NotHere("the account has access to the namespace of Hyper-V")
    if fault.number == CANNOT_PROCESS_FILTER:
        raise NotHere("the machine does not have the namespace of Hyper-V")
    return fault


@fact(Area.RIGHTS, "inferred: from the fault for shells", on=On.USER)
def account_without_groups_is_denied_by_winrm(subject: Subject) -> Observation:
    """WinRM denies a request of an account without a group with AccessDenied and the number 5."""
    return equal(_DENIED_BY_WINRM, str(_denied_by_winrm(subject)))


@fact(Area.RIGHTS, "logs of pywinrm and Ansible", on=On.USER, effect=Effect.HARMLESS)
def account_without_groups_opens_no_shell(subject: Subject) -> Observation:
    """WinRM denies a shell to an account without a group with AccessDenied and the number 5."""
    _denied_by_winrm(subject)
    return equal(_DENIED_BY_WINRM, str(fault_of_opening(subject, creation(), subject.user)))


@fact(Area.RIGHTS, "inferred: from Identify, which needs no account at all", on=On.USER)
def account_without_groups_may_identify(subject: Subject) -> Observation:
    """Identify answers an account without a group."""
    _denied_by_winrm(subject)
    return equal("Microsoft Corporation", identify(subject.as_user().cim, subject.deadline).vendor)


@fact(Area.RIGHTS, "inferred: from the ACL of Microsoft.PowerShell", on=On.USER, effect=Effect.HARMLESS)
def member_of_remote_management_users_opens_a_shell(subject: Subject) -> Observation:
    """A member of Remote Management Users opens a shell of cmd.exe."""
    _require_cimv2(subject)
    return equal(NO_FAULT, str(fault_of_opening(subject, creation(), subject.user)))


STOPPED_HYPER_V = question(
    "stopped-hyper-v-service-lists-nothing",
    Area.RIGHTS,
    "While vmms is stopped, root/virtualization/v2 lists nothing, without an error.",
    "Run `Stop-Service vmms` on a host. List `Msvm_ComputerSystem` and `Msvm_VirtualSystemManagementService` through "
    "WinRM.",
    on=On.HYPER_V,
)
STOPPED_CLUSTER = question(
    "stopped-cluster-service-lists-nothing",
    Area.RIGHTS,
    "While ClusSvc is stopped on a node, root/mscluster of the node lists nothing, without an error.",
    "Run `Stop-ClusterNode` for a node. List `MSCluster_Cluster` on it through WinRM.",
    on=On.CLUSTER,
)
AVMA_CMDLETS = question(
    "server-avma-cmdlets-need-an-administrator",
    Area.RIGHTS,
    "The cmdlets of ServerAVMAManager deny access to an account that is not an administrator, also to read.",
    "Run `Get-VMAutomaticActivation` as a member of Remote Management Users, and note the error.",
    on=On.AZURE_LOCAL,
)
VIRTUAL_ACCOUNT = question(
    "virtual-account-of-hyper-v-administrators-reaches-guests",
    Area.RIGHTS,
    "A virtual account in Hyper-V Administrators is enough for PowerShell Direct.",
    "Register a session configuration from `avma jea`, and run `avma doctor` with it as a user without groups.",
    on=On.HYPER_V,
)


def _rows(subject: Subject, wql: str) -> list[Instance]:
    """Return the rows of a query of the user."""
    _require_cimv2(subject)
    return subject.as_user().wmi.query(subject.context, CIMV2, wql)


def _require_cimv2(subject: Subject) -> None:
    """Raise NotHere unless the user has access to root/cimv2 over the network."""
    fault = subject.fault(envelope.enumerate_query(CIMV2, computer.SYSTEM_QUERY), subject.user)
    if fault != NO_FAULT:
        raise NotHere("the account has no access to root/cimv2 over the network")


def _denied_by_winrm(subject: Subject) -> FaultForm:
    """Return the fault of WinRM for an account without a group.

    Raises:
        NotHere: WinRM serves the account.
    """
    fault = subject.fault(envelope.enumerate_query(CIMV2, computer.SYSTEM_QUERY), subject.user)
    if isinstance(fault, str) or fault.number not in _DENIED_BY_WINRM_NUMBERS:
        raise NotHere("WinRM serves the account")
    return fault


def _method(subject: Subject, name: str, parameters: dict[str, str]) -> str:
    """Return the number of the fault for a method of the licensing service that the user calls."""
    rows = _rows(subject, f"SELECT Version FROM {SERVICE}")
    if not rows:
        raise NotHere("the user does not read the licensing service")
    keys = {"Version": rows[0].text("Version") or ""}
    message = envelope.invoke(CimMethod(CIMV2, SERVICE, name), keys, parameters)
    return number(subject.fault(message, subject.user))
