"""A machine that accepts a key which it must reject: the run changes nothing else, and warns."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from avma.wsman.pipe import new_winrm_pipe
from avma_conformance.fact import Effect, Fact
from avma_conformance.facts import FACTS, faults, guests, license_methods
from avma_conformance.facts.license_methods import key_that_does_not_exist_is_invalid
from avma_conformance.facts.licensing_service import refreshing_the_license_status_returns_zero
from avma_conformance.suite import FactVerdict, Suite
from avma_simulator import load_estate, running
from avma_simulator.state.licensing import Licensing
from conformance import targets
from loopback import relocated

_OTHERS = 150
"""Added to the last number of each address, because other simulated machines listen on those of `targets`."""
_ACCEPTED = "WX4NM-KYWYW-QJJR4-XV3QB-6VM33"
_OF_STANDARD = "VDYBN-27WPP-V4HQT-9VMD4-VMK7H"
_PUBLISHED = {
    "key-of-a-lower-edition-has-no-license",
    "key-of-another-release-is-not-in-the-configuration",
    "azure-local-rejects-keys-of-windows-server",
}


def test_an_accepted_key_ends_all_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install = Licensing.install_key
    monkeypatch.setattr(Licensing, "install_key", lambda self, _: install(self, _ACCEPTED))
    file = tmp_path / "estate.yaml"
    file.write_text(relocated(targets.ESTATE, _OTHERS), encoding="utf-8")
    reading = next(fact for fact in FACTS if fact.name == "id-of-a-license-is-a-guid")
    safe = (Effect.READS, Effect.HARMLESS)
    with (
        running(load_estate(file)),
        closing(Suite(targets.simulated("2022", _OTHERS), safe, [], new_winrm_pipe)) as suite,
    ):
        suite.begin()
        first, second, third = suite.run(
            [key_that_does_not_exist_is_invalid, refreshing_the_license_status_returns_zero, reading]
        )
    assert first.verdict is FactVerdict.DIFFERS
    assert "no fault, and the licenses of the machine changed" in first.found
    assert (second.verdict, second.found) == (
        FactVerdict.NOT_RUN,
        "the machine accepted a change that it must reject",
    )
    assert third.verdict is FactVerdict.HOLDS
    (warning,) = suite.notes
    assert targets.KEY[-5:] in warning
    assert "slmgr /ipk" in warning


SENDING = [
    fact
    for module in (faults, guests, license_methods)
    for fact in vars(module).values()
    if isinstance(fact, Fact) and fact.effect is Effect.HARMLESS
]


@pytest.mark.parametrize("sending", SENDING, ids=[fact.name for fact in SENDING])
def test_each_fact_that_can_install_a_key_warns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sending: Fact) -> None:
    accepted: list[str] = []
    install = Licensing.install_key

    def accept(licensing: Licensing, key: str) -> None:
        accepted.append(key)
        install(licensing, _ACCEPTED if licensing.windows.edition == "Datacenter" else _OF_STANDARD)

    monkeypatch.setattr(Licensing, "install_key", accept)
    file = tmp_path / "estate.yaml"
    file.write_text(relocated(targets.ESTATE, _OTHERS), encoding="utf-8")
    with (
        running(load_estate(file)),
        closing(Suite(targets.simulated("2022", _OTHERS), [Effect.HARMLESS], [], new_winrm_pipe)) as suite,
    ):
        suite.begin()
        list(suite.run([sending]))
    assert bool(suite.notes) is bool(accepted)


def test_facts_with_published_keys_are_not_harmless() -> None:
    assert {fact.name for fact in FACTS if fact.name in _PUBLISHED and fact.effect is Effect.SPENDS} == _PUBLISHED
