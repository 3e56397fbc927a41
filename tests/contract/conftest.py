"""Fixture for a new provider with the test resource and a fake engine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from contract.harness import Calls, FakeEngine, Provider
from contract.shelf import Shelf
from pulumi_resource_avma.protocol import provider_pb2 as pb


@pytest.fixture(autouse=True)
def _no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("AVMA_", "HYPERV_")):
            monkeypatch.delenv(name)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    engine = FakeEngine()
    yield engine
    engine.stop()


@pytest.fixture
def provider(shelf: Shelf) -> Iterator[Provider]:
    provider = Provider(shelf)
    yield provider
    provider.stop()


@pytest.fixture
def unconfigured(provider: Provider) -> Calls:
    """The calls of an unconfigured provider."""
    return Calls(provider)


@pytest.fixture
def calls(unconfigured: Calls, engine: FakeEngine) -> Calls:
    """The calls of a configured provider."""
    unconfigured.stub.Handshake(pb.ProviderHandshakeRequest(engine_address=engine.address))
    unconfigured.configure(username="Administrator", password="provider-pass")
    return unconfigured
