"""Answers have the recorded forms of real servers: datetimes, instances, languages, encodings and selectors."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest
import requests
from defusedxml.ElementTree import fromstring
from winrm.exceptions import WSManFaultError

from avma_simulator import EstateServer
from avma_simulator.wsman.instance_xml import cim_datetime, xs_datetime
from simulator.client import (
    CIMV2,
    HYPERV,
    NS,
    PASSWORD,
    SERVICE,
    TRANSFER,
    Client,
    body_of,
    envelope,
    items,
    properties,
)
from waiting import PATIENCE

COMMON = "http://schemas.dmtf.org/wbem/wscim/1/common"
XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
XSI_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
MANAGEMENT = f"{HYPERV}/Msvm_VirtualSystemManagementService"
SYSTEM = f"{HYPERV}/Msvm_ComputerSystem"
GET = envelope(f"{TRANSFER}/Get", SERVICE, selectors={"Version": "10.0.26100.1"})
EAST = timezone(timedelta(hours=9))
ESTATE = f"""
hosts:
- {{name: h, version: 2025, edition: Datacenter, username: Administrator, password: {PASSWORD}, http: {{}}, https: {{}},
    logons: [ntlm, basic], language: ja-JP, utcOffset: 540,
    vms: [{{name: on, version: 2025, edition: Datacenter}},
      {{name: out, version: 2025, edition: Datacenter, state: off}}]}}
