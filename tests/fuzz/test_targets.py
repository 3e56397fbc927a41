"""A few hundred altered messages for each fuzz target. `make fuzz` runs as many as time allows."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.mutation import mutated
from fuzz.targets import Target, targets

NAMES = (
    *(
        "envelope",
        "fault",
        "CIM-XML",
        "PSRP",
        "output",
        "WQL",
        "server",
        "fragments",
        "recorder",
        "recording",
        "replay",
    ),
)


@pytest.fixture(scope="module")
def readers() -> Iterator[dict[str, Target]]:
    with targets() as found:
        yield found


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(choose=st.randoms(use_true_random=False))
def test_any_bytes_are_read_or_refused(readers: dict[str, Target], name: str, choose: random.Random) -> None:
    reader = readers[name]
    reader.run(mutated(choose, reader.seeds))


def test_these_are_all_readers(readers: dict[str, Target]) -> None:
    assert tuple(readers) == NAMES
    assert all(reader.seeds for reader in readers.values())
