"""The rules of WS-Management around messages: limits, rights, and expiry."""

from __future__ import annotations

import base64
import gc
import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from functools import partial
from html import escape
from pathlib import Path

import pytest
from defusedxml.ElementTree import fromstring
from winrm.exceptions import WinRMOperationTimeoutError, WinRMTransportError, WSManFaultError

from avma_simulator import EstateServer, load_estate, running
from simulator.client import (
    CIMV2,
    ENUMERATION,
    HYPERV,
    NS,
    OPTIMISED,
    PRODUCT,
    SERVICE,
    TRANSFER,
    WQL,
    Client,
    body_of,
    context,
    envelope,
    items,
    properties,
)
from waiting import PATIENCE

HOST = "hosts:\n- {{name: h, version: '2025', edition: Datacenter, username: Administrator, password: Pa55w.rd{}}}\n"
IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"
IDENTIFY = (
    f"<s:Envelope xmlns:s='{NS['s']}'><s:Header/><s:Body><i:Identify xmlns:i='{IDENTITY}'/></s:Body></s:Envelope>"
)
BASIC = f"Basic {base64.b64encode(b'Administrator:Pa55w.rd').decode()}"
VERSION = "SELECT Version FROM SoftwareLicensingService"
PRODUCTS = "SELECT ID FROM SoftwareLicensingProduct"


@pytest.fixture
def client(shared: EstateServer) -> Iterator[Client]:
    with Client(shared.url("hv01")) as opened:
        yield opened


def fault(call: Callable[[], object]) -> WSManFaultError:
    with pytest.raises(WSManFaultError) as caught:
        call()
    return caught.value


def detail(error: WSManFaultError) -> str | None:
    found = fromstring(str(error.response)).findtext(".//w:FaultDetail", None, NS)
    return None if found is None else str(found).rpartition("/")[2]


def told_by(error: WSManFaultError) -> tuple[str | None, int | None]:
    """Return the element with the number of a provider, and the number."""
    root = fromstring(str(error.response))
    wmi = root.find(".//e:MSFT_WmiError", NS)
    if wmi is not None:
        return "MSFT_WmiError", int(str(wmi.findtext("e:error_Code", None, NS)))
    nested = root.find(".//f:WSManFault/f:Message/f:ProviderFault/f:WSManFault", NS)
    return ("WSManFault", int(nested.get("Code", "0"))) if nested is not None else (None, None)


def test_an_operation_ends_with_its_timeout(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(HOST.format(", delays: {request: 3600}"))
    resource = f"{CIMV2}/*"
    with Client(estate.url("h")) as client, pytest.raises(WinRMOperationTimeoutError):
        client.enumerate(VERSION, resource, timeout="PT0.2S")
    assert estate.counts()["h"]["operations"] == {"Enumerate": 1}


@pytest.mark.parametrize("timeout", ["soon", "20", "PT20"])
def test_a_timeout_is_a_duration(client: Client, timeout: str) -> None:
    assert fault(lambda: client.enumerate(VERSION, timeout=timeout)).fault_subcode == "w:SchemaValidationError"


def test_an_answer_must_fit_into_the_envelope(client: Client) -> None:
    extra = f"{OPTIMISED}<w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode>"
    select = "SELECT * FROM Msvm_KvpExchangeComponent"
    client.enumerate(select, f"{HYPERV}/*", extra=extra)
    assert client.received > 8192
    error = fault(lambda: client.enumerate(select, f"{HYPERV}/*", extra=extra, size=8192))
    assert (error.fault_subcode, error.wsman_fault_code) == ("w:EncodingLimit", 0x80338048)
    assert detail(error) == "MaxEnvelopeSizeExceeded"


def test_an_enumeration_mode_is_one_of_two(client: Client) -> None:
    extra = f"{OPTIMISED}<w:EnumerationMode>EnumerateNothing</w:EnumerationMode>"
    error = fault(lambda: client.enumerate(None, SERVICE, extra=extra))
    assert (error.fault_subcode, error.wsman_fault_code) == ("w:UnsupportedFeature", 0x80338086)
    assert detail(error) == "EnumerationMode"


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (envelope(f"{TRANSFER}/Get", SERVICE, selectors={"Version": "0"}), "InvalidResourceURI"),
        (envelope(f"{TRANSFER}/Get", SERVICE, selectors={"Name": "0"}), "UnexpectedSelectors"),
        (envelope(f"{TRANSFER}/Get", "urn:what"), "InvalidResourceURI"),
        (envelope(f"{TRANSFER}/Get", f"{CIMV2}/Win32_Nothing"), "ResourceNotFound"),
        (envelope(f"{TRANSFER}/Get", SERVICE, size=8191), "MinimumEnvelopeLimit"),
        (envelope(f"{TRANSFER}/Get", SERVICE, headers="<w:Locale s:mustUnderstand='true'/>"), "Locale"),
    ],
)
def test_the_details_of_faults(client: Client, message: str, expected: str) -> None:
    assert detail(fault(lambda: client.send(message))) == expected


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ("<hint:Hint xmlns:hint='urn:q' s:mustUnderstand='true'/>", 'qname="hint:Hint" xmlns:hint="urn:q"'),
        ("<Hint xmlns='urn:q' s:mustUnderstand='true'/>", 'qname="Hint" xmlns="urn:q"'),
        ("<Hint s:mustUnderstand='true'/>", 'qname="Hint"'),
    ],
)
def test_a_header_that_is_not_understood_is_named_with_its_prefix(client: Client, header: str, named: str) -> None:
    message = envelope(f"{TRANSFER}/Get", SERVICE, headers=header)
    answer = str(fault(lambda: client.send(message)).response)
    assert f"<s:NotUnderstood {named} />" in answer
    root = fromstring(answer)
    asked = fromstring(message).findtext("s:Header/a:MessageID", None, NS)
    assert root.findtext("s:Header/a:RelatesTo", None, NS) == asked
    assert root.findtext("s:Header/a:Action", None, NS) == f"{NS['a']}/fault"
    assert root.find("s:Body/s:Fault/s:Detail", NS) is None


