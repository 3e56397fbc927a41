"""Pages of a WS-Enumeration: the rows in one answer to an Enumerate or a Pull, and the context for the next page."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from avma.wsman.envelope import local_name


class NotAPage(ValueError):
    """The answer contains neither a context for the next page nor the end of the listing."""


@dataclass(frozen=True)
class Page:
    """The rows of one answer, and the context for the next page. It is empty after the last page."""

    items: tuple[Element, ...]
    context: str


def page_of(body: Element) -> Page:
    """Return the page in the Body of an answer.

    An answer ends the sequence or contains a context (WS-Enumeration 3.1 and 3.2).

    Raises:
        NotAPage: the answer ends too early, so the listing is not known.
    """
    response = next(iter(body), None)
    if response is None:
        raise NotAPage("the answer has an empty body")
    if local_name(response) not in ("EnumerateResponse", "PullResponse"):
        raise NotAPage("the answer is not a page of a listing")
    parts = {local_name(part): part for part in response}
    items = tuple(parts.get("Items", ()))
    if "EndOfSequence" in parts:
        return Page(items, "")
    context = _text(parts.get("EnumerationContext"))
    if not context:
        raise NotAPage("a page of the listing has neither a next page nor an end")
    return Page(items, context)


def _text(element: Element | None) -> str:
    return "" if element is None else (element.text or "").strip()
