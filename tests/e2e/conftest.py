"""Shared fixtures for the real `pulumi` engine against the simulator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

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
def serve(tmp_path: Path) -> Iterator[Callable[..., EstateServer]]:
    """Return a function that runs a simulator until the test ends. Its further arguments go to `running`."""
    with ExitStack() as servers:

        def start(estate: dict[str, Any], *arguments: Any) -> EstateServer:
            file = tmp_path / "estate.yaml"
            file.write_text(yaml.safe_dump(estate))
            return servers.enter_context(running(load_estate(file), *arguments))

        yield start


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Callable[..., Workspace]]:
    """Return a function that creates Pulumi workspaces with a configured stack.

    Their output must contain no secrets.
    """
    made: list[Workspace] = []

    def make(resources: dict[str, Any], secrets: dict[str, str] | None = None, **configuration: str) -> Workspace:
        program: dict[str, Any] = {"name": "estate", "runtime": "yaml", "resources": resources}
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
