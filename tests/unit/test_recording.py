"""What a recording keeps of a message, on forms that real machines use: synthetic values in their shapes."""

from __future__ import annotations

import base64
import json
import re

import pytest

from avma.recording.envelope import NOT_JSON, NOT_XML, Rewriter
from avma.recording.standins import Standins

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


def test_a_word_that_is_a_name_elsewhere_stays_where_windows_says_it(rewriter: Rewriter) -> None:
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


def test_a_shell_tells_neither_its_owner_nor_its_client(rewriter: Rewriter) -> None:
    text = rewriter.message(SHELL.encode())
    assert "<rsp:Owner>name2\\user1</rsp:Owner>" in text
    assert "<rsp:ClientIP>127.77.0.1</rsp:ClientIP>" in text
    for kept in ("11111111-2222-3333-4444-555555555555", "P0DT0H0M1S", "<rsp:InputStreams>stdin<"):
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
        ("<p:ElementName xmlns:p='urn:p'>Payroll &amp; Co</p:ElementName>",
         "<p:ElementName xmlns:p='urn:p'>name3</p:ElementName>"),
        ("<Name>HV01</Name>", "<Name>name1</Name>"),
        ("<Address>fe80::1</Address>", "<Address>2001:db8::1</Address>"),
        ("<InstallDate>2013-04-15T16:28:39.5Z</InstallDate>", None),
        ("<Enabled>true</Enabled>", None),
        ('<Job xsi:nil="true"/>', None),
        ("<ProductKey>BCDFG-HJKMN-PQRTV-WXY23-46789</ProductKey>", "<ProductKey>name3</ProductKey>"),
        ("<Message>key BCDFG-HJKMN-PQRTV-WXY23-46789 is blocked</Message>", "<Message>key …46789 is blocked</Message>"),
        (f"<OfflineInstallationId>{'123456789' * 7}</OfflineInstallationId>",
         "<OfflineInstallationId>[installation ID]</OfflineInstallationId>"),
        ("<Message>the password is Correct-Horse-7</Message>", "<Message>the password is [secret]</Message>"),
        ("<Message>at http://10.1.2.3:5985, [fe80::1]:5985 and 10.1.2.4, not 10.0.20348.1</Message>",
         "<Message>at http://127.77.0.1:5985, [2001:db8::1]:5985 and 127.77.0.2, not 10.0.20348.1</Message>"),
        ("<Message>on HV01<y/>at hv01<z>1</z>of 10.1.2.3</Message>",
         "<Message>on name1<y/>at name1<z>1</z>of 127.77.0.1</Message>"),
        ("<Name>HV01</Name><!-- HV01 -->", "<Name>name1</Name>"),
        ("<w:Filter xmlns:w='urn:w'>SELECT Version FROM X WHERE Name = 'hv01'</w:Filter>",
         "<w:Filter xmlns:w='urn:w'>SELECT Version FROM X WHERE Name = 'name1'</w:Filter>"),
        ("<w:Filter xmlns:w='urn:w'>SELECT * FROM X WHERE A = 'it\\'s 7' AND B = \"8\" AND C = 9</w:Filter>",
         "<w:Filter xmlns:w='urn:w'>SELECT * FROM X WHERE A = 'name3' AND B = \"name4\" AND C = 9</w:Filter>"),
        ("<a:To xmlns:a='urn:a'>https://hv:5986/wsman</a:To>", "<a:To xmlns:a='urn:a'>https://name3:5986/wsman</a:To>"),
        ("<a:To xmlns:a='urn:a'>https://[fe80::1]:5986/wsman</a:To>",
         "<a:To xmlns:a='urn:a'>https://[2001:db8::1]:5986/wsman</a:To>"),
        ("<ElementName>2019</ElementName>", "<ElementName>name3</ElementName>"),
        ("<ElementName>10.0.17763</ElementName>", "<ElementName>name3.domain2.invalid</ElementName>"),
        ("<CSName>true</CSName>", "<CSName>name3</CSName>"),
        ("<SerialNumber>20190401</SerialNumber>", "<SerialNumber>name3</SerialNumber>"),
        ("<Name>8A1F0C52-6A0E-4B3C-9F61-0C2D4C1F0A11</Name>", None),
        ("<Address>010.001.002.003</Address>", "<Address>127.77.0.1</Address>"),
        ("<Setting>010.001.002.003</Setting>", "<Setting>127.77.0.1</Setting>"),
        ("<Selector Name='LicenseStatus'>77</Selector>", None),
        ("<Selector Name='ElementName'>77</Selector>", "<Selector Name='ElementName'>name3</Selector>"),
        ("<F Machine='HV01' Code='5'/>", "<F Machine=\"name1\" Code='5'/>"),
        ("<F PSComputerName='47'/>", '<F PSComputerName="name3"/>'),
    ],
)  # fmt: skip
def test_each_kind_of_value(rewriter: Rewriter, before: str, after: str | None) -> None:
    assert rewriter.message(row(before)) == row(after or before).decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("the SID S-1-5-21-397955417-626881126-188441444-512 of S-1-5-32-544", "the SID [SID] of S-1-5-32-544"),
        ("mail robin.goodfellow@athens.example.", "mail user2@name3.domain2.invalid."),
        ("as puck@ATHENS failed", "as user2@name3 failed"),
        ("from 00-15-5D-01-02-0A, 00:15:5d:01:02:0a, 0015.5d01.020a or 00155D01020A.",
         "from [MAC address], [MAC address], [MAC address] or [MAC address]."),
        (r"cannot read \\FS7\Secret$\plans.docx now", r"cannot read \\name3\[path] now"),
        (r"of \\FS7\root\cimv2:Thing and \\.\root\cimv2", r"of \\name3\root\cimv2:Thing and \\.\root\cimv2"),
        ("bind to CN=Robin Goodfellow,OU=Staff,DC=athens,DC=example", "bind to [distinguished name]"),
        ("at dc=athens, not", "at [distinguished name], not"),
        (r"in C:\Users\Robin Good\x.ps1 and C:\Users\robin", r"in C:\Users\user2\x.ps1 and C:\Users\user3"),
        (r"in C:\Windows\System32\winrm.cmd of root\cimv2", None),
        (r"denied to ATHENS\robin", r"denied to name3\user2"),
        ("Machine='FS7', server \"FS8\" and VM 'it'", "Machine='name3', server \"name4\" and VM 'name5'"),
        ("from fs7.athens.example by System.Management.Automation.PSRemotingJob",
         "from name3.domain2.invalid by System.Management.Automation.PSRemotingJob"),
        ("see http://go.microsoft.com/fwlink/?LinkID=116096 at 12:30:45, 0x8033811A", None),
        ("at 010.001.002.003, ::ffff:10.9.8.7 and fe80::1%12", "at 127.77.0.1, 2001:db8::1 and 2001:db8::2"),
        ("hv01-clone and hv01_data, not hv010", "name1-clone and name1_data, not hv010"),
    ],
)  # fmt: skip
def test_each_form_in_which_a_sentence_identifies(rewriter: Rewriter, before: str, after: str | None) -> None:
    assert rewriter.text(before) == (before if after is None else after)


