"""Which parts of a message a recording keeps, on synthetic messages in real forms."""

from __future__ import annotations

import base64
import json
import re
import struct
from html import unescape
from xml.sax.saxutils import escape

import pytest
from defusedxml.ElementTree import fromstring

from avma.recording.envelope import NOT_XML, Rewriter
from avma.recording.standins import Standins
from avma.wsman import clixml

SHELL = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body>
<rsp:Shell xmlns:rsp="http://schemas.microsoft.com/wbem/wsman/1/windows/shell">
<rsp:ShellId>11111111-2222-3333-4444-555555555555</rsp:ShellId><rsp:Owner>LAB\\Oberon</rsp:Owner>
<rsp:ClientIP>10.1.2.3</rsp:ClientIP><rsp:ShellRunTime>P0DT0H0M1S</rsp:ShellRunTime>
<rsp:InputStreams>stdin</rsp:InputStreams></rsp:Shell></s:Body></s:Envelope>"""
FAULT = """<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><s:Fault>
<s:Code><s:Value>s:Sender</s:Value><s:Subcode><s:Value>w:AccessDenied</s:Value></s:Subcode></s:Code>
<s:Reason>
<s:Text xml:lang="en-US">Access is denied for LAB\\Oberon on HV01.lab.example from 10.1.2.3. </s:Text></s:Reason>
<s:Detail><f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="5" Machine="HV01">
<f:Message>Access is denied to hv01.</f:Message></f:WSManFault></s:Detail></s:Fault></s:Body></s:Envelope>"""


def test_a_word_of_windows_stays_even_if_it_is_also_a_name(rewriter: Rewriter) -> None:
    rewriter.learn(row("<ElementName>retail</ElementName>"))
    kept = row("<Description>Windows(R) Operating System, RETAIL channel</Description>")
    assert rewriter.message(kept) == kept.decode()


@pytest.fixture
def rewriter() -> Rewriter:
    standins = Standins()
    standins.name("hv01.lab.example")
    standins.account("LAB\\Oberon")
    return Rewriter(standins, ["Correct-Horse-7"])


def row(properties: str) -> bytes:
    return f'<x xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">{properties}</x>'.encode()


def test_a_recorded_shell_contains_neither_owner_nor_client(rewriter: Rewriter) -> None:
    text = rewriter.message(SHELL.encode())
    assert "<rsp:Owner>name2\\user1</rsp:Owner>" in text
    assert "<rsp:ClientIP>127.77.0.1</rsp:ClientIP>" in text
    assert "<rsp:ShellId>00000000-0000-4000-8000-000000000001<" in text
    for kept in ("P0DT0H0M1S", "<rsp:InputStreams>stdin<"):
        assert kept in text


def test_a_fault_keeps_its_numbers_and_its_sentence(rewriter: Rewriter) -> None:
    text = rewriter.message(FAULT.encode())
    assert 'Code="5" Machine="name1"' in text
    assert "Access is denied for name2\\user1 on name1.domain1.invalid from 127.77.0.1. " in text
    assert "<f:Message>Access is denied to name1.</f:Message>" in text
    assert "w:AccessDenied" in text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<LicenseFamily>ServerDatacenter</LicenseFamily>", None),
        ("<Description>Windows(R) Operating System, VOLUME_MAK channel</Description>", None),
        ("<Version>10.0.20348.1</Version>", None),
        ('<p:ElementName xmlns:p="http://schemas.microsoft.com/p">Payroll &amp; Co</p:ElementName>',
         '<p:ElementName xmlns:p="http://schemas.microsoft.com/p">name3</p:ElementName>'),
        ("<Name>HV01</Name>", "<Name>name1</Name>"),
        ("<Address>fe80::1</Address>", "<Address>2001:db8::1</Address>"),
        ("<InstallDate>2013-04-15T16:28:39.5Z</InstallDate>", None),
        ("<Enabled>true</Enabled>", None),
        ('<Job xsi:nil="true"/>', None),
        ("<ProductKey>BCDFG-HJKMN-PQRTV-WXY23-46789</ProductKey>", "<ProductKey>…46789</ProductKey>"),
        ("<Message>key BCDFG-HJKMN-PQRTV-WXY23-46789 is blocked</Message>", "<Message>key …46789 is blocked</Message>"),
        (f"<OfflineInstallationId>{'123456789' * 7}</OfflineInstallationId>",
         "<OfflineInstallationId>[installation ID]</OfflineInstallationId>"),
        ("<Message>the password is Correct-Horse-7</Message>", "<Message>the password is [secret]</Message>"),
        ("<Message>at http://10.1.2.3:5985, [fe80::1]:5985 and 10.1.2.4, not 10.0.20348.1</Message>",
         "<Message>at http://127.77.0.1:5985, [2001:db8::1]:5985 and 127.77.0.2, not 10.0.20348.1</Message>"),
        ("<Message>on HV01<y/>at hv01<z>1</z>of 10.1.2.3</Message>",
         "<Message>on name1<y/>at name1<z>1</z>of 127.77.0.1</Message>"),
        ("<Name>HV01</Name><!-- HV01 -->", "<Name>name1</Name>"),
        ("<Filter>SELECT Version FROM X WHERE Name = 'hv01'</Filter>",
         "<Filter>SELECT Version FROM X WHERE Name = 'name1'</Filter>"),
        ("<To>http://hv:5985/wsman</To>", "<To>http://name3:5985/wsman</To>"),
        ("<To>https://[FE80::0001%2]/wsman</To>", "<To>https://[2001:db8::1]/wsman</To>"),
        ("<To>http://hv01/of/oberon</To>", "<To>http://name1/path</To>"),
        ("<To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</To>", None),
        ("<ElementName>2019</ElementName>", "<ElementName>1001</ElementName>"),
        ("<Name>10.0.1</Name>", "<Name>0.0.1</Name>"),
        ("<NodeName>2026-01-02T03:04:05Z</NodeName>", "<NodeName>name3</NodeName>"),
        ("<Name>0x80041010</Name>", "<Name>name3</Name>"),
        ("<Name>Windows(R), ServerDatacenter edition</Name>", None),
        ("<CSName>PT5M</CSName>", "<CSName>name3</CSName>"),
        ("<SomethingNew>17</SomethingNew>", "<SomethingNew>11</SomethingNew>"),
        ("<SerialNumber>8214-0563-29-X1</SerialNumber>", "<SerialNumber>name3</SerialNumber>"),
        ("<ProductKeyID>00491-50000-00001-AA666</ProductKeyID>", "<ProductKeyID>name3</ProductKeyID>"),
        ("<LicenseStatus>1</LicenseStatus>", None),
        ("<GracePeriodRemaining>259200</GracePeriodRemaining>", None),
        ("<LicenseFamily>10.1.2.3</LicenseFamily>", "<LicenseFamily>127.77.0.1</LicenseFamily>"),
        ("<ID>8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a11</ID>", None),
        ("<Name>8A1F0C52-6A0E-4B3C-9F61-0C2D4C1F0A11</Name><y>Microsoft:8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a11\\0</y>",
         "<Name>00000000-0000-4000-8000-000000000001</Name>"
         "<y>Microsoft:00000000-0000-4000-8000-000000000001\\0</y>"),
        ("<Mac>00155D010203</Mac>", "<Mac>00-00-5E-00-53-01</Mac>"),
        ("<Sid>S-1-5-21-1-2-3-500</Sid>", "<Sid>S-1-5-21-0-0-0-1</Sid>"),
        ("<Who>oberon@lab.example</Who>", "<Who>user1@domain1</Who>"),
        ('<y Machine="hv01"/>', '<y Machine="name1"/>'),
        ("<y Machine='hv01' b='a>b'>5</y>", '<y Machine="name1" b="name3">5</y>'),
        ("<?run HV01?><y/>", "<y/>"),
        ('<Selector Name="Name">HV01</Selector>', '<Selector Name="Name">name1</Selector>'),
        ('<Selector Name="Version">10.0.1</Selector>', None),
        ('<Name Name="HV01">x</Name>', '<Name Name="name1">name3</Name>'),
    ],
)  # fmt: skip
def test_each_kind_of_value(rewriter: Rewriter, before: str, after: str | None) -> None:
    assert rewriter.message(row(before)) == row(after or before).decode()


@pytest.mark.parametrize(
    ("name", "data", "after"),
    [
        ("OSName", "Windows Server 2022 Standard", "Windows Server 2022 Standard"),
        ("FullyQualifiedDomainName", "web01.lab.example", "name3.domain1.invalid"),
        ("NetworkAddressIPv4", "10.1.2.3;10.1.2.4", "127.77.0.1;127.77.0.2"),
        ("SomethingOfTheirOwn", "a secret", "name4"),
    ],
)
@pytest.mark.parametrize("cdata", [True, False])
def test_recorded_data_of_a_guest(rewriter: Rewriter, name: str, data: str, after: str, cdata: bool) -> None:
    item = (
        f'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Data" TYPE="string"><VALUE>{data}</VALUE>'
        f'</PROPERTY><PROPERTY NAME="Name" TYPE="string"><VALUE>{name}</VALUE></PROPERTY></INSTANCE>'
    )
    escaped = item.replace("<", "&lt;").replace(">", "&gt;")
    text = rewriter.message(row(f"<I>{f'<![CDATA[{item}]]>' if cdata else escaped}</I>"))
    assert f"VALUE&gt;{after}&lt;/VALUE" in text or f"VALUE>{after}</VALUE" in text
    assert (name in text) == (name != "SomethingOfTheirOwn")
    assert data == after or data not in text


def test_an_answer_that_is_no_xml_is_not_kept(rewriter: Rewriter) -> None:
    assert rewriter.message(b"<html>secret") == NOT_XML
    assert rewriter.message(b"\xff\xfe") == NOT_XML


def fragment(document: str) -> bytes:
    message = bytes(40) + b"\xef\xbb\xbf" + document.encode()
    return struct.pack(">QQBI", 1, 0, 3, len(message)) + message


def streamed(data: bytes) -> bytes:
    carried = base64.b64encode(data).decode()
    return row(f'<rsp:Stream xmlns:rsp="x" Name="stdout" CommandId="1">{carried}</rsp:Stream>')


def written(rewriter: Rewriter, text: str) -> str:
    """Return the recorded form of a script's output."""
    kept = rewriter.message(streamed(fragment(f"<S>{escape(clixml.encoded(text))}</S>")))
    (data,) = re.findall(r">([A-Za-z0-9+/=]+)</rsp:Stream>", kept)
    return clixml.decoded(fromstring(base64.b64decode(data)[64:]).text or "")


