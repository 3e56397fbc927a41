from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from defusedxml.ElementTree import fromstring
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError

from avma_simulator import EstateServer
from simulator.client import (
    CIMV2,
    ENUMERATION,
    HYPERV,
    NS,
    OPTIMISED,
    PRODUCT,
    SERVICE,
    TRANSFER,
    Client,
    body_of,
    context,
    envelope,
    items,
    properties,
)
from waiting import advance_until

XSI = "{http://www.w3.org/2001/XMLSchema-instance}"
SYSTEM = f"{CIMV2}/Win32_OperatingSystem"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"


@pytest.fixture
def client(shared: EstateServer) -> Iterator[Client]:
    with Client(shared.url("hv01")) as opened:
        yield opened


def fault(call: Callable[[], object]) -> tuple[object, object, object]:
    with pytest.raises(WSManFaultError) as caught:
        call()
    assert caught.value.code == 500
    return caught.value.fault_code, caught.value.fault_subcode, caught.value.wsman_fault_code


def test_select_all_gives_instances_of_the_class(client: Client) -> None:
    (row,) = items(client.enumerate("SELECT * FROM Win32_OperatingSystem"))
    assert row.tag == f"{{{SYSTEM}}}Win32_OperatingSystem"
    assert row.get(f"{XSI}type") == "p:Win32_OperatingSystem_Type"
    assert {child.tag.rpartition("}")[0] for child in row} == {f"{{{SYSTEM}"}
    values = properties(row)
    assert values["Caption"] == ["Microsoft Windows Server 2025 Datacenter"]
    assert values["BuildNumber"] == ["26100"]
    assert values["OperatingSystemSKU"] == ["8"]
    assert values["Primary"] == ["true"]
    assert "ServicePackMajorVersion" in values
    assert str(values["LastBootUpTime"][0]).endswith("Z")


def test_a_column_list_gives_fragments_in_alphabetical_order(client: Client) -> None:
    (row,) = items(client.enumerate("SELECT Version, csname, Caption FROM Win32_OperatingSystem"))
    assert row.tag == f"{{{NS['w']}}}XmlFragment"
    assert [child.tag for child in row] == ["Caption", "CSName", "Version"]


def test_one_row_needs_one_request(client: Client) -> None:
    answer = client.enumerate("SELECT Version FROM SoftwareLicensingService")
    body = answer.find("s:Body/n:EnumerateResponse", NS)
    assert body is not None
    assert [child.tag for child in body] == [
        f"{{{NS['n']}}}EnumerationContext",
        f"{{{NS['w']}}}Items",
        f"{{{NS['w']}}}EndOfSequence",
    ]
    assert context(answer) is None


def test_no_row_is_an_empty_page(client: Client) -> None:
    answer = client.enumerate("SELECT ID FROM SoftwareLicensingProduct WHERE ID = 'x'")
    assert items(answer) == []
    assert context(answer) is None


def test_an_optimised_enumerate_of_several_rows_gives_one(client: Client) -> None:
    first = client.enumerate("SELECT ID FROM SoftwareLicensingProduct")
    assert len(items(first)) == 1
    name = context(first)
    rest = client.pull(str(name))
    assert len(items(rest)) == 5
    assert context(rest) is None
    assert rest.find("s:Body/n:PullResponse/n:EndOfSequence", NS) is not None
    with pytest.raises(WSManFaultError) as caught:
        client.pull(str(name))
    assert caught.value.wsman_fault_code == 0x8033801B


def test_a_plain_enumerate_gives_a_context_only(client: Client) -> None:
    answer = client.enumerate("SELECT ID FROM SoftwareLicensingProduct", extra="")
    assert items(answer) == []
    contexts = [str(context(answer))]
    rows: list[ET.Element] = []
    while contexts[-1] != "None":
        answer = client.pull(contexts[-1], elements=None)
        assert len(items(answer)) == 1
        rows += items(answer)
        contexts.append(str(context(answer)))
    assert len(rows) == 6
    assert len(set(contexts)) == len(contexts)


def test_pages_end_at_half_of_the_envelope(serve: Callable[[str], EstateServer]) -> None:
    vms = "".join(f"  - {{name: vm{n}, version: 2025, edition: Standard}}\n" for n in range(40))
    text = "hosts:\n- name: h\n  version: 2025\n  edition: Datacenter\n  username: Administrator\n"
    estate = serve(f"{text}  password: Pa55w.rd\n  vms:\n{vms}")
    select = "SELECT SystemName,GuestIntrinsicExchangeItems FROM Msvm_KvpExchangeComponent"
    sizes, names = [], []
    with Client(estate.url("h")) as client:
        answer = client.enumerate(select, f"{HYPERV}/*")
        names += [properties(row)["SystemName"][0] for row in items(answer)]
        while (name := context(answer)) is not None:
            answer = client.pull(name, size=153600)
            sizes.append(client.received)
            names += [properties(row)["SystemName"][0] for row in items(answer)]
    assert len(set(names)) == 40
    assert len(sizes) > 1
    assert all(size <= 76800 for size in sizes)
    assert all(size > 60000 for size in sizes[:-1])


