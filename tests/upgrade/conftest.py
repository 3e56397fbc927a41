"""Shared fixtures of the tests with recordings of versions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from avma_simulator import EstateServer, load_estate, running
from upgrade import lab


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[bool], EstateServer]]:
    """Return a function that runs the recorded machines until the test ends, with or without their licenses."""
    with ExitStack() as servers:

        def start(licensed: bool) -> EstateServer:
            file = tmp_path / "estate.yaml"
            file.write_text(yaml.safe_dump(lab.estate(licensed=licensed)))
            return servers.enter_context(running(load_estate(file)))

        yield start
