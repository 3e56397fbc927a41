"""Generates almost valid messages: altered real messages, and sometimes random bytes."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_TOKEN = re.compile(rb"(<[^>]*>|[\s'\"=:;,.%()]+)")
_LONGEST = 20_000
_PIECES = (
    b"",
    b"\0",
    b"<",
    b">",
    b"&",
    b"&#0;",
    b"&#x1F600;",
    b"]]>",
    b"<![CDATA[",
    b"<!--",
    b"<?x",
    b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
    b'<?xml version="1.0" encoding="no-such"?>',
    b'<?xml version="1.0" encoding="utf-16"?>',
    b" xsi:nil='true'",
    b" s:mustUnderstand='true'",
    b" xmlns=''",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    "\u0663\u00b2".encode(),
    b"\\ud800",
    b"_xD800_",
    b"-1",
    b"0",
    b"1e999",
    b"4294967296",
    b"9" * 5000,
    b"PT0S",
    b"P1D",
    b"true",
    b"null",
    b"%" * 40,
    b"'",
    b'"',
    b"\\",
    b"NOT " * 300,
    b"(" * 300,
    b"[" * 2000,
    b"<a>" * 2000,
    b"#< CLIXML\r\n",
    b'<S S="Error">' * 50,
)


def mutated(choose: random.Random, seeds: Sequence[bytes]) -> bytes:
    """Return one of the seeds after up to eight changes, or noise."""
    if choose.randrange(50) == 0:
        return bytes(choose.randrange(256) for _ in range(choose.randrange(60)))
    message = choose.choice(seeds)
    for _ in range(choose.randrange(9)):
        message = choose.choice(_CHANGES)(choose, message, seeds)[:_LONGEST]
    return message


def _in_tokens(choose: random.Random, message: bytes, seeds: Sequence[bytes]) -> bytes:
    """Delete, duplicate, move or replace a tag or a word."""
    tokens = _TOKEN.split(message)
    at, other = choose.randrange(len(tokens)), choose.randrange(len(tokens))
    replacement = ((), (tokens[at], tokens[at]), (tokens[other],), (choose.choice(_PIECES),))
    tokens[at : at + 1] = choose.choice(replacement)
    return b"".join(tokens)


def _in_bytes(choose: random.Random, message: bytes, seeds: Sequence[bytes]) -> bytes:
    """Replace a few bytes with one byte, a piece, or nothing."""
    at = choose.randrange(len(message) + 1)
    end = at + choose.randrange(4)
    return message[:at] + choose.choice((b"", bytes([choose.randrange(256)]), choose.choice(_PIECES))) + message[end:]


def _spliced(choose: random.Random, message: bytes, seeds: Sequence[bytes]) -> bytes:
    """Continue with the end of another message."""
    other = choose.choice(seeds)
    return message[: choose.randrange(len(message) + 1)] + other[choose.randrange(len(other) + 1) :]


def _cut(choose: random.Random, message: bytes, seeds: Sequence[bytes]) -> bytes:
    return message[: choose.randrange(len(message) + 1)]


_CHANGES = (_in_tokens, _in_tokens, _in_tokens, _in_bytes, _in_bytes, _spliced, _cut)
