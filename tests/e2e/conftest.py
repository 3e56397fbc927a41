"""Shared fixtures for the real `pulumi` engine against the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from avma_simulator import EstateServer, load_estate, running
from e2e.estate import ADMINISTRATOR, PASSWORD, SECRETS
from workspace import Workspace


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests in this folder: they need the engine."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)


@pytest.fixture
def serve(tmp_path) -> Iterator[Callable[[dict], EstateServer]]:
    """Return a function that runs a simulator until the test ends."""
    servers: list = []

    def start(estate: dict) -> EstateServer:
        file = tmp_path / "estate.yaml"
        file.write_text(yaml.safe_dump(estate))
        servers.append(running(load_estate(file)))
        return servers[-1].__enter__()

    yield start
    for server in servers:
        server.__exit__(None, None, None)


@pytest.fixture
def workspace(tmp_path) -> Iterator[Callable[..., Workspace]]:
    """Return a function that creates Pulumi workspaces with a configured stack.

    Their output must contain no secrets.
    """
    made: list[Workspace] = []

    def make(resources: dict, secrets: dict[str, str] | None = None, **configuration: str) -> Workspace:
        program = {"name": "estate", "runtime": "yaml", "resources": resources}
        if secrets:
            program["config"] = {name: {"type": "string", "secret": True} for name in secrets}
        made.append(Workspace(tmp_path / f"pulumi{len(made)}", yaml.safe_dump(program)))
        made[-1].new_stack(
            "dev",
            {
                "avma:https": "false",
                "avma:username": ADMINISTRATOR,
                "avma:guest.transport": "winrm",
                "avma:guest.https": "false",
                "avma:guest.username": ADMINISTRATOR,
                **configuration,
            },
            {"avma:password": PASSWORD, "avma:guest.password": PASSWORD, **(secrets or {})},
        )
        return made[-1]

    yield make
    for each in made:
        assert not [secret for secret in SECRETS if secret in each.printed]
        assert not [secret for secret in SECRETS if secret in each.stored()]
