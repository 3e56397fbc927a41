"""Accepted spellings of a host: those that `ipaddress` and the system resolver read alike."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given

from avma import errors
from avma.addresses import canonical, host_name_error
from avma.connection import resolve
from avma.settings import AddressedSettings, Settings
from avma.wording import NEUTRAL
from odd_texts import HOSTS, numeric_address

ACCOUNT = Settings(username="a", password="b")


@given(HOSTS)
def test_what_is_accepted_reaches_the_address_that_is_written(text: str) -> None:
    if host_name_error(text) is None:
        reached = numeric_address(text)
        assert reached is None or ipaddress.ip_address(reached) == ipaddress.ip_address(text)
        assert text.isascii()


@given(HOSTS)
def test_no_connection_is_made_to_an_address_that_is_read_in_another_way(text: str) -> None:
    try:
        address = resolve("hv01", AddressedSettings(address=text), ACCOUNT).address
    except errors.InvalidInput:
        return
    assert host_name_error(address) is None
    assert address == "hv01" or canonical(address) == canonical(text)


@given(HOSTS)
def test_the_canonical_spelling_is_stable_and_of_the_same_host(text: str) -> None:
    if host_name_error(text) is None:
        assert host_name_error(canonical(text)) is None
        assert canonical(canonical(text)) == canonical(text)


@given(HOSTS)
def test_a_reason_shows_no_invisible_character_and_is_short(text: str) -> None:
    reason = NEUTRAL.render(host_name_error(text) or "")
    assert reason.isprintable()
    assert len(reason) < 400


@pytest.mark.parametrize(
    ("text", "meant", "reached"),
    [
        ("10.0.0.011", "10.0.0.11", "10.0.0.9"),
        ("127.0.0.011", "127.0.0.11", "127.0.0.9"),
        ("010.000.000.011", "10.0.0.11", "8.0.0.9"),
    ],
)
def test_an_error_for_a_padded_address_names_both_readings(text: str, meant: str, reached: str) -> None:
    reason = NEUTRAL.render(host_name_error(text) or "")
    assert f"`{meant}`" in reason
    assert f"`{reached}`" in reason


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must not be empty"),
        ("10.0.9739", "reach `10.0.38.11`"),
        ("0x7f.0.0.1", "reach `127.0.0.1`"),
        ("127.1", "reach `127.0.0.1`"),
        ("2130706433", "reach `127.0.0.1`"),
        ("hv01.0x1f", "does not end in a number"),
        ("10.0.0.089", "Write `10.0.0.89`"),
        ("10.0.0.01", "Write `10.0.0.1`"),
        ("1.2.3.4.", "Write `1.2.3.4`"),
        ("10.0.0.256", "four numbers from 0 to 255"),
        ("hv01.example.com.", "ends with a dot. Write `hv01.example.com`"),
        ("[::1]", "Write `::1`"),
        ("[::1]:5986", "set `port: 5986`"),
        ("hv01:5986", "set `port: 5986`"),
        ("https://hv01/wsman", "without a scheme"),
        ("fe80::1%eth0", "must not have a zone index"),
        (str(ipaddress.IPv4Address(0)), "would reach this computer"),
        ("::", "would reach this computer"),
        ("::ffff:0.0.0.0", "would reach this computer"),
        ("224.0.0.1", "the address of a group"),
        ("255.255.255.255", "the address of a group"),
        ("\uff11\uff10.0.0.1", "U+FF11 FULLWIDTH DIGIT ONE, looks like 1, at position 1. Write `10.0.0.1`"),
        ("10\u30020\u30020\u30021", "Write `10.0.0.1`"),
        ("hv\u043e1", "U+043E CYRILLIC SMALL LETTER O, looks like o, at position 3. Write `hvo1`"),
        ("m\u00fcnchen.example", "begins with `xn--`"),
        ("hv01\u200b", "invisible character at position 5 (U+200B ZERO WIDTH SPACE)"),
        ("\ufeffhv01", "invisible character at position 1 (U+FEFF ZERO WIDTH NO-BREAK SPACE)"),
        ("hv01\n", "ends with white space (U+000A)"),
        (" hv01", "begins with white space (U+0020 SPACE)"),
        ("h v", "' ' at position 2"),
        ("x" * 300, "longer than 253 characters"),
        ("x" * 64, "is not a host name"),
    ],
)
def test_what_is_rejected_and_why(text: str, words: str) -> None:
    assert words in NEUTRAL.render(host_name_error(text) or "")


@pytest.mark.parametrize(
    "text",
    ["hv01", "HV01.Example.COM", "hv_01.lab", "xn--mnchen-3ya.example", "1.example.com", "10.0.0.11", "::1", "FE80::A",
     "::ffff:10.0.0.11", "10.in-addr", "0x.example", "a" * 63],
)  # fmt: skip
def test_what_is_accepted(text: str) -> None:
    assert host_name_error(text) is None


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("HV01.Example.COM", "hv01.example.com"),
        ("hv01.example.com.", "hv01.example.com"),
        ("FE80:0::000A", "fe80::a"),
        ("::FFFF:10.0.0.11", "10.0.0.11"),
        ("0:0:0:0:0:0:0:1", "::1"),
    ],
)
def test_one_spelling_of_each_host(text: str, spelling: str) -> None:
    assert canonical(text) == spelling


@pytest.mark.parametrize("text", ["A..", "hv01..", "10.0.0.1..", "0..", ".", ".."])
def test_no_connection_is_made_to_a_name_with_an_empty_label(text: str) -> None:
    for name, address in ((text, None), ("hv01", text)):
        with pytest.raises(errors.InvalidInput):
            resolve(name, AddressedSettings(address=address), ACCOUNT)


def test_a_stored_name_with_a_final_dot_is_the_same_host() -> None:
    assert resolve("hv01.example.com.", ACCOUNT).address == "hv01.example.com"
    assert resolve("10.0.0.11.", ACCOUNT).address == "10.0.0.11"


def test_a_connection_keeps_the_case_of_a_name_and_its_endpoint_does_not() -> None:
    connection = resolve("HV01", ACCOUNT)
    assert (connection.address, connection.endpoint) == ("HV01", "https://hv01:5986/wsman")
    assert resolve("::FFFF:10.0.0.11", ACCOUNT).endpoint == "https://10.0.0.11:5986/wsman"
