"""A deletion that uninstalls or replaces a key that Microsoft sold: the lock of its machine, and a lost lock."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from avma import errors, keys
from avma.keys import KeyKind
from avma.resources import machine_license, sole_spender
from avma.resources.resource import Operation, Result
from avma.windows.machine import Machine
from avma.windows.machine_lock import HeldLock
from avma_simulator import EstateServer
from core.runner import HOST_KEY, HV01, OTHER_KEY, Runner, methods, published_key, stored
from core.test_two_processes import hold, is_waiting
from waiting import wait_until

KMS_CLIENT_KEY = published_key(KeyKind.KMS_CLIENT, "2022", "Datacenter")


def uninstall(run: Runner, result: Result) -> None:
    before = stored(result, on_delete="uninstallKey", force_destroy=True)
    run.host.delete(result.identifier, before, run.operation())


def restore(run: Runner, result: Result) -> None:
    operation = run.operation()
    server = operation.machine(HV01, operation.configuration)
    machine_license.restore(
        server, result.outputs.machine_id, result.outputs.partial_product_key, KMS_CLIENT_KEY, operation
    )


@pytest.fixture
def result(estate: EstateServer, run: Runner) -> Result:
    """A licensed host. The counts of its simulator begin after that."""
    result = run.license()
    estate.reset_counts()
    return result


@pytest.mark.parametrize("undo", [uninstall, restore])
def test_a_key_stays_if_the_lock_is_lost_before_the_change(
    estate: EstateServer,
    run: Runner,
    result: Result,
    monkeypatch: pytest.MonkeyPatch,
    undo: Callable[[Runner, Result], None],
) -> None:
    acquire = sole_spender.lock

    def acquire_and_lose(machine: Machine, operation: Operation) -> HeldLock | None:
        held = acquire(machine, operation)
        estate.close_shells("hv01")
        return held

    monkeypatch.setattr(sole_spender, "lock", acquire_and_lose)
    with pytest.raises(errors.Refused, match="which locks its license against other runs, has ended") as caught:
        undo(run, result)
    assert "Run again" in str(caught.value)
    assert methods(estate, "hv01") == {}


@pytest.mark.parametrize("undo", [uninstall, restore])
def test_the_key_is_changed_under_the_lock(
    estate: EstateServer, run: Runner, result: Result, undo: Callable[[Runner, Result], None]
) -> None:
    undo(run, result)
    assert estate.machine("hv01")["status"] != "Licensed"
    assert sum(methods(estate, "hv01").values()) == 1
    assert {name: estate.counts()["hv01"][name] for name in ("pools", "openShells")} == {"pools": 1, "openShells": 0}


@pytest.mark.parametrize("undo", [uninstall, restore])
def test_a_key_that_another_process_replaces_during_the_wait_for_the_lock_stays(
    estate: EstateServer,
    run: Runner,
    new_runner: Callable[..., Runner],
    result: Result,
    undo: Callable[[Runner, Result], None],
) -> None:
    assert result.outputs.partial_product_key == keys.partial(HOST_KEY)
    holder = hold(new_runner())
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(undo, run, result)
        wait_until(lambda: is_waiting(run))
        estate.install_key("hv01", OTHER_KEY)
        holder.release()
        late.result()
    assert any("the key of this resource is no longer installed" in text for text in run.told)
    assert methods(estate, "hv01") == {}
