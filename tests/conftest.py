"""Settings for all tests: no package registries, no time limits for property tests, and no connection stays open.

`make test` downloads all packages before the tests run.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import loopback

DESCRIPTORS = Path("/dev/fd")
"""The open files, pipes and sockets of the current process. Windows has no such folder."""
MOST_KEPT = 200
"""The maximum number of descriptors that libraries may keep after all tests.

A leak in one operation leaves many more.
"""

os.environ.update(GOPROXY="off", PIP_NO_INDEX="1", NPM_CONFIG_OFFLINE="true")
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a test without the addresses of its process. pytest-xdist needs the same names in all of them."""
    if not isinstance(val, str):
        return None
    name = loopback.without_block(val)
    return name.encode("unicode_escape").decode() if name != val else None


@pytest.fixture(scope="session", autouse=True)
def few_descriptors_stay_open() -> Iterator[None]:
    before = _open_descriptors()
    yield
    gc.collect()
    assert _open_descriptors() - before <= MOST_KEPT


def _open_descriptors() -> int:
    return sum(1 for _ in DESCRIPTORS.iterdir()) if DESCRIPTORS.exists() else 0
