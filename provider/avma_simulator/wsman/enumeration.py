"""WS-Enumeration of one machine: queries, pages, and the contexts between them.

Paging follows recordings of txwinrm from Windows Server 2012 and later. An optimized Enumerate of several rows returns
one. Pages end near half of MaxEnvelopeSize. Every page has a new context.
"""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from dataclasses import dataclass

from avma_simulator.clock import Clock
from avma_simulator.wmi import queries, wql
from avma_simulator.wmi.cim import Instance
from avma_simulator.wmi.repository import ClassNotFound, Repository
from avma_simulator.wsman import instance_xml, wsman_faults
from avma_simulator.wsman.soap import Request, number, qualified
from avma_simulator.wsman.xmltree import element, serialised

WQL = "http://schemas.microsoft.com/wbem/wsman/1/WQL"
_ALL_CLASSES = "*"
_REFERENCES, _BOTH = "EnumerateEPR", "EnumerateObjectAndEPR"
_LIFETIME = 240.0
_ENVELOPE_OVERHEAD = 1200
_MAX_BATCH_ITEMS = 32000


@dataclass(frozen=True)
class _Remainder:
    """The remaining rows of an enumeration as XML, their class, and the time of the last use."""

    cim_class: str
    rows: list[ET.Element]
    used: float


class Enumerations:
    """The open enumerations of one machine."""

    def __init__(self, repository: Repository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock
        self._open: dict[str, _Remainder] = {}

    @property
    def open(self) -> int:
        """The number of enumerations with remaining rows."""
        self._forget_old()
        return len(self._open)

    def enumerate(self, request: Request) -> ET.Element:
        """Answer an Enumerate.

        Raises:
            Fault: the filter or the class is wrong.
        """
        if request.body is None or request.body.tag != qualified("n:Enumerate"):
            raise wsman_faults.schema_validation()
        rows, name = self._rows(request), self.class_of(request)
        optimised = request.text("w:OptimizeEnumeration") is not None
        if not optimised:
            return element("n:EnumerateResponse", self._context(name, rows))
        items = element("w:Items", *rows[:1])
        if len(rows) > 1:
            return element("n:EnumerateResponse", self._context(name, rows[1:]), items)
        context = element("n:EnumerationContext")
        return element("n:EnumerateResponse", context, items, element("w:EndOfSequence"))

    def pull(self, request: Request) -> ET.Element:
        """Answer a Pull.

        Raises:
            Fault: the context is not open.
        """
        rest = self._take(request)
        rows = rest.rows
        count = _page(rows, request.envelope_size, _max_elements(request))
        items = element("n:Items", *rows[:count])
        if count < len(rows):
            return element("n:PullResponse", self._context(rest.cim_class, rows[count:]), items)
        return element("n:PullResponse", items, element("n:EndOfSequence"))

    def without_rows(self, request: Request) -> ET.Element:
        """Answer an Enumerate or a Pull as if no rows were left.

        Raises:
            Fault: the context is not open.
        """
        if request.operation == "Pull":
            self._take(request)
            return element("n:PullResponse", element("n:Items"), element("n:EndOfSequence"))
        if request.text("w:OptimizeEnumeration") is None:
            return element("n:EnumerateResponse", self._context(self.class_of(request), []))
        parts = (element("n:EnumerationContext"), element("w:Items"), element("w:EndOfSequence"))
        return element("n:EnumerateResponse", *parts)

    def class_of(self, request: Request) -> str:
        """Return the WMI class of an Enumerate, or of the context of a Pull. Return "" if it is unknown."""
        if request.operation != "Enumerate":
            rest = self._open.get(request.text("n:EnumerationContext") or "")
            return rest.cim_class if rest else ""
        try:
            text = _filter(request)
            return instance_xml.class_path(request)[1] if text is None else wql.parse(text).class_name
        except (wql.WqlError, wsman_faults.Fault):
            return ""

    def release(self, request: Request) -> None:
        """End an enumeration.

        Raises:
            Fault: the context is not open.
        """
        self._take(request)

    def _context(self, cim_class: str, rows: list[ET.Element]) -> ET.Element:
        name = f"uuid:{str(uuid.uuid4()).upper()}"
        self._open[name] = _Remainder(cim_class, rows, self._clock.monotonic())
        return element("n:EnumerationContext", name)

    def _take(self, request: Request) -> _Remainder:
        self._forget_old()
        found = self._open.pop(request.text("n:EnumerationContext") or "", None)
        if found is None:
            raise wsman_faults.invalid_enumeration_context()
        return found

    def _forget_old(self) -> None:
        now = self._clock.monotonic()
        self._open = {name: rest for name, rest in self._open.items() if now - rest.used < _LIFETIME}

    def _rows(self, request: Request) -> list[ET.Element]:
        namespace, name = instance_xml.class_path(request)
        text = _filter(request)
        mode = request.text("w:EnumerationMode")
        if mode not in (None, _REFERENCES, _BOTH):
            raise wsman_faults.enumeration_mode()
        # Reported by go-wsman for a Hyper-V host: the URI of a class rejects WQL. Pull works at any URI.
        if text is not None and name != _ALL_CLASSES:
            raise wsman_faults.cannot_process_filter()
        try:
            query = wql.Query(name, None, None) if text is None else wql.parse(text)
            found, columns = queries.run(self._repository, namespace, query)
        except wql.WqlError:
            raise wsman_faults.cannot_process_filter() from None
        except ClassNotFound:
            # Inferred (listing-of-missing-class-is-destination-unreachable): without a filter, a missing class is a
            # missing resource.
            missing = text is None and name != _ALL_CLASSES
            raise (wsman_faults.resource_not_found() if missing else wsman_faults.cannot_process_filter()) from None
        return [_row(row, columns, mode) for row in found]


def _filter(request: Request) -> str | None:
    found = None if request.body is None else request.body.find(qualified("w:Filter"))
    if found is None:
        return None
    if found.get("Dialect", "").lower() != WQL.lower():
        raise wsman_faults.filter_dialect_unavailable()
    return found.text or ""


def _row(row: Instance, columns: tuple[str, ...] | None, mode: str | None) -> ET.Element:
    if mode == _REFERENCES:
        return instance_xml.reference(row)
    whole = instance_xml.instance(row) if columns is None else instance_xml.fragment(row, columns)
    if mode == _BOTH:
        return element("w:Item", whole, instance_xml.reference(row))
    return whole


def _max_elements(request: Request) -> int:
    most = number(request.text("n:MaxElements") or "1")
    if most == 0:
        raise wsman_faults.schema_validation()
    return min(most, _MAX_BATCH_ITEMS)


def _page(rows: list[ET.Element], envelope_size: int, most: int) -> int:
    """Return the number of rows of a page: at least one, and at most half of the envelope."""
    room = envelope_size // 2 - _ENVELOPE_OVERHEAD
    count = 0
    for row in rows[:most]:
        room -= len(serialised(row))
        if room < 0 and count:
            break
        count += 1
    return count
