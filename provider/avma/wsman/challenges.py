"""The ways to log on that an answer with 401 offers (RFC 9110, 11.6.1)."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.request import parse_http_list


def schemes(fields: Iterable[str]) -> tuple[str, ...]:
    """Return the schemes in the values of WWW-Authenticate, each once, such as "Negotiate" and "Basic".

    A value can hold several challenges, and commas stand between these, between their parameters, and in quotes.
    """
    words = (part.split() for field in fields for part in parse_http_list(field))
    # A further parameter of the challenge before it is one word, and has a value.
    return tuple(dict.fromkeys(word[0] for word in words if word and "=" not in word[0]))
