"""Observations need data: a fact does not hold on empty answers, or if its control shows nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import Any, cast

import pytest

from avma import errors
from avma.wsman.pipe import new_winrm_pipe
from avma_conformance.fact import Effect, Fact, NotHere, Observation
from avma_conformance.facts import FACTS, authentication, data_exchange, license_methods, rights
from avma_conformance.subject import Subject
from avma_conformance.suite import FactVerdict, Suite
from avma_simulator import EstateServer
from conformance import targets

NO_DATA = (NotHere, errors.AvmaError, AttributeError, TypeError, ValueError, LookupError)
"""The exceptions of observations that find nothing, on a subject with few functions."""


class _Empty(Subject):
    """A machine whose queries return no rows. It has no connection."""

    def __init__(self) -> None:
        system = SimpleNamespace(
            build=20348, azure_local=False, evaluation=False, edition="Datacenter", version="2022", semi_annual=False
        )
        self.deadline = cast("Any", SimpleNamespace(remaining=lambda: 100.0))
        self.target = cast(
            "Any", SimpleNamespace(user=None, guest=None, vm=None, connection=SimpleNamespace(https=False))
        )
        self.server = cast(
            "Any",
            SimpleNamespace(
                system=lambda _: system,
                virtual_machines=lambda _: (),
                cluster=lambda _: SimpleNamespace(nodes=()),
                **dict.fromkeys(("data_exchange", "firmware_uuids", "guest_facts"), lambda _: {}),
            ),
        )

    @property
    def context(self) -> Any:
        return SimpleNamespace(wait=lambda _: None)

    def query(self, *_: str) -> list[Any]:
        return []

    def run(self, *_: Any) -> Any:
        return ({"result": [], "subscriptions": []},), ""


OBSERVED = [fact for fact in FACTS if fact.observe is not None]


@pytest.mark.parametrize("listed", OBSERVED, ids=[fact.name for fact in OBSERVED])
def test_no_fact_holds_on_empty_answers(listed: Fact) -> None:
    try:
        observed = observe(listed, _Empty())
    except NO_DATA:
        return
    assert not observed.holds, f"expected: {observed.expected}, found: {observed.found}"


def observe(fact: Fact, subject: object) -> Observation:
    assert fact.observe is not None
    return fact.observe(cast("Subject", subject))


def test_a_method_that_fails_for_both_keys_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_exchange, "_modify", lambda *_: "Sender, AccessDenied")
    assert not observe(data_exchange.method_accepts_some_keys_of_its_service, None).holds


def test_a_service_without_schemes_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "_offered", lambda _: ())
    assert not observe(authentication.basic_is_not_offered_over_http, _Empty()).holds


@pytest.mark.parametrize("hidden", [rights.hyper_v_shows_no_vm_to_a_user, rights.cluster_shows_nothing_to_a_user])
def test_rows_that_the_administrator_does_not_see_are_not_hidden(monkeypatch: pytest.MonkeyPatch, hidden: Fact) -> None:
    monkeypatch.setattr(rights, "_require_cimv2", lambda _: None)
    monkeypatch.setattr(_Empty, "as_user", lambda self: SimpleNamespace(wmi=SimpleNamespace(query=lambda *_: [])))
    with pytest.raises(NotHere):
        observe(hidden, _Empty())


@pytest.fixture
def suite(simulators: EstateServer) -> Iterator[Suite]:
    safe = (Effect.READS, Effect.HARMLESS)
    with closing(Suite(targets.simulated("2016"), safe, (), new_winrm_pipe)) as suite:
        suite.begin()
        yield suite


def test_a_rejected_key_needs_a_key_before(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = license_methods.rejected_key_leaves_the_previous_one
    monkeypatch.setattr(license_methods, "rejected_key", lambda *_: "no fault, the same key")
    (result,) = suite.run([kept])
    assert result.verdict is FactVerdict.DIFFERS
    with pytest.raises(NotHere):
        observe(kept, _Empty())
