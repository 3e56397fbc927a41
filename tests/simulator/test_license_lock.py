"""The script `license-lock 2`: who holds the mutex of a machine, and when it becomes free."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pypsrp.powershell import PowerShell, RunspacePool

from avma_simulator import EstateServer
from simulator.psrp import FAILED, connected

SCRIPT = "# avma-script: license-lock 2\n"


@pytest.fixture
def other(estate: EstateServer) -> Iterator[RunspacePool]:
    """Return a second pool of the host."""
    with connected(estate) as client, RunspacePool(client) as opened:
        yield opened


def begin(pool: RunspacePool, **parameters: Any) -> PowerShell:
    """Start the script, and wait for its first answer."""
    shell = PowerShell(pool).add_script(SCRIPT)
    shell.add_parameters({"Patience": 100.0, "Lifetime": 1000.0, **parameters}).begin_invoke()
    await_states(shell, 1)
    return shell


def await_states(shell: PowerShell, count: int) -> list[str]:
    while len(shell.output) < count:
        shell.poll_invoke(timeout=20)
    return [json.loads(text)["state"] for text in shell.output]


def test_the_mutex_has_one_holder_until_its_pipeline_stops(pool: RunspacePool, other: RunspacePool) -> None:
    first, second = begin(pool), begin(other)
    assert await_states(first, 1) == ["held"]
    assert await_states(second, 1) == ["waiting"]
    first.stop()
    assert await_states(second, 2) == ["waiting", "held"]


def test_the_mutex_becomes_free_when_the_pool_of_its_holder_is_deleted(pool: RunspacePool, other: RunspacePool) -> None:
    begin(other)
    second = begin(pool)
    other.close()
    assert await_states(second, 2) == ["waiting", "held"]


def test_the_mutex_of_a_silent_client_becomes_free(estate: EstateServer, pool: RunspacePool) -> None:
    with connected(estate) as client:
        silent = RunspacePool(client, idle_timeout=60)
        silent.open()
        begin(silent)
        second = begin(pool)
        estate.advance_clock(61)
        assert await_states(second, 2) == ["waiting", "held"]


def test_the_script_ends_after_its_patience_and_its_lifetime(
    estate: EstateServer, pool: RunspacePool, other: RunspacePool
) -> None:
    first, second = begin(pool, Lifetime=50.0), begin(other, Patience=20.0)
    estate.advance_clock(21)
    assert second.end_invoke() == ['{"state": "waiting"}', '{"state": "busy"}']
    estate.advance_clock(50)
    assert first.end_invoke() == ['{"state": "held"}']
    assert await_states(begin(other), 1) == ["held"]


def test_wrong_parameters_are_an_error(pool: RunspacePool) -> None:
    shell = PowerShell(pool).add_script(SCRIPT).add_parameters({"Patience": "long"})
    shell.invoke()
    assert shell.state == FAILED
