"""Fixtures for the Azure Local tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from avma import errors, keys
from avma.windows import azure_local
from avma_simulator import EstateServer, load_estate, running
from core.azure_local.lab import ESTATE, KEY_2022, MUTE, PLAIN, SECRETS, update


@pytest.fixture
def estate(tmp_path) -> Iterator[EstateServer]:
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


@pytest.fixture(autouse=True)
def no_key_is_told(run) -> Iterator[None]:
    yield
    assert not [text for text in run.told if any(secret in text for secret in SECRETS)]


@pytest.fixture
def sets(monkeypatch) -> list[str]:
    """Return the applied keys in order, by their last five characters."""
    applied: list[str] = []
    original = azure_local.set_product_key

    def set_product_key(powershell, product_key, deadline):
        original(powershell, product_key, deadline)
        applied.append(keys.partial(product_key))

    monkeypatch.setattr(azure_local, "set_product_key", set_product_key)
    return applied


@pytest.fixture
def lost(monkeypatch, sets) -> None:
    """Lose the next answer of the cmdlet after its work is done."""
    counting = azure_local.set_product_key

    def lose(powershell, product_key, deadline):
        monkeypatch.setattr(azure_local, "set_product_key", counting)
        counting(powershell, product_key, deadline)
        raise errors.AnswerLost("apply the Windows Server key", powershell.where, "gone", "run again")

    monkeypatch.setattr(azure_local, "set_product_key", lose)


@pytest.mark.usefixtures("lost")
def test_a_key_whose_answer_was_lost_is_not_applied_twice(estate, run, sets):
    with pytest.raises(
        errors.PartlyDone, match=r"does not apply it again by itself, so that it is not used up twice.*--replace"
    ) as caught:
        run.license(MUTE, KEY_2022)
    reached = caught.value.state
    assert reached.outputs.partial_product_key == "4678B"
    assert update(run, reached).outputs.partial_product_key == "4678B"
    assert sets == ["4678B"]


@pytest.mark.usefixtures("lost")
def test_a_lost_answer_is_no_matter_where_the_key_shows(estate, run, sets):
    assert run.license(PLAIN, KEY_2022).outputs.partial_product_key == "4678B"
    assert sets == ["4678B"]
