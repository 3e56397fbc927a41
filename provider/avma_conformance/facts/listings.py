"""Facts about WS-Enumeration and WQL, as Windows answers them (WS-Enumeration, MS-WSMV, WQL)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING
from xml.etree.ElementTree import tostring

from avma.wsman import envelope
from avma.wsman.envelope import WSMAN, Message, local_name
from avma_conformance.fact import Area, NotHere, Observation, equal, fact, true
from avma_conformance.fault_form import NO_FAULT, fault_form
from avma_conformance.subject import CIMV2, Subject
from avma_conformance.xml_parts import first, items, namespace, text

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_OS, _SERVICE, _PRODUCT = "Win32_OperatingSystem", "SoftwareLicensingService", "SoftwareLicensingProduct"
_MANY = f"SELECT ID FROM {_PRODUCT}"
_FEW = 4
"""Windows lists one product for each existing edition and channel."""
_WIDE = (
    "SELECT ApplicationID,Description,GenuineStatus,GracePeriodRemaining,ID,KeyManagementServicePort,LicenseFamily,"
    "LicenseIsAddon,LicenseStatus,LicenseStatusReason,Name,PartialProductKey,ProductKeyChannel,RemainingAppReArmCount,"
    f"RequiredClientCount,VLActivationInterval,VLActivationTypeEnabled,VLRenewalInterval FROM {_PRODUCT}"
)
_NO_ID = "00000000-0000-0000-0000-000000000000"
"""No instance has it. A recording keeps it, so that the question can be replayed."""
_NONE = f"SELECT ID FROM SoftwareLicensingProduct WHERE ID = '{_NO_ID}'"
_SMALLEST_ENVELOPE = 8192
_RESERVE = 500
"""Bytes. A machine may end a page this much earlier, because it estimates the size of the envelope around the items."""
_CONTEXT = "EnumerationContext"


def _ends(answer: Element) -> bool:
    return first(answer, "EndOfSequence") is not None


def _shape(answer: Element) -> str:
    """Return the form of a page: the number of its items, and what follows."""
    fault = fault_form(answer)
    if fault is not None:
        return str(fault)
    follows = [name for name, there in (("a context", text(answer, _CONTEXT)), ("the end", _ends(answer))) if there]
    return f"{len(items(answer))} items, {' and '.join(follows) or 'nothing'}"


def _pull(context: str, most: int = envelope.MAX_ELEMENTS) -> Message:
    message = envelope.pull(CIMV2, context)
    body = message.body.replace(f">{envelope.MAX_ELEMENTS}</", f">{most}</")
    return replace(message, body=body)


@contextlib.contextmanager
def _released_at_the_end(subject: Subject, answer: Element) -> Iterator[Element]:
    """Release a listing after the observation of one of its pages. Open listings count against a quota."""
    context = text(answer, _CONTEXT)
    try:
        yield answer
    finally:
        if context:
            subject.exchange(envelope.release(CIMV2, context))


def _opened(subject: Subject, wql: str, optimized: bool = True) -> contextlib.AbstractContextManager[Element]:
    """Begin a listing."""
    return _released_at_the_end(subject, subject.exchange(envelope.enumerate_query(CIMV2, wql, optimized)))


def _context_of_many(subject: Subject) -> str:
    """Begin a listing of many rows, and return its context."""
    if len(subject.query(_MANY)) < _FEW:
        raise NotHere("the machine lists too few licenses")
    context = text(subject.exchange(envelope.enumerate_query(CIMV2, _MANY, optimized=False)), _CONTEXT)
    if not context:
        raise NotHere("the listing has no further page")
    return context


@fact(Area.ENUMERATION, "recorded by txwinrm on 2008 R2 and 2012")
def optimized_listing_begins_with_one_item(subject: Subject) -> Observation:
    """An optimized Enumerate with several rows returns exactly one item and a context."""
    with _opened(subject, _MANY) as answer:
        return equal("1 items, a context", _shape(answer))


@fact(Area.ENUMERATION, "WS-Enumeration 3.1, recorded by txwinrm")
def plain_listing_begins_without_items(subject: Subject) -> Observation:
    """An Enumerate without OptimizeEnumeration returns a context and no item."""
    with _opened(subject, _MANY, optimized=False) as answer:
        return equal("0 items, a context", _shape(answer))


@fact(Area.ENUMERATION, "recorded by txwinrm")
def single_row_ends_the_optimized_listing(subject: Subject) -> Observation:
    """An optimized Enumerate with one row returns it with EndOfSequence, and without a context."""
    with _opened(subject, f"SELECT Version FROM {_OS}") as answer:
        return equal("1 items, the end", _shape(answer))


@fact(Area.ENUMERATION, "inferred: the recorded form for one row")
def empty_optimized_listing_ends_at_once(subject: Subject) -> Observation:
    """An optimized Enumerate without rows returns EndOfSequence at once, without a context."""
    with _opened(subject, _NONE) as answer:
        return equal("0 items, the end", _shape(answer))


@fact(Area.ENUMERATION, "WS-Enumeration 3.2")
def empty_plain_listing_ends_with_the_first_page(subject: Subject) -> Observation:
    """A plain Enumerate without rows returns a context. Its first page has no item, and ends."""
    context = text(subject.exchange(envelope.enumerate_query(CIMV2, _NONE, optimized=False)), _CONTEXT)
    return equal("0 items, the end", _shape(subject.exchange(_pull(context))))


@fact(Area.ENUMERATION, "WS-Enumeration 3.2, recorded by txwinrm")
def last_page_has_no_context(subject: Subject) -> Observation:
    """The last page has EndOfSequence and no context."""
    context = text(subject.exchange(envelope.enumerate_query(CIMV2, f"SELECT Version FROM {_OS}", False)), _CONTEXT)
    return equal("1 items, the end", _shape(subject.exchange(_pull(context))))


@fact(Area.ENUMERATION, "WS-Enumeration 3.2, MaxElements")
def page_has_at_most_max_elements(subject: Subject) -> Observation:
    """A page has exactly MaxElements items, if there are more rows and they fit."""
    with _released_at_the_end(subject, subject.exchange(_pull(_context_of_many(subject), 2))) as answer:
        return equal("2 items, a context", _shape(answer))


@fact(Area.ENUMERATION, "recorded by txwinrm")
def each_page_has_a_new_context(subject: Subject) -> Observation:
    """Each page has another context than the page before."""
    contexts = [_context_of_many(subject)]
    for _ in range(2):
        contexts.append(text(subject.exchange(_pull(contexts[-1], 1)), _CONTEXT))
    subject.exchange(envelope.release(CIMV2, contexts[-1]))
    return equal("3 different contexts", f"{len(set(contexts) - {''})} different contexts")


@fact(Area.ENUMERATION, "inferred: pages of 76.8 KB for a MaxEnvelopeSize of 153,600, recorded by txwinrm")
def pages_end_at_half_of_the_envelope(subject: Subject) -> Observation:
    """A page ends before the item with which it would exceed half of MaxEnvelopeSize in UTF-8."""
    half = _SMALLEST_ENVELOPE // 2
    expected = f"at most {half} bytes, but more with the next item"
    begun = subject.exchange(envelope.enumerate_query(CIMV2, _WIDE, optimized=False))
    page = subject.answer(subject.rendered(_pull(text(begun, _CONTEXT)), envelope_size=_SMALLEST_ENVELOPE))
    size, context = len(page), text(envelope.body_of(page), _CONTEXT)
    if not context and size <= half:
        raise NotHere("all products fit into one page")
    if not context:
        return true(expected, False, f"{size} bytes, and no next item")
    with _released_at_the_end(subject, subject.exchange(_pull(context, 1))) as following:
        item = len(tostring(items(following)[0]))
        found = f"{size} bytes, and the next item has {item}"
        return true(expected, size <= half < size + item + _RESERVE, found)


@fact(Area.ENUMERATION, "inferred: WS-Management has no connections, and a context is a text")
def listing_survives_a_new_connection(subject: Subject) -> Observation:
    """The next page of a listing can be pulled over another TCP connection of the same account."""
    answer = subject.exchange(_pull(_context_of_many(subject)))
    return true("items", bool(items(answer)), _shape(answer) if fault_form(answer) else "items")


@fact(Area.ENUMERATION, "WS-Enumeration 3.2, recorded by txwinrm")
def items_have_the_namespace_of_their_page(subject: Subject) -> Observation:
    """Items of an Enumerate are in the namespace of WS-Management, and those of a Pull in that of WS-Enumeration."""
    with _opened(subject, f"SELECT Version FROM {_OS}") as begun:
        found = [first(begun, "Items"), first(subject.exchange(_pull(_context_of_many(subject))), "Items")]
    names = ["none" if each is None else namespace(each) for each in found]
    return equal([WSMAN, envelope.ENUMERATION], names)


_INVALID = "Receiver, InvalidEnumerationContext, 0x8033801B, WSManFault"


@fact(Area.ENUMERATION, "WS-Enumeration 4.4, wsmerror.h 0x8033801B")
def unknown_context_is_invalid(subject: Subject) -> Observation:
    """A Pull with an unknown context is rejected with InvalidEnumerationContext."""
    return equal(_INVALID, str(subject.fault(_pull(f"uuid:{_NO_ID}"))))


@fact(Area.ENUMERATION, "WS-Enumeration 3.5, wsmerror.h 0x8033801B")
def released_context_is_invalid(subject: Subject) -> Observation:
    """A Pull after the Release of its context is rejected with InvalidEnumerationContext."""
    context = _context_of_many(subject)
    subject.exchange(envelope.release(CIMV2, context))
    return equal(_INVALID, str(subject.fault(_pull(context))))


@fact(Area.ENUMERATION, "inferred: each page has a context of its own")
def used_context_is_invalid(subject: Subject) -> Observation:
    """A second Pull with the context of an earlier page is rejected, so no page can be pulled again."""
    used = _context_of_many(subject)
    current = text(subject.exchange(_pull(used, 1)), _CONTEXT)
    fault = subject.fault(_pull(used, 1))
    subject.exchange(envelope.release(CIMV2, current))
    return equal(_INVALID, str(fault))


@fact(Area.ENUMERATION, "WS-Enumeration 3.5")
def release_has_an_empty_answer(subject: Subject) -> Observation:
    """Release answers with an empty body."""
    answer = subject.exchange(envelope.release(CIMV2, _context_of_many(subject)))
    body = next((each for each in answer if local_name(each) == "Body"), None)
    return equal("an empty body", "no body" if body is None else "an empty body" if len(body) == 0 else "a body")


_BAD_FILTER = "Sender, CannotProcessFilter, 0x8033801A"


@fact(Area.ENUMERATION, "go-wsman#80, on a Hyper-V host")
def wql_at_a_class_is_cannot_process_filter(subject: Subject) -> Observation:
    """A WQL query at the resource URI of a class is rejected. It needs the URI of all classes."""
    message = envelope.enumerate_query(CIMV2, f"SELECT Version FROM {_OS}")
    found = str(subject.fault(replace(message, resource_uri=envelope.class_uri(CIMV2, _OS))))
    return true(_BAD_FILTER, found.startswith(_BAD_FILTER), found)


@fact(Area.ENUMERATION, "libvirt, go-wsman#80")
def pull_works_at_a_class(subject: Subject) -> Observation:
    """A Pull works at the resource URI of a class too, after a query at the URI of all classes."""
    message = replace(_pull(_context_of_many(subject)), resource_uri=envelope.class_uri(CIMV2, _PRODUCT))
    return equal(NO_FAULT, str(subject.fault(message)))


@fact(Area.ENUMERATION, "MS-WSMV 3.1.4.1.30, recorded by txwinrm")
def columns_are_a_fragment_without_namespace(subject: Subject) -> Observation:
    """A query with columns returns each row as XmlFragment of WS-Management. Its columns are in no namespace."""
    row = _row(subject, f"SELECT Version,CSName FROM {_OS}")
    inside = {namespace(column) or "none" for column in row}
    return equal([f"{{{WSMAN}}}XmlFragment", "none"], [row.tag, *sorted(inside)])


@fact(Area.ENUMERATION, "recorded by txwinrm")
def columns_are_in_alphabetical_order(subject: Subject) -> Observation:
    """A query returns its columns in alphabetical order, and no others."""
    row = _row(subject, f"SELECT Version,CSName,BuildNumber FROM {_OS}")
    return equal(["BuildNumber", "CSName", "Version"], [local_name(column) for column in row])


@fact(Area.ENUMERATION, "recorded by txwinrm")
def columns_have_the_names_of_the_class(subject: Subject) -> Observation:
    """A query finds properties in any case, and returns the names that the class declares."""
    row = _row(subject, f"SELECT vErSiOn FROM {_OS.upper()}")
    return equal(["Version"], [local_name(column) for column in row])


def _row(subject: Subject, wql: str) -> Element:
    rows = items(subject.exchange(envelope.enumerate_query(CIMV2, wql)))
    if not rows:
        raise NotHere(f"the query returns no rows: {wql}")
    return rows[0]


@fact(Area.ENUMERATION, "learn.microsoft.com, WQL")
def wql_compares_texts_without_case(subject: Subject) -> Observation:
    """WQL compares texts without regard to case."""
    condition = f"CreationClassName = '{_OS.lower()}'"
    return equal("1 row", f"{len(subject.query(f'SELECT Version FROM {_OS} WHERE {condition}'))} row")


@fact(Area.ENUMERATION, "learn.microsoft.com, CIM_DATETIME in WQL")
def wql_compares_times(subject: Subject) -> Observation:
    """WQL compares a time with a text of the form yyyymmddHHMMSS.mmmmmm+UUU."""
    moment = "'19800101000000.000000+000'"
    queries = (f"SELECT Version FROM {_OS} WHERE LastBootUpTime {sign} {moment}" for sign in (">=", "<"))
    return equal("1 row after, 0 before", "{} row after, {} before".format(*(len(subject.query(q)) for q in queries)))


@fact(Area.ENUMERATION, "learn.microsoft.com, WQL")
def wql_is_not_null_leaves_out_nulls(subject: Subject) -> Observation:
    """WQL has IS NOT NULL. It leaves out the rows without a value, and the other rows are in IS NULL."""
    counts = [
        len(subject.query(f"SELECT ID FROM {_PRODUCT}{condition}"))
        for condition in (
            "",
            " WHERE PartialProductKey IS NOT NULL",
            " WHERE PartialProductKey IS NULL",
        )
    ]
    every, without_nulls, nulls = counts
    found = f"{without_nulls} and {nulls} of {every} rows"
    return true("two parts of all rows", every == without_nulls + nulls and 0 < nulls < every, found)
