"""WS-Management messages: written and parsed in the forms that Windows documents."""

import pytest
from defusedxml.ElementTree import fromstring

from avma import errors
from avma.context import Context
from avma.deadline import Deadline
from avma.wsman import envelope, soap_faults
from avma.wsman.instance import Instance

CONTEXT = Context("ask", "hv01", Deadline(1))
S = 'xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
SOAP_FAULT = """<s:Envelope {s} xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><s:Body><s:Fault>
<s:Code><s:Value>{code}</s:Value><s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>
<s:Reason><s:Text xml:lang="de-DE">Ein Text.</s:Text></s:Reason><s:Detail>{detail}</s:Detail></s:Fault></s:Body>
</s:Envelope>"""
WMI_ERROR = """<p:MSFT_WmiError xmlns:p="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/MSFT_WmiError">
<p:MessageID>HRESULT 0x{code:08x}</p:MessageID><p:error_Code>{code}</p:error_Code></p:MSFT_WmiError>"""
WSMAN_FAULT = '<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="{code}" Machine="x"/>'
NESTED_FAULT = """<f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="2150858817">
<f:Message><f:ProviderFault><f:WSManFault Code="{code}"/></f:ProviderFault></f:Message></f:WSManFault>"""


def fault(detail: str, code: str = "s:Receiver", subcode: str = "w:InternalError"):
    text = SOAP_FAULT.format(s=S, code=code, subcode=subcode, detail=detail)
    found = soap_faults.find_fault(envelope.body_of(text.encode()))
    assert found is not None
    return soap_faults.to_error(found, Context("do it", "hv01", Deadline(1)))


def test_a_request_is_well_formed_and_escapes_what_it_carries():
    message = envelope.invoke(
        envelope.CimMethod("root/cimv2", "SoftwareLicensingService", "M"), {"Ver<sion": 'a"&'}, {"P": "<&>"}
    )
    root = fromstring(message.render("http://h/wsman", 60))
    texts = {envelope.local_name(e): e.text or "" for e in root.iter()}
    assert texts["P"] == "<&>"
    assert texts["Selector"] == 'a"&'
    assert texts["Action"].endswith("/wmi/root/cimv2/SoftwareLicensingService/M")
    assert texts["OperationTimeout"] == "PT60.000S"


@pytest.mark.parametrize(
    ("detail", "number"),
    [
        (WMI_ERROR.format(code=0xC004F050), 0xC004F050),
        (WSMAN_FAULT.format(code=0xC004F050), 0xC004F050),
        (NESTED_FAULT.format(code=0xC004F050), 0xC004F050),
    ],
)
def test_a_licensing_hresult_is_found_in_each_form_of_fault(detail, number):
    error = fault(detail)
    assert isinstance(error, errors.LicensingFault)
    assert error.code == number
    assert "SL_E_INVALID_PRODUCT_KEY" in str(error)


@pytest.mark.parametrize("detail", [WSMAN_FAULT.format(code=5), WMI_ERROR.format(code=0x80041003)])
def test_access_denied_in_both_forms(detail):
    assert isinstance(fault(detail, "s:Sender", "w:AccessDenied"), errors.AccessDenied)


def test_an_operation_timeout_is_a_lost_answer():
    assert isinstance(fault(WSMAN_FAULT.format(code=2150858793), "s:Receiver", "w:TimedOut"), errors.AnswerLost)


def test_an_unknown_fault_keeps_its_number_and_text():
    error = fault(WSMAN_FAULT.format(code=1234))
    assert "0x800704D2" in str(error)  # a Win32 error as an HRESULT
    assert "Ein Text." in str(error)


def test_an_instance_is_read_by_the_types_the_caller_expects():
    xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    text = f"""<q:X xmlns:q="urn:x" {xsi} xmlns:cim="urn:cim"><q:A>7</q:A><q:B xsi:nil="true"/><q:C></q:C><q:D>x</q:D>
    <q:D>y</q:D><q:E>true</q:E><q:F><cim:Datetime>2026-01-02T03:04:05Z</cim:Datetime></q:F></q:X>"""
    instance = Instance.from_element(fromstring(text), CONTEXT)
    assert instance.integer("a") == 7
    assert instance.text("B") is None
    assert instance.text("C") == ""
    assert instance.strings("D") == ("x", "y")
    assert instance.strings("A") == ("7",)
    assert instance.strings("missing") == ()
    assert instance.boolean("E") is True
    assert instance.text("F") == "2026-01-02T03:04:05Z"
    with pytest.raises(errors.UnexpectedAnswer):
        instance.integer("D")


def test_an_embedded_instance():
    text = """<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Caption" PROPAGATED="true" TYPE="string"/>
    <PROPERTY TYPE="string" NAME="Data"><VALUE>10.0.0.5;10.0.0.6</VALUE></PROPERTY></INSTANCE>"""
    item = Instance.from_embedded(text, CONTEXT)
    assert item.text("Data") == "10.0.0.5;10.0.0.6"
    assert item.text("Caption") is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"<html><body>login</body></html>",
        b"<html>",
        f"<s:Envelope {S}/>".encode(),
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
        b"\xff\xfe\x00",
    ],
)
def test_an_answer_that_is_not_soap_is_rejected(answer):
    with pytest.raises(envelope.NotSoap):
        envelope.body_of(answer)
