"""Reports keep the words of the suite and of Windows, and hide the names of machines, VMs, accounts and keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from avma.recording.recorder import Anonymous, Exchange
from avma.redaction import Redactor
from avma_conformance.fact import Area, Effect, Fact, On, equal
from avma_conformance.facts import FACTS
from avma_conformance.report import report_of, to_json, to_markdown
from avma_conformance.suite import FactResult, FactVerdict, Windows
from avma_conformance.words import vocabulary
from conformance import targets

ADDRESS, KEY = "10.20.30.40", targets.KEY
NAMES = ("titania", "Payroll DB", "Oberon", "AB-SECRETS-9", ADDRESS, "fe80::1:2", targets.PASSWORD, KEY)
ANSWER = f"""<s:Envelope xml:lang="EN_us-POSIX" xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><Row>
<Vendor>Microsoft Corporation</Vendor><Model>Virtual Machine</Model><Owner>LAB\\Windows</Owner><Other>Server</Other>
<Other>Sender</Other><Other>ja-JP</Other><Other>8193</Other><Other>nothing</Other><Other>Oberon</Other>
<ElementName>Payroll DB</ElementName><Name>titania</Name><Other>{ADDRESS}</Other><Other>AB-SECRETS-9</Other>
</Row></s:Body></s:Envelope>"""
EXPECTED = "Microsoft Corporation on a Windows Server, Sender, 8192, en-US"
FOUND = f"Microsoft Corporation, not a Windows Server, nothing, 8193, ja-JP, 0x8033807F, {', '.join(NAMES)}"
KEPT = ("Microsoft Corporation, not a Windows Server, nothing, 8193, ja-JP, 0x8033807F", EXPECTED, "EN_us-POSIX")


@pytest.fixture
def exchanges() -> Anonymous:
    connection = replace(targets.simulated("2022").connection, name="titania", address=ADDRESS, username="Oberon")
    return Anonymous([Exchange(connection, b"<x/>", ANSWER.encode(), None, 0.1)], vocabulary())


def texts(exchanges: Anonymous, verdict: FactVerdict) -> Iterator[str]:
    fact = Fact("one", Area.WSMAN, "One.", "a source", Effect.READS, On.WINDOWS, lambda _: equal(1, 1))
    result = FactResult(fact, verdict, EXPECTED, FOUND, 0, 1)
    report = report_of("1.2.3", Windows("Windows Server 2022", 20348), [result], exchanges)
    yield from (to_json(report), to_markdown(report))


def test_expected_and_observed_words_and_the_language_are_readable(exchanges: Anonymous) -> None:
    for text in texts(exchanges, FactVerdict.DIFFERS):
        assert [kept for kept in KEPT if kept not in text] == []


@pytest.mark.parametrize("verdict", [FactVerdict.DIFFERS, FactVerdict.NOT_HERE, FactVerdict.NO_ANSWER])
def test_names_addresses_accounts_and_keys_are_not_readable(exchanges: Anonymous, verdict: FactVerdict) -> None:
    for text in texts(exchanges, verdict):
        assert [name for name in NAMES if name.casefold() in text.casefold()] == []


def test_each_word_of_the_suite_is_in_its_vocabulary() -> None:
    words = vocabulary()
    assert [fact.name for fact in FACTS if not words.covers(fact.statement) or not words.covers(fact.source)] == []
    assert not words.covers("titania")
    assert [name for name in ("hv01", "web01", "dc01") if name in words] == []


def test_a_name_without_letters_is_not_covered() -> None:
    assert not vocabulary().covers("★")


def test_keys_are_cut_even_if_they_are_published() -> None:
    key = "WX4NM-KYWYW-QJJR4-XV3QB-6VM33"
    assert Anonymous([], vocabulary()).text(key) == Redactor()(key) != key
