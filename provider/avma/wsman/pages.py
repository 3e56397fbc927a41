"""Pages of a WS-Enumeration: what one answer to an Enumerate or a Pull holds, and whether it is a whole page."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree.ElementTree import Element

from avma.wsman.envelope import local_name


class NotAPage(ValueError):
    """The answer is neither a page with a context for the next one nor the end of the listing."""


@dataclass(frozen=True)
class Page:
    """The rows of one answer, and the context to pull the next page with, empty after the last page."""

    items: tuple[Element, ...]
    context: str


def page_of(body: Element) -> Page:
    """Return the page in the Body of an answer.

    An answer ends the sequence or names a context (WS-Enumeration 3.1 and 3.2).

    Raises:
        NotAPage: the answer ends too early, so the listing is not known.
    """
    response = next(iter(body), None)
    if response is None:
        raise NotAPage("an answer with an empty body")
    if local_name(response) not in ("EnumerateResponse", "PullResponse"):
        raise NotAPage("an answer that is no page of a listing")
    parts = {local_name(part): part for part in response}
    items = tuple(parts.get("Items", ()))
    if "EndOfSequence" in parts:
        return Page(items, "")
    context = _text(parts.get("EnumerationContext"))
    if not context:
        raise NotAPage("a page of a listing that names neither a next page nor the end")
    return Page(items, context)


def _text(element: Element | None) -> str:
    return "" if element is None else (element.text or "").strip()
