"""Facts about WS-Management as Windows speaks it (MS-WSMV, DMTF DSP0226)."""

from __future__ import annotations

import re

from avma.deadline import Deadline
from avma.wsman import envelope
from avma.wsman.envelope import SOAP, XSI, Message, local_name
from avma.wsman.identify import identify
from avma_conformance.fact import Area, Observation, equal, fact, like, true
from avma_conformance.subject import CIMV2, Subject

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_SERVICE = "SELECT Version FROM SoftwareLicensingService"


@fact(Area.WSMAN, "MS-WSMV 3.1.4.1.1, recorded by txwinrm")
def identify_names_microsoft(subject: Subject) -> Observation:
    """Identify names Microsoft as the vendor of the service."""
    return equal("Microsoft Corporation", identify(subject.server.cim, Deadline(60)).vendor)


@fact(Area.WSMAN, "MS-WSMV 2.2.4.19, recorded by WinRMSharp")
def identify_reports_the_build(subject: Subject) -> Observation:
    """The product version of Identify contains the build of Windows."""
    build = subject.server.system(subject.deadline).build
    version = identify(subject.server.cim, Deadline(60)).version
    return like(rf"OS: 10\.0\.{build} SP: \d+\.\d+ Stack: 3\.0|OS: 6\.3\.{build} SP: \d+\.\d+ Stack: 3\.0", version)


@fact(Area.WSMAN, "WS-Addressing, recorded by pypsrp")
def answer_relates_to_its_message(subject: Subject) -> Observation:
    """An answer names the message to which it relates."""
    message = envelope.enumerate_query(CIMV2, _SERVICE).render(subject.server.connection.endpoint, 60.0)
    sent = re.findall(rb"<a:MessageID>([^<]*)<", message)[0].decode()
    answer = subject.send(message)
    related = next((each.text or "" for each in answer.iter() if local_name(each) == "RelatesTo"), "")
    return true("the RelatesTo header is the MessageID", related == sent, "the same" if related == sent else "another")


@fact(Area.WSMAN, "recorded on a Japanese host")
def envelope_names_a_language(subject: Subject) -> Observation:
    """The envelope of an answer names the language of the machine."""
    answer = subject.exchange(envelope.enumerate_query(CIMV2, _SERVICE))
    return like("[a-z]{2,3}-[A-Z]{2}", answer.get(_XML_LANG, ""))


@fact(Area.WSMAN, "recorded by pypsrp")
def unknown_header_is_not_understood(subject: Subject) -> Observation:
    """A header with mustUnderstand that Windows does not know is rejected with MustUnderstand, without a Detail."""
    message = envelope.enumerate_query(CIMV2, _SERVICE).render(subject.server.connection.endpoint, 60.0)
    strange = f'<x:Strange xmlns:x="urn:avma" xmlns:s="{SOAP}" s:mustUnderstand="true"/></s:Header>'.encode()
    answer = subject.send(message.replace(b"</s:Header>", strange, 1))
    fault = next((each for each in answer.iter() if local_name(each) == "Fault"), None)
    if fault is None:
        return true("a fault MustUnderstand without a Detail", False, "no fault")
    code = next((each.text or "" for each in fault.iter() if local_name(each) == "Value"), "").rpartition(":")[2]
    detail = any(local_name(each) == "Detail" for each in fault)
    found = f"{code} {'with' if detail else 'without'} a Detail"
    return equal("MustUnderstand without a Detail", found)


@fact(Area.WSMAN, "MS-WSMV, wsmerror.h")
def unknown_action_is_not_supported(subject: Subject) -> Observation:
    """An action that a resource does not have is rejected with ActionNotSupported."""
    uri = envelope.class_uri(CIMV2, "Win32_OperatingSystem")
    fault = subject.fault(Message(f"{envelope.TRANSFER}/Strange", uri))
    return equal("Sender, ActionNotSupported, 0x80338013, WSManFault", str(fault))


@fact(Area.WSMAN, "recorded by txwinrm")
def null_is_nil(subject: Subject) -> Observation:
    """A null property of a whole instance is an element with xsi:nil."""
    answer = subject.exchange(envelope.enumerate_query(CIMV2, "SELECT * FROM Win32_OperatingSystem"))
    nil = [each for each in answer.iter() if each.get(f"{{{XSI}}}nil") == "true"]
    return true("at least one property with xsi:nil", bool(nil), f"{len(nil)} properties with xsi:nil")
