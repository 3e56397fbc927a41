"""Facts about WS-Management as Windows speaks it (MS-WSMV, DMTF DSP0226)."""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element

from avma.deadline import Deadline
from avma.wsman import envelope
from avma.wsman.envelope import SOAP, Message, local_name
from avma.wsman.identify import identify
from avma_conformance.fact import Area, Observation, equal, fact, like, one_of, question, true
from avma_conformance.fault_form import NO_FAULT, fault_form
from avma_conformance.raw_http import raw
from avma_conformance.subject import CIMV2, Subject
from avma_conformance.xml_parts import items, named, text

_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_SMALLEST_ENVELOPE = 8192
_ADDRESSING = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
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
    message = subject.rendered(envelope.enumerate_query(CIMV2, _SERVICE))
    sent = re.findall(rb"<a:MessageID>([^<]*)<", message)[0].decode()
    answer = subject.send(message)
    related = next((each.text or "" for each in answer.iter() if local_name(each) == "RelatesTo"), "")
    return true("the RelatesTo header is the MessageID", related == sent, "the same" if related == sent else "another")


@fact(Area.WSMAN, "recorded on a Japanese host")
def envelope_names_a_language(subject: Subject) -> Observation:
    """The envelope of an answer names the language of the machine."""
    answer = subject.exchange(envelope.enumerate_query(CIMV2, _SERVICE))
    return like("[a-z]{2,3}-[A-Z]{2}", answer.get(_XML_LANG, ""))


def _misunderstood(subject: Subject) -> tuple[str, Element]:
    """Send a message with an unknown header, and return its MessageID and the answer."""
    message = subject.rendered(envelope.enumerate_query(CIMV2, _SERVICE))
    strange = f'<x:Strange xmlns:x="urn:avma" xmlns:s="{SOAP}" s:mustUnderstand="true"/></s:Header>'.encode()
    sent = re.findall(rb"<a:MessageID>([^<]*)<", message)[0].decode()
    return sent, subject.send(message.replace(b"</s:Header>", strange, 1))


@fact(Area.WSMAN, "recorded by pypsrp and WinRMSharp")
def fault_for_an_unknown_header_has_the_action_of_addressing(subject: Subject) -> Observation:
    """The Action of a MustUnderstand fault is that of WS-Addressing."""
    return equal(f"{_ADDRESSING}/fault", text(_misunderstood(subject)[1], "Action"))


@fact(Area.WSMAN, "recorded by pypsrp and WinRMSharp")
def fault_for_an_unknown_header_relates_to_its_message(subject: Subject) -> Observation:
    """A MustUnderstand fault names the message to which it relates."""
    sent, answer = _misunderstood(subject)
    return equal("the MessageID", "the MessageID" if text(answer, "RelatesTo") == sent else "another text")


@fact(Area.WSMAN, "recorded by pypsrp and WinRMSharp")
def fault_for_an_unknown_header_has_the_prefix_of_the_client(subject: Subject) -> Observation:
    """NotUnderstood in a MustUnderstand fault names the header with the prefix of the client."""
    _, answer = _misunderstood(subject)
    return equal(["x:Strange"], [each.get("qname") for each in named(answer, "NotUnderstood")])


@fact(Area.WSMAN, "recorded by pypsrp")
def unknown_header_is_not_understood(subject: Subject) -> Observation:
    """A header with mustUnderstand that Windows does not know is rejected with MustUnderstand, without a Detail."""
    _, answer = _misunderstood(subject)
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


@fact(Area.WSMAN, "wsmerror.h 0x80338087, DSP0226 faultDetail Locale")
def locale_with_must_understand_is_unsupported(subject: Subject) -> Observation:
    """A Locale header with mustUnderstand is rejected."""
    message = subject.rendered(envelope.enumerate_query(CIMV2, _SERVICE))
    optional = b'<w:Locale xml:lang="en-US" s:mustUnderstand="false"/>'
    answer = subject.send(message.replace(optional, optional.replace(b"false", b"true")))
    return equal("Sender, UnsupportedFeature, 0x80338087, WSManFault, Locale", str(fault_form(answer) or NO_FAULT))


