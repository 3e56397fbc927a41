"""The ways to log on that `WWW-Authenticate` names (RFC 9110, sections 11.3 and 11.6.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.request import parse_http_list

_SCHEME = re.compile(r"([\w!#$%&'*+.^`|~-]+)(?:\s+(?!=)|\Z)", re.ASCII)
"""A word that does not begin a parameter, such as `realm="x"`, of the scheme before it."""


def schemes(headers: Iterable[str]) -> tuple[str, ...]:
    """Return the scheme of each challenge once, in their order: a header may hold several, and a realm commas."""
    parts = (part for header in headers for part in parse_http_list(header))
    found = (_SCHEME.match(part) for part in parts)
    return tuple(dict.fromkeys(match[1] for match in found if match))