def test_a_name_that_another_case_makes_longer_is_found_in_sentences(rewriter: Rewriter) -> None:
    rewriter.learn(row("<ElementName>İzmir</ElementName>"))
    assert rewriter.text("of İzmir, İZMIR") == "of name3, name3"


def test_a_short_name_is_found_in_quotes_alone(rewriter: Rewriter) -> None:
    rewriter.learn(row("<ElementName>it</ElementName>"))
    assert rewriter.text("it says 'it'") == "it says 'name3'"


@pytest.mark.parametrize(
    ("name", "data", "after"),
    [
        ("OSName", "Windows Server 2022 Standard", "Windows Server 2022 Standard"),
        ("FullyQualifiedDomainName", "web01.lab.example", "name3.domain1.invalid"),
        ("NetworkAddressIPv4", "10.1.2.3;10.1.2.4", "127.77.0.1;127.77.0.2"),
        ("SomethingOfTheirOwn", "a secret", "name3"),
        ("FullyQualifiedDomainName", "2019", "name3"),
    ],
)
@pytest.mark.parametrize("cdata", [True, False])
def test_what_a_guest_tells(rewriter: Rewriter, name: str, data: str, after: str, cdata: bool) -> None:
    item = (
        f'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Data" TYPE="string"><VALUE>{data}</VALUE>'
        f'</PROPERTY><PROPERTY NAME="Name" TYPE="string"><VALUE>{name}</VALUE></PROPERTY></INSTANCE>'
    )
    escaped = item.replace("<", "&lt;").replace(">", "&gt;")
    text = rewriter.message(row(f"<I>{f'<![CDATA[{item}]]>' if cdata else escaped}</I>"))
    assert f"VALUE&gt;{after}&lt;/VALUE" in text or f"VALUE>{after}</VALUE" in text
    assert name in text
    assert data == after or data not in text


def test_an_answer_that_is_no_xml_is_not_kept(rewriter: Rewriter) -> None:
    assert rewriter.message(b"<html>secret") == NOT_XML
    assert rewriter.message(b"\xff\xfe") == NOT_XML


def streamed(text: str) -> bytes:
    data = base64.b64encode(text.encode()).decode()
    return row(f'<rsp:Stream xmlns:rsp="x" Name="stdout" CommandId="1">{data}</rsp:Stream>')


def test_what_a_script_writes_is_kept_without_names_and_keys(rewriter: Rewriter) -> None:
    key = "BCDFG-HJKMN-PQRTV-WXY23-46789"
    shown = {"State": "Enabled", "Key": key, "Said": "of hv01.lab.example at 10.1.2.3", "Count": 5}
    kept = rewriter.message(streamed(json.dumps({"result": [shown]})))
    (data,) = re.findall(r">([A-Za-z0-9+/=]+)</rsp:Stream>", kept)
    (row_kept,) = json.loads(base64.b64decode(data))["result"]
    assert (row_kept["State"], row_kept["Key"], row_kept["Count"]) == ("Enabled", "…46789", 5)
    assert "hv01" not in row_kept["Said"]
    assert "10.1.2.3" not in row_kept["Said"]


def test_what_another_program_writes_is_left_out(rewriter: Rewriter) -> None:
    kept = rewriter.message(streamed("Oberon was here"))
    assert base64.b64encode(NOT_JSON.encode()).decode() in kept
