"""Facts about `SoftwareLicensingService`, the licensing service of Windows."""

from __future__ import annotations

from avma.windows import computer
from avma.windows.licensing import OWN
from avma.wsman import envelope
from avma_conformance.fact import Area, Effect, NotHere, Observation, equal, fact, like, true
from avma_conformance.fault_form import NO_FAULT, fault_form
from avma_conformance.licenses import (
    LICENSED,
    SERVICE,
    answer,
    call,
    channel,
    value_of,
    version_of_service,
    with_keys,
)
from avma_conformance.subject import CIMV2, Subject

_FIRST_WITH_SUBSCRIPTION = 25398
_SUBSCRIPTION = f"SELECT SubscriptionStatus,SubscriptionType FROM {SERVICE}"
_MISSING = "Sender, DestinationUnreachable, 0x80338000, WSManFault, InvalidResourceURI, WMI Provider"
_REFRESH = "RefreshLicenseStatus"


@fact(Area.LICENSING, "SppWmi on Microsoft Learn, slmgr.vbs")
def licensing_service_has_one_row(subject: Subject) -> Observation:
    """Windows has one SoftwareLicensingService."""
    return equal(1, len(subject.query(f"SELECT Version FROM {SERVICE}")))


@fact(Area.LICENSING, "listings of slmgr on several releases")
def version_of_licensing_service_has_four_numbers(subject: Subject) -> Observation:
    """The version of the licensing service has four numbers, and begins with those of Windows."""
    windows = subject.row("SELECT Version FROM Win32_OperatingSystem").text("Version") or ""
    platform = ".".join(windows.split(".")[:2]).replace(".", r"\.")
    return like(rf"{platform}\.\d+\.\d+", version_of_service(subject)["Version"])


@fact(Area.LICENSING, "a listing of slmgr on build 26200, which shows 10.0.26100")
def version_of_licensing_service_may_lag_behind(subject: Subject) -> Observation:
    """The build in the version of the licensing service is that of Windows, or an earlier one."""
    build = subject.server.system(subject.deadline).build
    found = computer.build_of(version_of_service(subject)["Version"])
    return true(f"at most {build}", found is not None and found <= build, found)


@fact(Area.LICENSING, "inferred: from the key property Version in SppWmi.mof")
def licensing_service_is_found_by_its_version(subject: Subject) -> Observation:
    """Get with the selector Version returns the licensing service."""
    selectors = version_of_service(subject)
    found = subject.exchange(envelope.get(CIMV2, SERVICE, selectors))
    fault = fault_form(found)
    same = value_of(found, "Version") == selectors["Version"]
    return equal("the same version", str(fault) if fault else "the same version" if same else "another version")


@fact(Area.LICENSING, "inferred: from a missing Win32_Process, recorded on 2012 R2", effect=Effect.HARMLESS)
def licensing_service_of_another_version_is_missing(subject: Subject) -> Observation:
    """A method of a licensing service with another version is rejected like a missing instance."""
    return equal(_MISSING, str(call(subject, SERVICE, _REFRESH, {"Version": "1.1.1.1"}, {})))


@fact(Area.LICENSING, "inferred: from a Hyper-V method, reported by go-wsman", effect=Effect.HARMLESS)
def licensing_method_needs_the_version(subject: Subject) -> Observation:
    """A method of the licensing service without a selector is rejected as an invalid call."""
    return equal("Receiver, InternalError, 0x8004102F, MSFT_WmiError", str(call(subject, SERVICE, _REFRESH, {}, {})))


@fact(Area.LICENSING, "SppWmi on Microsoft Learn, slmgr.vbs", effect=Effect.HARMLESS)
def refreshing_the_license_status_returns_zero(subject: Subject) -> Observation:
    """RefreshLicenseStatus returns 0 within the time limit of one request."""
    found = answer(subject, SERVICE, _REFRESH, version_of_service(subject), {})
    fault = fault_form(found)
    return equal("ReturnValue 0", str(fault) if fault else f"ReturnValue {value_of(found, 'ReturnValue')}")


@fact(Area.LICENSING, "MS-WSMV 4.1.4", effect=Effect.HARMLESS)
def output_of_a_licensing_method_has_its_name(subject: Subject) -> Observation:
    """The answer of a method is an element with the name of the method and _OUTPUT, in the namespace of the class."""
    found = answer(subject, SERVICE, _REFRESH, version_of_service(subject), {})
    expected = f"{{{envelope.class_uri(CIMV2, SERVICE)}}}{_REFRESH}_OUTPUT"
    outputs = [each.tag for each in found.iter() if each.tag.endswith("_OUTPUT")]
    return equal(expected.lower(), next(iter(outputs), "").lower())


@fact(Area.LICENSING, "inferred: from the WMI bindings of 2019 and 23H2 (microsoft/wmi)")
def subscription_properties_came_after_2022(subject: Subject) -> Observation:
    """The licensing service has properties of a subscription from build 25398 on."""
    build = subject.server.system(subject.deadline).build
    fault = subject.fault(envelope.enumerate_query(CIMV2, _SUBSCRIPTION))
    expected = "present" if build >= _FIRST_WITH_SUBSCRIPTION else "absent"
    return equal(expected, "present" if fault == NO_FAULT else "absent")


@fact(Area.LICENSING, "inferred: from the names of the properties")
def server_without_pay_as_you_go_has_no_subscription(subject: Subject) -> Observation:
    """SubscriptionStatus is 0 if the server does not pay as it goes."""
    system = subject.server.system(subject.deadline)
    if system.build < _FIRST_WITH_SUBSCRIPTION or system.azure_local:
        raise NotHere("the machine is not a Windows Server with properties of a subscription")
    licensed = [row for row in with_keys(subject) if row.integer("LicenseStatus") == LICENSED]
    if any(channel(row) not in OWN for row in licensed):
        raise NotHere("a subscription may license the machine")
    return equal(0, subject.row(_SUBSCRIPTION).integer("SubscriptionStatus"))