def _short(subject: Subject, envelope_size: int) -> bytes:
    return subject.rendered(envelope.enumerate_query(CIMV2, _SERVICE), envelope_size=envelope_size)


@fact(Area.WSMAN, "MS-WSMV 3.1.4.1.17, wsmerror.h 0x8033807E")
def envelope_below_8192_bytes_is_encoding_limit(subject: Subject) -> Observation:
    """A MaxEnvelopeSize below 8,192 bytes is rejected."""
    answer = subject.send(
        subject.rendered(envelope.enumerate_query(CIMV2, _SERVICE), envelope_size=_SMALLEST_ENVELOPE - 1)
    )
    expected = "Sender, EncodingLimit, 0x8033807E, WSManFault, MinimumEnvelopeLimit"
    return equal(expected, str(fault_form(answer) or NO_FAULT))


@fact(Area.WSMAN, "MS-WSMV 3.1.4.1.17")
def envelope_of_8192_bytes_is_accepted(subject: Subject) -> Observation:
    """A MaxEnvelopeSize of 8,192 bytes is accepted."""
    answer = subject.send(_short(subject, _SMALLEST_ENVELOPE))
    return equal(NO_FAULT, str(fault_form(answer) or NO_FAULT))


@fact(Area.WSMAN, "MS-WSMV 3.1.4.1, the setting MaxTimeoutms")
def operation_timeout_above_a_minute_is_accepted(subject: Subject) -> Observation:
    """An OperationTimeout above the limit of the machine is accepted. Windows silently reduces it."""
    answer = subject.send(subject.rendered(envelope.enumerate_query(CIMV2, _SERVICE), timeout=600.0))
    return equal(NO_FAULT, str(fault_form(answer) or NO_FAULT))


@fact(Area.WSMAN, "inferred: wsmerror.h 0x8033800C, and 500 as the lowest value of MaxTimeoutms")
def operation_timeout_of_half_a_second_is_accepted(subject: Subject) -> Observation:
    """An OperationTimeout of half a second is not too short. A request that ends earlier is answered."""
    answer = subject.send(subject.rendered(envelope.enumerate_query(CIMV2, _SERVICE), timeout=0.5))
    fault = fault_form(answer)
    found = "no fault" if fault is None else fault.subcode
    return one_of(("no fault", "TimedOut"), found)


@fact(Area.WSMAN, "recorded by WinRMSharp")
def charset_of_http_overrides_the_xml_declaration(subject: Subject) -> Observation:
    """A message in UTF-8 that declares UTF-16 is answered, if the HTTP header names UTF-8."""
    message = subject.rendered(envelope.enumerate_query(CIMV2, _SERVICE))
    answer = subject.send(b'<?xml version="1.0" encoding="utf-16"?>' + message)
    return equal(NO_FAULT, str(fault_form(answer) or NO_FAULT))


@fact(Area.WSMAN, "learn.microsoft.com, WQL and WMI names are not case-sensitive")
def resource_uris_ignore_case(subject: Subject) -> Observation:
    """A namespace in a resource URI is found in any case."""
    answer = subject.exchange(envelope.enumerate_query(CIMV2.upper(), _SERVICE))
    return equal("1 item", f"{len(items(answer))} item")


@fact(Area.WSMAN, "recorded by pypsrp and WinRMSharp")
def answers_name_http_sys(subject: Subject) -> Observation:
    """Each HTTP answer names Microsoft-HTTPAPI as the server, also without a sign-in."""
    with raw(subject) as connection:
        return like(r"(?i)microsoft-httpapi/.*", connection.post().server)


@fact(Area.WSMAN, "inferred: http.sys returns 404 for a URL that no service has registered")
def other_paths_are_404(subject: Subject) -> Observation:
    """A path without a service gets HTTP 404."""
    with raw(subject) as connection:
        return equal("HTTP 404", f"HTTP {connection.post(path='/avma-has-no-such-path').status}")


too_many_connections_are_503 = question(
    "too-many-connections-are-503",
    Area.WSMAN,
    "A machine with too many active requests returns HTTP 503, before a service reads the request.",
    "On a test machine, run `Set-Item WSMan:\\localhost\\Service\\MaxConnections 1`. Keep one remote session open, "
    "run `avma doctor`, and note the HTTP status in its error. Then restore the value.",
)