def test_release_ends_an_enumeration(client: Client) -> None:
    name = str(context(client.enumerate("SELECT ID FROM SoftwareLicensingProduct")))
    body = f"<n:Release><n:EnumerationContext>{name}</n:EnumerationContext></n:Release>"
    answer = client.send(envelope(f"{ENUMERATION}/Release", f"{CIMV2}/*", body))
    assert len(body_of(answer)) == 0
    assert fault(lambda: client.pull(name)) == ("s:Receiver", "n:InvalidEnumerationContext", 0x8033801B)


@pytest.mark.parametrize(
    ("mode", "path"), [("EnumerateEPR", "a:EndpointReference"), ("EnumerateObjectAndEPR", "w:Item")]
)
def test_references(client: Client, mode: str, path: str) -> None:
    extra = f"{OPTIMISED}<w:EnumerationMode>{mode}</w:EnumerationMode>"
    answer = client.enumerate(None, SERVICE, extra=extra)
    (item,) = answer.findall(f"s:Body/n:EnumerateResponse/w:Items/{path}", NS)
    assert item.findtext(".//a:ReferenceParameters/w:ResourceURI", None, NS) == SERVICE
    selectors = {s.get("Name"): s.text for s in item.iter(f"{{{NS['w']}}}Selector")}
    assert selectors == {"__cimnamespace": "root/cimv2", "Version": "10.0.26100.1"}


def test_names_ignore_case(client: Client) -> None:
    upper = client.enumerate(
        "select version from softwarelicensingservice", CIMV2.upper().replace("HTTP", "http") + "/*"
    )
    assert [properties(row) for row in items(upper)] == [{"Version": ["10.0.26100.1"]}]


def test_a_class_is_listed_and_pulled_at_its_own_uri_or_at_that_of_all(client: Client) -> None:
    (whole,) = items(client.enumerate(None, SERVICE))
    assert properties(whole)["Version"] == ["10.0.26100.1"]
    rows = []
    for resource in (PRODUCT, f"{CIMV2}/*"):
        name = context(client.enumerate(None, PRODUCT, extra=""))
        body = f"<n:Pull><n:EnumerationContext>{name}</n:EnumerationContext><n:MaxElements>9</n:MaxElements></n:Pull>"
        rows.append(len(items(client.send(envelope(f"{ENUMERATION}/Pull", resource, body)))))
    assert rows[0] == rows[1] > 1


def test_a_class_that_is_not_there_is_not_listed(client: Client) -> None:
    expected = ("s:Sender", "a:DestinationUnreachable", 2150858752)
    assert fault(lambda: client.enumerate(None, f"{CIMV2}/Win32_Nothing")) == expected


def test_get_needs_the_keys(client: Client) -> None:
    assert client.get(SERVICE, {"Version": "10.0.26100.1"})["Version"] == ["10.0.26100.1"]
    product = str(client.installed()["ID"][0])
    assert client.get(PRODUCT, {"id": product.upper(), "__cimnamespace": "root/cimv2"})["ID"] == [product]


@pytest.mark.parametrize("selectors", [{"Name": "x"}, {"Version": "10.0.26100.1", "Name": "x"}])
def test_selectors_that_are_no_keys_are_refused(client: Client, selectors: dict[str, str]) -> None:
    expected = ("s:Sender", "w:InvalidSelectors", 2150858843)
    assert fault(lambda: client.get(SERVICE, selectors)) == expected
    assert fault(lambda: client.invoke(SERVICE, "RefreshLicenseStatus", selectors)) == expected


def test_an_instance_that_does_not_exist_is_named_by_a_fault_of_the_wmi_provider(client: Client) -> None:
    with pytest.raises(WSManFaultError) as caught:
        client.get(SERVICE, {"Version": "1"})
    error = caught.value
    assert (error.fault_code, error.fault_subcode, error.wsman_fault_code) == (
        "s:Sender",
        "a:DestinationUnreachable",
        2150858752,
    )
    nested = fromstring(str(error.response)).find(".//{*}ProviderFault/{*}WSManFault")
    assert nested is not None
    assert nested.get("Code") == "2150858752"
    status = fromstring(str(error.response)).findtext(".//{*}ExtendedError/{*}__ExtendedStatus/{*}ParameterInfo")
    assert status == 'SoftwareLicensingService.Version="1"'


