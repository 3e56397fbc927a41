"""Building XML elements whose prefixes are written as they stand, as Windows' own are fixed.

A type such as `p:Win32_Service_Type` in an attribute only means something with its prefix, so prefixes cannot be left
to the serialiser. The module knows no vocabulary.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def element(tag: str, *children: ET.Element | str, **attributes: str) -> ET.Element:
    """Return an element with text or children; `__` in an attribute's name is the colon.

    Characters that XML cannot hold become question marks, as MS-WSMV 3.1.4.1.25 has it.
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