"""


@pytest.fixture
def estate(serve: Callable[[str], EstateServer]) -> EstateServer:
    return serve(ESTATE)


@pytest.mark.parametrize(
    ("value", "xs", "cim"),
    [
        (datetime(2013, 3, 9, 3, 6, 25, tzinfo=timezone.utc), "2013-03-09T03:06:25Z", "20130309030625.000000+000"),
        (
            datetime(2013, 4, 9, 15, 42, 20, 412400, timezone.utc),
            "2013-04-09T15:42:20.4124Z",
            "20130409154220.412400+000",
        ),
        (
            datetime(2014, 4, 3, 14, 45, 50, 468750, timezone(timedelta(hours=8))),
            "2014-04-03T14:45:50.46875+08:00",
            "20140403144550.468750+480",
        ),
        (
            datetime(2014, 4, 3, 14, 45, 50, 5, timezone(timedelta(hours=-3, minutes=-30))),
            "2014-04-03T14:45:50.000005-03:30",
            "20140403144550.000005-210",
        ),
    ],
)
def test_datetimes_have_the_digits_they_need_and_an_offset(value: datetime, xs: str, cim: str) -> None:
    assert (xs_datetime(value), cim_datetime(value)) == (xs, cim)


def test_a_datetime_of_a_column_list_is_in_no_namespace(estate: EstateServer) -> None:
    with Client(estate.url("h")) as client:
        (columns,) = items(client.enumerate("SELECT LastBootUpTime FROM Win32_OperatingSystem"))
        (whole,) = items(client.enumerate("SELECT * FROM Win32_OperatingSystem"))
    boot = whole.find(f"{{{CIMV2}/Win32_OperatingSystem}}LastBootUpTime")
    assert [child.tag for child in columns[0]] == ["Datetime"]
    assert boot is not None
    assert [child.tag for child in boot] == [f"{{{COMMON}}}Datetime"]


def test_times_of_the_system_carry_the_offset_of_its_time_zone(estate: EstateServer) -> None:
    with Client(estate.url("h")) as client:
        query = "SELECT LastBootUpTime,LocalDateTime,CurrentTimeZone FROM Win32_OperatingSystem"
        (row,) = client.query(query)
        boot = str(row["LastBootUpTime"][0])
        # WMI compares points in time, independent of their offset.
        same = datetime.fromisoformat(boot).astimezone(timezone.utc).strftime("%Y%m%d%H%M%S.%f+000")
        assert len(client.query(f"{query} WHERE LastBootUpTime = '{same}'")) == 1
    assert row["CurrentTimeZone"] == ["540"]
    assert boot.endswith("+09:00")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?\+09:00", str(row["LocalDateTime"][0]))


def described(row: ET.Element) -> dict[str, list[str | None]]:
    return {name: values for name, values in properties(row).items() if "Date" not in name and "Time" not in name}


def test_the_row_of_the_host(estate: EstateServer) -> None:
    with Client(estate.url("h")) as client:
        rows = client.query("SELECT * FROM Msvm_ComputerSystem", f"{HYPERV}/*")
    host = rows[0]
    given = {name for name, values in host.items() if values != [None]}
    assert given == {
        "Caption", "CreationClassName", "Description", "ElementName", "EnabledDefault", "EnabledState", "HealthState",
        "Name", "NumberOfNumaNodes", "OperationalStatus", "RequestedState", "ResetCapability", "Status",
        "StatusDescriptions",
    }  # fmt: skip
    assert host["OnTimeInMilliseconds"] == host["InstallDate"] == [None]
    assert host["Description"] == ["Microsoft ホスト コンピューター システム"]
    assert (host["RequestedState"], host["StatusDescriptions"]) == (["12"], ["OK"])
    assert "Roles" not in host  # a null array has no element at all


def test_the_rows_of_vms(estate: EstateServer) -> None:
    with Client(estate.url("h")) as client:
        _, on, off = client.query("SELECT * FROM Msvm_ComputerSystem", f"{HYPERV}/*")
    assert on["Description"] == off["Description"] == ["Microsoft Virtual Machine"]
    assert on["Caption"] == off["Caption"] == ["仮想マシン"]
    assert on["StatusDescriptions"] == ["正常稼働中"]
    assert (on["RequestedState"], off["RequestedState"]) == (["5"], ["5"])
    assert (on["EnabledDefault"], off["EnabledDefault"]) == (["2"], ["3"])
    assert (off["OnTimeInMilliseconds"], off["ProcessID"]) == (["0"], [None])
    assert off["TimeOfLastStateChange"] == off["LastReplicationTime"] == ["1601-01-01T00:00:00Z"]
    assert int(str(on["ProcessID"][0])) % 4 == 0
    assert len(on) == len(off) == 39
    assert off["InstallDate"] != [None]


def test_the_envelope_and_its_faults_name_the_language_of_the_machine(estate: EstateServer) -> None:
    with Client(estate.url("h")) as client:
        assert client.enumerate("SELECT Version FROM SoftwareLicensingService").get(XML_LANG) == "ja-JP"
    with requests.Session() as session:
        session.auth = ("Administrator", PASSWORD)
        answer = session.post(estate.url("h", "https"), data=b"<a/>", verify=estate.ca_certificate, timeout=PATIENCE)
    root = fromstring(answer.content)
    assert root.get(XML_LANG) == "ja-JP"
    text = root.find(".//s:Text", NS)
    assert text is not None
    assert text.get(XML_LANG) == "ja-JP"


@pytest.mark.parametrize(
    ("declaration", "codec", "content_type", "status"),
    [
        ("<?xml version='1.0' encoding='utf-16'?>", "utf-8", "application/soap+xml;charset=UTF-8", 200),
        ("<?xml version='1.0' encoding='utf-16'?>", "utf-8", 'application/soap+xml; charset="utf-8"', 200),
        ("<?xml version='1.0' encoding='utf-8'?>", "utf-16", "application/soap+xml;charset=UTF-16", 200),
        ("<?xml version='1.0' encoding='utf-16'?>", "utf-16", "application/soap+xml", 200),
        ("\ufeff<?xml version='1.0' encoding='utf-8'?>", "utf-8", "application/soap+xml;charset=UTF-8", 200),
        ("<?xml version='1.0' encoding='utf-16'?>", "utf-8", "application/soap+xml", 500),
        ("", "utf-8", "application/soap+xml;charset=nothing", 200),
    ],
)
def test_the_charset_of_the_header_comes_before_the_declaration(
    estate: EstateServer, declaration: str, codec: str, content_type: str, status: int
) -> None:
    with requests.Session() as session:
        session.auth = ("Administrator", PASSWORD)
        answer = session.post(
            estate.url("h", "https"),
            data=f"{declaration}{GET}".encode(codec),
            headers={"Content-Type": content_type},
            verify=estate.ca_certificate,
            timeout=PATIENCE,
        )
    assert answer.status_code == status


def test_a_sealed_message_with_a_wrong_declaration_is_read(estate: EstateServer) -> None:
    with Client(estate.url("h")) as client:
        answer = client.send(f"<?xml version='1.0' encoding='utf-16'?>{GET}")
    assert answer.find(".//s:Fault", NS) is None


def test_a_method_needs_some_of_the_keys(estate: EstateServer) -> None:
    with Client(estate.url("h")) as client:
        selectors = {"CreationClassName": "Msvm_VirtualSystemManagementService"}
        answer = client.invoke(MANAGEMENT, "ModifyGuestServiceSettings", selectors)
        assert "ReturnValue" in properties(body_of(answer)[0])
        with pytest.raises(WSManFaultError) as caught:
            client.invoke(MANAGEMENT, "ModifyGuestServiceSettings", {})
    assert caught.value.wmierror_code == 0x8004102F


@pytest.mark.parametrize("selectors", [{"Name": "H"}, {"Name": "nothing", "CreationClassName": "Msvm_ComputerSystem"}])
def test_get_needs_all_keys_of_an_instance_that_is_there(estate: EstateServer, selectors: dict[str, str]) -> None:
    with Client(estate.url("h")) as client:
        assert client.get(SYSTEM, {"CreationClassName": "Msvm_ComputerSystem", "Name": "H"})["Name"] == ["H"]
        with pytest.raises(WSManFaultError) as caught:
            client.get(SYSTEM, selectors)
    assert (caught.value.fault_subcode, caught.value.wsman_fault_code) == ("a:DestinationUnreachable", 0x80338000)


_TYPES_OF_A_WMI_ERROR = {
    "CIMStatusCode": "cimUnsignedInt",
    "CIMStatusCodeDescription": "cimString",
    "ErrorSource": "cimString",
    "ErrorSourceFormat": "cimUnsignedShort",
    "ErrorType": "cimUnsignedShort",
    "Message": "cimString",
    "MessageID": "cimString",
    "OtherErrorSourceFormat": "cimString",
    "OtherErrorType": "cimString",
    "OwningEntity": "cimString",
    "PerceivedSeverity": "cimUnsignedShort",
    "ProbableCause": "cimUnsignedShort",
    "ProbableCauseDescription": "cimString",
    "error_Category": "cimUnsignedInt",
    "error_Code": "cimUnsignedInt",
    "error_Type": "cimString",
    "error_WindowsErrorMessage": "cimString",
}
"""Recorded twice, in this order: each property of MSFT_WmiError and its type."""
_NULL_IN_A_WMI_ERROR = {
    "CIMStatusCodeDescription",
    "ErrorSource",
    "OtherErrorSourceFormat",
    "OtherErrorType",
    "OwningEntity",
    "ProbableCauseDescription",
}


@pytest.mark.parametrize(
    ("rule", "category"),
    [
        ({"operation": "Enumerate", "answer": "quota"}, 30),
        ({"operation": "Enumerate", "hresult": 0xC004F050}, 0),
    ],
)
def test_every_property_of_a_wmi_error_has_its_type(
    estate: EstateServer, rule: dict[str, object], category: int
) -> None:
    estate.faults("h", [rule])
    with Client(estate.url("h")) as client, pytest.raises(WSManFaultError) as caught:
        client.query("SELECT Version FROM SoftwareLicensingService")
    instance = fromstring(str(caught.value.response)).find(".//e:MSFT_WmiError", NS)
    assert instance is not None
    assert instance.get(XSI_TYPE) == "p:MSFT_WmiError_Type"
    prefix = f"{{{NS['e']}}}"
    found = {each.tag.removeprefix(prefix): str(each.get(XSI_TYPE)) for each in instance}
    assert list(found.items()) == [(name, f"cim:{kind}") for name, kind in _TYPES_OF_A_WMI_ERROR.items()]
    nulls = {each.tag.removeprefix(prefix) for each in instance if each.get(XSI_NIL) == "true"}
    assert nulls == _NULL_IN_A_WMI_ERROR
    assert all(bool(each.text) != (each.get(XSI_NIL) == "true") for each in instance)
    assert instance.findtext("e:error_Category", None, NS) == str(category)
