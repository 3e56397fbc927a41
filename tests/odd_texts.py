"""Texts that people paste, mistype or invent as host, address, name or key."""

from __future__ import annotations

import socket

from hypothesis import strategies as st

_look_up = socket.getaddrinfo
"""The original function, which tests may replace."""

HIDDEN = "\ufeff\u200b\u00ad\u200e\u202a\u2060\u00a0\t\n\x00\x1b\x7f"
_NUMBERS = st.one_of(
    st.integers(0, 300).map(str),
    st.integers(0, 300).map("{:03}".format),
    st.integers(0, 300).map("0{:o}".format),
    st.integers(0, 300).map(hex),
    st.integers(0, 1 << 33).map(str),
    st.sampled_from(["", "0x", "0X7F", "08", "\uff11", "\u0661", "1 ", "+1", "-1", "1e1", "0b1"]),
)
ODD_ADDRESSES = st.builds(
    lambda parts, dot, end: dot.join(parts) + end,
    st.lists(_NUMBERS, min_size=1, max_size=5),
    st.sampled_from([".", ".", ".", "\u3002", "\uff0e", ":", ".."]),
    st.sampled_from(["", "", ".", "%eth0", ":80", "/24", "\n", "\u200b"]),
)
HOSTS = st.one_of(
    ODD_ADDRESSES,
    st.text(max_size=80),
    st.text(alphabet=f"0123456789abcdefxX.:[]%_- hv\uff11\u3002{HIDDEN}", max_size=40),
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded.upper()),
    st.sampled_from(["x" * 5000, "9" * 5000, "0x" + "f" * 5000, "1:" * 5000, "[" * 5000, "." * 5000, "\u0661" * 5000]),
)
NAMES = st.one_of(st.text(max_size=120), st.text(alphabet=f"web01 $`'\"*?[{HIDDEN}", max_size=30), st.just("x" * 9000))
KEYS = st.one_of(
    st.text(max_size=60),
    st.text(alphabet=f"BCDFG-HJKMN-PQRTV-WXY23-46789\u0421\u2013O0 {HIDDEN}", min_size=20, max_size=40),
    st.just("B" * 9000),
)


def numeric_address(text: str) -> str | None:
    """Return the address of a text as the system's resolver parses it without a network, or None."""
    try:
        found = _look_up(text, 5986, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError, ValueError):
        return None
    return str(found[0][4][0])