def test_what_a_script_writes_is_kept_without_names_and_keys(rewriter: Rewriter) -> None:
    key = "BCDFG-HJKMN-PQRTV-WXY23-46789"
    shown = {"State": "Enabled", "Key": key, "Said": "of hv01.lab.example at 10.1.2.3", "Count": 5}
    (row_kept,) = json.loads(written(rewriter, json.dumps({"result": [shown]})))["result"]
    assert (row_kept["State"], row_kept["Key"], row_kept["Count"]) == ("Enabled", "…46789", 5)
    assert "hv01" not in row_kept["Said"]
    assert "10.1.2.3" not in row_kept["Said"]


@pytest.mark.parametrize(
    "data", [b"Oberon was here", b"", fragment("<S>Oberon</S>")[:-1], fragment("Oberon"), fragment("<S>Oberon</S>") * 2]
)
def test_names_in_what_another_program_writes_are_left_out(rewriter: Rewriter, data: bytes) -> None:
    rewriter.learn(row("<Name>Oberon</Name>"))
    kept = rewriter.message(streamed(data))
    for carried in re.findall(r">([A-Za-z0-9+/=]+)</rsp:Stream>", kept):
        assert b"Oberon" not in base64.b64decode(carried)


def test_secrets_bytes_and_other_scripts_are_left_out_of_parameters(rewriter: Rewriter) -> None:
    document = (
        '<Obj RefId="0"><MS><S N="Cmd"># avma-script: cim-in-guest 4_x000A_the rest</S><S N="Cmd">net use\n x</S>'
        '<SS N="Password">T2Jlcm9u</SS><BA N="TimeZone">T2Jlcm9u</BA><I32 N="Count">5</I32><T>System.Object</T>'
        "</MS></Obj>"
    )
    kept = rewriter.message(streamed(fragment(document)))
    (data,) = re.findall(r">([A-Za-z0-9+/=]+)</rsp:Stream>", kept)
    shown = base64.b64decode(data)
    assert b"# avma-script: cim-in-guest 4<" in shown
    assert b">5<" in shown
    assert b"System.Object" in shown
    assert not [word for word in (b"net use", b"the rest", b"T2Jlcm9u") if word in shown]