def test_methods_answer_with_their_output(client: Client) -> None:
    answer = client.invoke(SERVICE, "RefreshLicenseStatus", {"Version": "10.0.26100.1"})
    assert answer.findtext("s:Header/a:Action", None, NS) == f"{SERVICE}/RefreshLicenseStatusResponse"
    output = body_of(answer)[0]
    assert output.tag == f"{{{SERVICE}}}RefreshLicenseStatus_OUTPUT"
    assert properties(output) == {"ReturnValue": ["0"]}


def test_identify(client: Client) -> None:
    body = "<i:Identify xmlns:i='http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd'/>"
    answer = client.send(f"<s:Envelope xmlns:s='{NS['s']}'><s:Header/><s:Body>{body}</s:Body></s:Envelope>")
    told = properties(body_of(answer)[0])
    assert told["ProductVersion"] == ["OS: 10.0.26100 SP: 0.0 Stack: 3.0"]


@pytest.mark.parametrize(
    ("query", "resource"),
    [
        ("SELECT nonsense", f"{CIMV2}/*"),
        ("SELECT Nothing FROM Win32_OperatingSystem", f"{CIMV2}/*"),
        ("SELECT * FROM Win32_Nothing", f"{CIMV2}/*"),
        ("SELECT * FROM Win32_OperatingSystem", f"{HYPERV}/*"),
        ("SELECT * FROM Win32_OperatingSystem", "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/nothing/*"),
        (None, f"{CIMV2}/*"),
        ("SELECT Version FROM SoftwareLicensingService", SERVICE),
        ("SELECT * FROM Win32_Nothing", f"{CIMV2}/Win32_Nothing"),
    ],
)
def test_what_cannot_be_queried(client: Client, query: str | None, resource: str) -> None:
    with pytest.raises(WSManFaultError) as caught:
        client.enumerate(query, resource)
    assert (caught.value.fault_code, caught.value.fault_subcode) == ("s:Sender", "n:CannotProcessFilter")
    assert caught.value.wmierror_code == 2150858778


def test_a_guest_has_no_hyperv(shared: EstateServer) -> None:
    with Client(shared.url("web02")) as client, pytest.raises(WSManFaultError) as caught:
        client.query("SELECT * FROM Msvm_ComputerSystem", f"{HYPERV}/*")
    assert caught.value.wmierror_code == 2150858778


def test_another_dialect_is_refused(client: Client) -> None:
    expected = ("s:Sender", "n:FilterDialectRequestedUnavailable", 0x80338019)
    assert fault(lambda: client.enumerate("x", dialect="http://www.w3.org/TR/xpath")) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("not xml", ("s:Sender", "w:SchemaValidationError", 2150858817)),
        ("<a/>", ("s:Sender", "w:SchemaValidationError", 2150858817)),
        (
            "<!DOCTYPE a [<!ENTITY b 'c'>]>" + envelope("x", "y"),
            ("s:Sender", "w:SchemaValidationError", 2150858817),
        ),
        (envelope(f"{ENUMERATION}/Enumerate", SERVICE), ("s:Sender", "w:SchemaValidationError", 2150858817)),
        (
            envelope(f"{SERVICE}/InstallProductKey", SERVICE, selectors={"Version": "10.0.26100.1"}),
            ("s:Sender", "w:SchemaValidationError", 2150858817),
        ),
        (envelope("", SERVICE), ("s:Sender", "a:MessageInformationHeaderRequired", 0x80338011)),
        (envelope("urn:what", SERVICE), ("s:Sender", "a:ActionNotSupported", 0x80338013)),
        (envelope(f"{TRANSFER}/Put", SERVICE), ("s:Sender", "a:ActionNotSupported", 0x80338013)),
        (envelope(f"{SERVICE}/Reboot", SERVICE), ("s:Sender", "a:ActionNotSupported", 0x80338013)),
        (envelope(f"{ENUMERATION}/Renew", SERVICE), ("s:Sender", "a:ActionNotSupported", 0x80338013)),
        (envelope(f"{TRANSFER}/Get", "urn:what"), ("s:Sender", "a:DestinationUnreachable", 0x8033803B)),
        (
            envelope(f"{TRANSFER}/Get", f"{CIMV2}/Win32_Nothing"),
            ("s:Sender", "a:DestinationUnreachable", 0x80338000),
        ),
        (envelope(f"{TRANSFER}/Get", SERVICE, size=int("9" * 30)), ("s:Sender", "w:SchemaValidationError", 2150858817)),
        (envelope(f"{TRANSFER}/Get", SERVICE, size=8191), ("s:Sender", "w:EncodingLimit", 0x8033807E)),
        (
            envelope(f"{TRANSFER}/Get", SERVICE, headers="<x s:mustUnderstand='true'/>"),
            ("s:MustUnderstand", None, None),
        ),
        (
            envelope(f"{TRANSFER}/Get", SERVICE, headers="<f:x s:mustUnderstand='1'/>"),
            ("s:MustUnderstand", None, None),
        ),
        (
            envelope(f"{TRANSFER}/Get", SERVICE, headers="<w:Locale s:mustUnderstand='true'/>"),
            ("s:Sender", "w:UnsupportedFeature", 0x80338087),
        ),
        (envelope(f"{TRANSFER}/Create", SHELL), ("s:Sender", "w:SchemaValidationError", 0x80338041)),
    ],
)
def test_faults_of_the_protocol(client: Client, message: str, expected: tuple[str, str | None, int]) -> None:
    assert fault(lambda: client.send(message)) == expected


