"""The authentication schemes in `WWW-Authenticate` (RFC 9110, sections 11.3 and 11.6.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.request import parse_http_list

_SCHEME = re.compile(r"([\w!#$%&'*+.^`|~-]+)(?:\s+(?!=)|\Z)", re.ASCII)
"""The name of a scheme. It does not match a parameter of the scheme before it, such as `realm="x"`."""


def schemes(headers: Iterable[str]) -> tuple[str, ...]:
    """Return the schemes of all challenges in order, each once.

    A header can contain several challenges, and a realm can contain commas.
    """
    parts = (part for header in headers for part in parse_http_list(header))
    found = (_SCHEME.match(part) for part in parts)
    return tuple(dict.fromkeys(match[1] for match in found if match))
