"""Functions that find elements of an answer by their local names, wherever they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avma.wsman.envelope import local_name

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def named(element: Element, name: str) -> list[Element]:
    """Return all elements of that name."""
    return [each for each in element.iter() if local_name(each) == name]


def first(element: Element, name: str) -> Element | None:
    """Return the first element of that name, or None."""
    return next(iter(named(element, name)), None)


def text(element: Element, name: str) -> str:
    """Return the text of the first element of that name. It is empty if there is no such element."""
    found = first(element, name)
    return "" if found is None else (found.text or "").strip()


def items(answer: Element) -> list[Element]:
    """Return the items of a page: the children of Items."""
    found = first(answer, "Items")
    return [] if found is None else list(found)


def namespace(element: Element) -> str:
    """Return the namespace of an element. It is empty if the element has none."""
    return element.tag[1:].partition("}")[0] if element.tag.startswith("{") else ""