def test_a_fault_relates_to_its_request(client: Client) -> None:
    message = envelope("urn:what", SERVICE)
    asked = fromstring(message).findtext("s:Header/a:MessageID", None, NS)
    with pytest.raises(WSManFaultError) as caught:
        client.send(message)
    assert asked is not None
    assert asked in str(caught.value.response)


def test_an_account_without_rights_is_denied(shared: EstateServer) -> None:
    with Client(shared.url("visitor")) as client:
        assert fault(lambda: client.enumerate("SELECT * FROM Win32_OperatingSystem")) == (
            "s:Sender",
            "w:AccessDenied",
            5,
        )


def test_a_message_that_is_too_large(client: Client) -> None:
    for size in (512001, 3_000_000):
        with pytest.raises(WinRMTransportError) as caught:
            client.send(envelope(f"{TRANSFER}/Get", SERVICE, "x" * size))
        assert caught.value.code == 413


def test_requests_can_be_slow(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(
        "hosts:\n- {name: h, version: 2025, edition: Datacenter, username: Administrator, password: Pa55w.rd,"
        " delays: {request: 30}}\n"
    )
    query = "SELECT Version FROM SoftwareLicensingService"
    with Client(estate.url("h")) as client, ThreadPoolExecutor(1) as pool:
        with pytest.raises(WinRMOperationTimeoutError):
            client.enumerate(query, timeout="PT0.2S")
        answer = pool.submit(client.enumerate, query, timeout="PT60S")
        advance_until(estate, 31, answer.done)
        assert answer.result() is not None


def test_an_error_inside_is_a_fault_and_one_line(
    shared: EstateServer, client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avma_simulator.wmi.operating_system.operating_system", None)
    expected = ("s:Receiver", "w:InternalError", 0x8007054F)
    assert fault(lambda: client.enumerate("SELECT * FROM Win32_OperatingSystem")) == expected
    assert caplog.messages == ["hv01: a request failed with an unexpected error: TypeError"]
    assert caplog.records[0].exc_info is None


def test_hyperv_lists_the_host_and_its_vms(shared: EstateServer, client: Client) -> None:
    rows = client.query("SELECT Name,ElementName,EnabledState FROM Msvm_ComputerSystem", f"{HYPERV}/*")
    found = {str(row["ElementName"][0]): (row["Name"][0], row["EnabledState"][0]) for row in rows}
    assert found.pop("HV01") == ("HV01", "2")
    ids = {machine["name"]: machine["id"] for machine in shared.machines()}
    assert found == {
        "web01": (ids["web01"], "2"),
        "web02": (ids["web02"], "2"),
        "sleeper": (ids["sleeper"], "3"),
        "silent": (ids["silent"], "2"),
    }


def test_data_exchange_tells_of_running_guests(shared: EstateServer, client: Client) -> None:
    select = "SELECT SystemName,GuestIntrinsicExchangeItems FROM Msvm_KvpExchangeComponent"
    rows = client.query(select, f"{HYPERV}/*")
    ids = {machine["id"]: machine["name"] for machine in shared.machines()}
    told = {ids[str(row["SystemName"][0])]: row.get("GuestIntrinsicExchangeItems") for row in rows}
    assert [name for name, found in told.items() if found] == ["web01", "web02"]
    instances = [fromstring(str(item)) for item in told["web01"] or []]
    pairs = {
        instance.findtext("PROPERTY[@NAME='Name']/VALUE"): instance.findtext("PROPERTY[@NAME='Data']/VALUE")
        for instance in instances
    }
    assert pairs["OSName"] == "Windows Server 2022 Standard"
    assert pairs["OSBuildNumber"] == "20348"
    assert pairs["FullyQualifiedDomainName"] == "WEB01"


def test_data_exchange_switches(shared: EstateServer, client: Client) -> None:
    rows = client.query("SELECT * FROM Msvm_KvpExchangeComponentSettingData", f"{HYPERV}/*")
    states = {row["InstanceID"][0]: row["EnabledState"][0] for row in rows}
    component = "2A34B1C2-FD73-4043-8A5B-DD2159BC743F"
    silent = shared.machine("silent")["id"]
    assert states[rf"Microsoft:{silent}\{component}"] == "3"
    assert sorted(states.values()) == ["2", "2", "2", "2", "3"]
