"""Fixtures for the Azure Local tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from avma import errors, keys
from avma.deadline import Deadline
from avma.windows import azure_local
from avma.windows.powershell import PowerShell
from avma_simulator import EstateServer, load_estate, running
from core.azure_local.lab import ESTATE, SECRETS
from core.runner import Runner


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[EstateServer]:
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


@pytest.fixture(autouse=True)
def no_key_is_told(run: Runner) -> Iterator[None]:
    yield
    assert not [text for text in run.told if any(secret in text for secret in SECRETS)]


@pytest.fixture
def sets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the applied keys in order, by their last five characters."""
    applied: list[str] = []
    original = azure_local.set_product_key

    def set_product_key(powershell: PowerShell, product_key: str, deadline: Deadline) -> None:
        original(powershell, product_key, deadline)
        applied.append(keys.partial(product_key))

    monkeypatch.setattr(azure_local, "set_product_key", set_product_key)
    return applied


@pytest.fixture
def lost(monkeypatch: pytest.MonkeyPatch, sets: list[str]) -> None:
    """Lose the next answer of the cmdlet after its work is done."""
    counting = azure_local.set_product_key

    def lose(powershell: PowerShell, product_key: str, deadline: Deadline) -> None:
        monkeypatch.setattr(azure_local, "set_product_key", counting)
        counting(powershell, product_key, deadline)
        raise errors.AnswerLost("apply the Windows Server key", powershell.where, "gone", "run again")

    monkeypatch.setattr(azure_local, "set_product_key", lose)