def test_a_header_that_need_not_be_understood_is_passed_over(client: Client) -> None:
    headers = "<q:Hint xmlns:q='urn:q' s:mustUnderstand='false'/><q:Other xmlns:q='urn:q'/>"
    body = f"<n:Enumerate>{OPTIMISED}<w:Filter Dialect='{WQL}'>{escape(VERSION)}</w:Filter></n:Enumerate>"
    assert len(items(client.send(envelope(f"{ENUMERATION}/Enumerate", f"{CIMV2}/*", body, headers=headers)))) == 1


@pytest.mark.parametrize("form", ["MSFT_WmiError", "WSManFault"])
def test_a_provider_tells_its_number_in_either_form(estate: EstateServer, form: str) -> None:
    estate.faults("hv02", [{"operation": "Enumerate", "hresult": 0xC004F050, "detail": form}])
    with Client(estate.url("hv02")) as client:
        error = fault(lambda: client.query(VERSION))
    assert (error.fault_code, error.fault_subcode) == ("s:Receiver", "w:InternalError")
    assert told_by(error) == (form, 0xC004F050)


def test_an_account_that_may_open_shells_and_not_ask_wmi(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(HOST.format(", rights: shell"))
    with Client(estate.url("h")) as client:
        error = fault(lambda: client.query(VERSION))
        assert told_by(error) == ("MSFT_WmiError", 0x80338104)
        client.protocol.close_shell(client.protocol.open_shell())
    assert estate.counts()["h"]["shells"] == 1


@pytest.mark.parametrize(
    ("resource", "base", "derived", "column"),
    [
        (CIMV2, "CIM_OperatingSystem", "Win32_OperatingSystem", "Version"),
        (CIMV2, "CIM_ComputerSystem", "Win32_ComputerSystem", "Name"),
        (HYPERV, "CIM_ComputerSystem", "Msvm_ComputerSystem", "ElementName"),
    ],
)
def test_derived_classes_come_under_their_own_name(
    client: Client, resource: str, base: str, derived: str, column: str
) -> None:
    answer = client.enumerate(f"SELECT * FROM {base}", f"{resource}/*")
    assert {row.tag for row in items(answer)} == {f"{{{resource}/{derived}}}{derived}"}
    (row, *_) = client.query(f"SELECT {column} FROM {base}", f"{resource}/*")
    assert list(row) == [column]


def test_a_base_class_has_no_column_of_a_derived_one(client: Client) -> None:
    error = fault(lambda: client.query("SELECT BuildNumber FROM CIM_OperatingSystem"))
    assert error.fault_subcode == "n:CannotProcessFilter"


def associated(client: Client, path: str, where: str = "") -> list[tuple[str, dict[str, list[str | None]]]]:
    answer = client.enumerate(f"ASSOCIATORS OF {{{path}}}{where}", f"{HYPERV}/*")
    rows = items(answer)
    while (name := context(answer)) is not None:
        answer = client.pull(name)
        rows += items(answer)
    return [(row.tag.rpartition("}")[2], properties(row)) for row in rows]


def test_the_associators_of_a_vm(shared: EstateServer, client: Client) -> None:
    web01 = shared.machine("web01")["id"]
    path = f"Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='{web01}'"
    by_both = " where AssocClass = Msvm_SettingsDefineState ResultClass = Msvm_VirtualSystemSettingData"
    ((kind, setting),) = associated(client, path, by_both)
    assert (kind, setting["ElementName"]) == ("Msvm_VirtualSystemSettingData", ["web01"])
    assert {kind for kind, _ in associated(client, path)} == {
        "Msvm_VirtualSystemSettingData",
        "Msvm_KvpExchangeComponent",
    }
    back = f"Msvm_VirtualSystemSettingData.InstanceID='Microsoft:{web01}'"
    ((kind, vm),) = associated(client, back, " WHERE ResultClass = CIM_ComputerSystem")
    assert (kind, vm["Name"]) == ("Msvm_ComputerSystem", [web01])


@pytest.mark.parametrize(
    "query",
    [
        "Msvm_ComputerSystem.Name='x'}",
        "Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='x'}",
        "Msvm_Nothing.Name='x'}",
        "Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='HV01'} WHERE AssocClass = Msvm_Nothing",
        "Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='HV01'} WHERE ResultClass = Msvm_Nothing",
        "Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='HV01'} WHERE Role = 1",
        "Msvm_ComputerSystem}",
    ],
)
def test_associators_of_nothing(client: Client, query: str) -> None:
    error = fault(lambda: client.enumerate(f"ASSOCIATORS OF {{{query}", f"{HYPERV}/*"))
    assert (error.fault_subcode, error.wmierror_code) == ("n:CannotProcessFilter", 0x8033801A)


def test_the_resource_uris_of_the_dmtf(client: Client) -> None:
    uri = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/SoftwareLicensingService"
    assert client.get(uri, {"__cimnamespace": "root/cimv2", "Version": "10.0.26100.1"})["Version"] == ["10.0.26100.1"]
    answer = client.invoke(uri, "RefreshLicenseStatus", {"__cimnamespace": "root/cimv2", "Version": "10.0.26100.1"})
    assert properties(body_of(answer)[0]) == {"ReturnValue": ["0"]}
    # Without a namespace it is root/hardware, which does not contain the class.
    missing = fault(lambda: client.get(uri, {"Version": "10.0.26100.1"}))
    assert (missing.fault_subcode, missing.wsman_fault_code) == ("a:DestinationUnreachable", 0x80338000)


def test_open_enumerations_count_against_the_quota(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(HOST.format(", quotas: {operations: 2}"))
    with Client(estate.url("h")) as client:
        names = [str(context(client.enumerate(PRODUCTS))) for _ in range(2)]
        full = fault(lambda: client.enumerate(VERSION))
        assert (full.fault_code, full.fault_subcode, full.wmierror_code) == (
            "s:Receiver",
            "w:InternalError",
            2150859174,
        )
        client.pull(names[0])
        assert len(items(client.enumerate(VERSION))) == 1


def test_only_so_many_operations_are_told_apart(estate: EstateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avma_simulator.state.machine._MOST_OPERATIONS", 2)
    with Client(estate.url("hv02")) as client:
        for name in ("a", "b", "c", "d", "a"):
            fault(partial(client.send, envelope(f"urn:x/{name}", SERVICE)))
    assert estate.counts()["hv02"]["operations"] == {"a": 2, "b": 1, "other": 2}


def test_an_enumeration_that_nobody_asks_for_ends(estate: EstateServer) -> None:
    with Client(estate.url("hv01")) as client:
        name = str(context(client.enumerate(PRODUCTS)))
    estate.advance_clock(240)
    with Client(estate.url("hv01")) as client:
        assert fault(lambda: client.pull(name)).fault_subcode == "n:InvalidEnumerationContext"


def test_a_machine_takes_so_many_requests_at_a_time(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(HOST.format(", quotas: {connections: 0}"))
    with Client(estate.url("h")) as client, pytest.raises(WinRMTransportError) as caught:
        client.query(VERSION)
    assert caught.value.code == 503


def test_a_silent_connection_is_dropped(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(HOST.format(", idleTimeout: 60"))
    with Client(estate.url("h")) as client, socket.create_connection(estate.address("h"), 20) as other:
        client.query(VERSION)
        other.sendall(b"POST /wsman HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        heard = other.recv(65536)
        assert heard.startswith(b"HTTP/1.1 401 ")
        estate.advance_clock(60)
        while heard:
            heard = other.recv(65536)
        # pywinrm authenticates again but sends the body that it encrypted for the lost connection.
        with pytest.raises((WinRMTransportError, OSError)):
            client.query(VERSION)


def test_nothing_of_a_silent_tls_connection_is_left_when_the_estate_ends(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    file = tmp_path / "estate.yaml"
    file.write_text(HOST.format(", https: {}"), "utf-8")
    with running(load_estate(file)) as estate:
        trusting = ssl.create_default_context(cafile=estate.ca_certificate)
        trusting.check_hostname = False
        silent = trusting.wrap_socket(socket.create_connection(estate.address("h", "https"), 20))
        silent.sendall(b"POST /wsman HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
        assert silent.recv(65536)
        estate.advance_clock(120)
        while silent.recv(65536):
            """The server closes the connection in the end, and TLS waits for the same from this side."""
    gc.collect()
    silent.close()
    assert [str(warning.message) for warning in recwarn] == []


def test_a_client_that_goes_away_is_no_error(shared: EstateServer, caplog: pytest.LogCaptureFixture) -> None:
    for body in (b"<s:Envel", b"ffff\r\n<s:Envel", b"no length\r\n"):
        kind = b"Content-Length: 1000" if body.startswith(b"<") else b"Transfer-Encoding: chunked"
        with socket.create_connection(shared.address("hv01"), 20) as connection:
            connection.sendall(b"POST /wsman HTTP/1.1\r\nHost: h\r\n" + kind + b"\r\n\r\n" + body)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
    with Client(shared.url("hv01")) as client:
        assert client.query(VERSION)
    # Messages of aiohttp about it are discarded, see avma_simulator.winrm.network.
    assert [record.getMessage() for record in caplog.records if record.name == "avma_simulator"] == []


def test_a_reboot_loses_shells_and_connections(estate: EstateServer) -> None:
    def booted(client: Client) -> object:
        return client.query("SELECT LastBootUpTime FROM Win32_OperatingSystem")[0]["LastBootUpTime"][0]

    with Client(estate.url("hv01")) as client:
        before = booted(client)
        client.protocol.open_shell()
        estate.reboot("hv01")
        assert estate.counts()["hv01"]["openShells"] == 0
    with Client(estate.url("hv01")) as client:
        assert str(booted(client)) > str(before)
    assert estate.machine("web01")["running"] is True


def test_shells_take_no_message_in_chunks(shared: EstateServer) -> None:
    shell = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
    body = f"<n:Enumerate>{OPTIMISED}<w:Filter Dialect='{WQL}'>{VERSION}</w:Filter></n:Enumerate>"
    create = envelope(f"{TRANSFER}/Create", f"{shell}/cmd", f"<r:Shell xmlns:r='{shell}'/>")
    context = ssl.create_default_context(cafile=shared.ca_certificate)
    connection = http.client.HTTPSConnection(*shared.address("hv01", "https"), timeout=PATIENCE, context=context)
    headers = {"Content-Type": "application/soap+xml;charset=UTF-8", "Authorization": BASIC}
    answers = []
    for message in (envelope(f"{ENUMERATION}/Enumerate", f"{CIMV2}/*", body), create):
        connection.request("POST", "/wsman", iter([message.encode()]), headers, encode_chunked=True)
        answer = connection.getresponse()
        answers.append((answer.status, 'Code="50"' in answer.read().decode()))
    connection.close()
    assert answers == [(200, False), (500, True)]


def test_identify_without_a_logon_tells_no_version(shared: EstateServer) -> None:
    def asked(message: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(*shared.address("hv01"), timeout=PATIENCE)
        headers = {"WSMANIDENTIFY": "unauthenticated", "Content-Type": "application/soap+xml;charset=UTF-8"}
        connection.request("POST", "/wsman", message, headers)
        answer = connection.getresponse()
        told = answer.status, answer.read().decode()
        connection.close()
        return told

    status, told = asked(IDENTIFY)
    assert (status, "OS: 0.0.0 SP: 0.0 Stack: 3.0" in told) == (200, True)
    status, told = asked(envelope(f"{TRANSFER}/Get", PRODUCT, selectors={"ID": "x"}))
    assert (status, "w:AccessDenied" in told) == (500, True)
