"""The construction of XML elements with fixed prefixes, like those of Windows.

A type such as `p:Win32_Service_Type` in an attribute depends on its prefix, so the serializer must not choose prefixes.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def element(tag: str, *children: ET.Element | str, **attributes: str) -> ET.Element:
    """Return an element with text or children. `__` in an attribute's name stands for the colon.

    Characters outside of XML become question marks (MS-WSMV 3.1.4.1.25).
    """
    made = ET.Element(tag, {name.replace("__", ":"): value for name, value in attributes.items()})
    for child in children:
        if isinstance(child, str):
            made.text = _NOT_XML.sub("?", child)
        else:
            made.append(child)
    return made


def serialised(tree: ET.Element) -> bytes:
    """Return the tree as UTF-8 without an XML declaration."""
    return ET.tostring(tree, encoding="unicode").encode()