@pytest.mark.parametrize(
    ("query", "after"),
    [
        ("SELECT * FROM X WHERE Name = 'hv01'", "SELECT * FROM X WHERE Name = 'name1'"),
        ('SELECT * FROM X WHERE Name="hv01" OR "HV01" = Name', 'SELECT * FROM X WHERE Name="name1" OR "name1" = Name'),
        (r"SELECT * FROM X WHERE Name = 'O\'Brien' AND A = 1", "SELECT * FROM X WHERE Name = 'name3' AND A = 1"),
        (r'SELECT * FROM X WHERE Name = "a\"b\\" AND Node LIKE "hv0%"',
         'SELECT * FROM X WHERE Name = "name3" AND Node LIKE "name4"'),
        ("SELECT * FROM X WHERE Name = 'no end", "SELECT * FROM X WHERE Name = 'name3'"),
        ("SELECT * FROM X WHERE Version = '2019' AND Name = '2019'",
         "SELECT * FROM X WHERE Version = '2019' AND Name = '1001'"),
        ("SELECT A FROM B WHERE ApplicationID = '55c92734-d682-4d71-983e-d6ec3f16059f' AND A IS NOT NULL", None),
        ("SELECT Message FROM Win32_NTLogEvent WHERE Logfile = 'Application' AND EventCode = 12309 "
         "AND TimeGenerated >= '20260101000000.000000+000'", None),
        ("SELECT BIOSGUID FROM Y WHERE VirtualSystemType = 'Microsoft:Hyper-V:System:Realized'", None),
        (r"ASSOCIATORS OF {\\HV01\root\virtualization\v2:Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',"
         "Name='8A1F0C52-6A0E-4B3C-9F61-0C2D4C1F0A11'}",
         r"ASSOCIATORS OF {\\name1\root\virtualization\v2:Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',"
         "Name='00000000-0000-4000-8000-000000000001'}"),
        ("SELECT * FROM X WHERE User = 'LAB\\\\Oberon'", "SELECT * FROM X WHERE User = 'name2\\\\user1'"),
    ],
)  # fmt: skip
def test_literals_of_queries(rewriter: Rewriter, query: str, after: str | None) -> None:
    assert (
        unescape(rewriter.message(row(f"<Filter>{escape(query)}</Filter>")))
        == row(f"<Filter>{after or query}</Filter>").decode()
    )


def test_input_of_programs_is_not_recorded(rewriter: Rewriter) -> None:
    other = base64.b64encode(b"net use titania").decode()
    kept = rewriter.message(row(f"<Command>titania.exe</Command><Arguments>{other}</Arguments>"))
    assert other not in kept
    assert "titania" not in kept


def test_names_in_what_a_script_writes(rewriter: Rewriter) -> None:
    shown = {
        "HV01": "Active",
        "PSComputerName": "titania",
        "Source": "None",
        "Type": "Inherited",
        "Owner": "vera",
        "id": f"{1:032}",
    }
    (row_kept,) = json.loads(written(rewriter, json.dumps({"result": [shown]})))["result"]
    assert (row_kept["Source"], row_kept["Type"], row_kept["name1"]) == ("None", "Inherited", "Active")
    assert (row_kept["PSComputerName"], row_kept["Owner"]) == ("name4", "user2")
