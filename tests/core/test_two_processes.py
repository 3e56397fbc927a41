"""Two processes that license one machine at once: the lock on the machine, and its absence.

Each runner has its own machines, like a process of its own. So no lock in this process is common to two runners.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from avma import errors
from avma.resources import sole_spender
from avma.resources.resource import Operation
from avma.windows import licensing
from avma.windows.licensing import LicenseStatus
from avma.windows.machine import Machine
from avma.windows.machine_lock import MUTEX, HeldLock, MachineLock
from avma.wsman import psrp
from avma_simulator import EstateServer, load_estate, running
from avma_simulator.shells import license_lock
from avma_simulator.shells.pipeline import Pipeline, ScriptFailed
from core.runner import ESTATE, HV01, LICENSED, OTHER_KEY, Runner, methods, stored
from waiting import wait_until

LONG = 30
"""Seconds of an activation, by the clock of the simulator."""
IDLE = 140
"""Seconds, by the same clock. By then, the lock of a dead process has ended."""
NOT_BEGUN = 0xC004FD00
"""An HRESULT that reports that the activation did not begin."""
QUOTA_OF_SHELLS = 0x803381A5
ACTIVATE = "SoftwareLicensingProduct/Activate"


@pytest.fixture
def slow(tmp_path: Path) -> Any:
    """The simulator, with an activation of hv01 that lasts until the clock is advanced."""
    file = tmp_path / "slow.yaml"
    file.write_text(ESTATE.replace("  - name: hv01\n", f"  - name: hv01\n    delays: {{activation: {LONG}}}\n", 1))
    with running(load_estate(file)) as server:
        yield server


def hold(run: Runner) -> HeldLock:
    """Acquire the lock of hv01, like a process that is about to change it."""
    operation = run.operation()
    server = operation.machine(HV01, operation.configuration)
    lock = MachineLock(server.powershell, server.connection.operation_timeout)
    return lock.acquire(operation.deadline, lambda: None)


def counts(estate: EstateServer, name: str = "hv01") -> dict[str, int]:
    counted = estate.counts()[name]
    return {each: counted[each] for each in ("activations", "pools", "pipelines", "openShells")}


def is_waiting(run: Runner) -> bool:
    return any("waiting for another run" in text for text in run.told)


def test_two_processes_spend_one_activation(slow: EstateServer, new_runner: Callable[..., Runner]) -> None:
    first, second = new_runner(), new_runner()
    second.seconds = 600
    with ThreadPoolExecutor(2) as threads:
        begun = threads.submit(first.license)
        wait_until(lambda: methods(slow, "hv01").get("Activate"))
        late = threads.submit(second.license)
        wait_until(lambda: is_waiting(second))
        slow.advance_clock(LONG)
        results = [begun.result(), late.result()]
    assert [result.outputs.license_status for result in results] == [LicenseStatus.LICENSED] * 2
    assert methods(slow, "hv01") == {"InstallProductKey": 1, "Activate": 1}
    assert counts(slow) == {"activations": 1, "pools": 2, "pipelines": 2, "openShells": 0}


def test_an_activation_that_runs_on_after_cancel_keeps_the_machine_locked(
    slow: EstateServer, new_runner: Callable[..., Runner]
) -> None:
    first, second = new_runner(), new_runner()
    second.seconds = 600
    with ThreadPoolExecutor(2) as threads:
        begun = threads.submit(first.license)
        wait_until(lambda: methods(slow, "hv01").get("Activate"))
        first.cancellation.set()
        with pytest.raises(errors.PartlyDone):
            begun.result()
        first.machines.close()
        late = threads.submit(second.license)
        wait_until(lambda: is_waiting(second))
        slow.advance_clock(IDLE)
        assert late.result().outputs.license_status is LicenseStatus.LICENSED
    (warning,) = [text for text in first.told if "stays locked against other runs for 135 seconds" in text]
    assert "the last activation may still be running there" in warning
    assert counts(slow)["activations"] == 1


def test_an_activation_that_outlives_the_time_limit_keeps_the_machine_locked(
    slow: EstateServer, new_runner: Callable[..., Runner]
) -> None:
    first, second = new_runner(), new_runner()
    first.seconds, second.seconds = 4, 600
    with ThreadPoolExecutor(1) as threads:
        with pytest.raises(errors.PartlyDone, match="the time limit of 4 s expired"):
            first.license()
        slow.advance_clock(LONG // 2)  # also by this clock, the deadline is over, and the activation still runs
        late = threads.submit(second.license)
        wait_until(lambda: is_waiting(second) or late.done())
        assert is_waiting(second)
        slow.advance_clock(IDLE)
        assert late.result().outputs.license_status is LicenseStatus.LICENSED
    assert any("stays locked against other runs for 135 seconds" in text for text in first.told)
    assert methods(slow, "hv01") == {"InstallProductKey": 1, "Activate": 1}
    assert counts(slow)["activations"] == 1


def test_the_lock_of_an_activation_that_outlives_the_time_limit_ends_by_itself(
    slow: EstateServer, new_runner: Callable[..., Runner]
) -> None:
    first = new_runner()
    first.seconds = 4
    with pytest.raises(errors.PartlyDone):
        first.license()
    slow.advance_clock(IDLE)
    second = new_runner()
    second.seconds = 2
    hold(second).release()
    assert not is_waiting(second)
    assert counts(slow)["openShells"] == 0


_LOCKING = ("lock the license of the machine", HV01, "no", "wait")


@pytest.mark.parametrize(
    "error",
    [
        errors.WsmanFault(*_LOCKING, QUOTA_OF_SHELLS),
        errors.ServiceBusy(*_LOCKING),
        errors.AnswerLost(*_LOCKING),
        errors.UnexpectedAnswer(*_LOCKING),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_machine_that_may_be_locked_is_not_changed(
    estate: EstateServer, run: Runner, monkeypatch: pytest.MonkeyPatch, error: errors.AvmaError
) -> None:
    def refuse(*_: object) -> HeldLock:
        raise error

    monkeypatch.setattr(MachineLock, "acquire", refuse)
    with pytest.raises(type(error)):
        run.license()
    assert methods(estate, "hv01") == {}


def test_a_key_is_not_uninstalled_while_another_process_changes_the_machine(
    estate: EstateServer, run: Runner, new_runner: Callable[..., Runner]
) -> None:
    result = run.license()
    holder = hold(new_runner())
    run.seconds = 2
    before = stored(result, on_delete="uninstallKey", force_destroy=True)
    with pytest.raises(errors.TimedOut, match="avma-license"):
        run.host.delete(result.identifier, before, run.operation())
    assert "UninstallProductKey" not in methods(estate, "hv01")
    holder.release()
    run.seconds = 120
    run.host.delete(result.identifier, before, run.operation())
    assert methods(estate, "hv01")["UninstallProductKey"] == 1


def test_a_host_that_does_not_change_is_not_locked(estate: EstateServer, run: Runner) -> None:
    run.license(LICENSED, OTHER_KEY)
    assert counts(estate, "licensed") == {"activations": 0, "pools": 0, "pipelines": 0, "openShells": 0}


def test_the_lock_of_a_process_that_died_ends_by_itself(
    estate: EstateServer, run: Runner, new_runner: Callable[..., Runner]
) -> None:
    silent = hold(new_runner())
    run.seconds = 600
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(run.license)
        wait_until(lambda: is_waiting(run))
        estate.advance_clock(IDLE)
        assert late.result().outputs.license_status is LicenseStatus.LICENSED
    assert counts(estate)["activations"] == 1
    silent.release()


def test_a_lock_that_stays_taken_is_named_in_the_error(
    estate: EstateServer, run: Runner, new_runner: Callable[..., Runner]
) -> None:
    holder = hold(new_runner())
    run.seconds = 2
    with pytest.raises(errors.TimedOut) as caught:
        run.license()
    assert MUTEX in caught.value.answer
    assert "handle.exe -a avma-license" in caught.value.remedy
    assert methods(estate, "hv01") == {}
    holder.release()
    run.seconds = 120
    assert run.license().outputs.license_status is LicenseStatus.LICENSED


def test_a_canceled_wait_leaves_nothing_on_the_machine(
    estate: EstateServer, run: Runner, new_runner: Callable[..., Runner]
) -> None:
    holder = hold(new_runner())
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(run.license)
        wait_until(lambda: is_waiting(run))
        run.cancellation.set()
        with pytest.raises(errors.Cancelled):
            late.result()
    wait_until(lambda: counts(estate)["openShells"] == 1)
    holder.release()
    assert counts(estate)["openShells"] == 0
    assert methods(estate, "hv01") == {}


@pytest.mark.parametrize("fields", ["rights: wmi", "remotePowerShell: false"])
def test_without_powershell_remoting_the_provider_warns_and_reads_before_each_change(
    tmp_path: Path, run: Runner, fields: str
) -> None:
    file = tmp_path / "wmi.yaml"
    file.write_text(ESTATE.replace("  - name: hv01\n", f"  - name: hv01\n    {fields}\n", 1))
    with running(load_estate(file)) as estate:
        assert run.license().outputs.license_status is LicenseStatus.LICENSED
        assert counts(estate) == {"activations": 1, "pools": 0, "pipelines": 0, "openShells": 0}
    (warning,) = [text for text in run.told if "could not lock the machine against other runs" in text]
    assert "Let only one run at a time license the machine" in warning


def test_a_machine_whose_script_fails_while_another_run_holds_the_lock_is_not_changed(
    estate: EstateServer, run: Runner, new_runner: Callable[..., Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = hold(new_runner())
    write = license_lock._write

    def write_and_fail(pipeline: Pipeline, state: str) -> None:
        write(pipeline, state)
        raise ScriptFailed("Insufficient memory to continue.", "OutOfMemoryException")

    monkeypatch.setattr(license_lock, "_write", write_and_fail)
    with pytest.raises(errors.UnexpectedAnswer, match=r"another process holds the mutex .*Insufficient memory"):
        run.license()
    assert methods(estate, "hv01") == {}
    holder.release()


def test_a_machine_whose_powershell_ends_at_its_start_is_not_changed(
    estate: EstateServer, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_off(*_: object, **_more: object) -> None:
        raise psrp._Broken("the session was closed")

    monkeypatch.setattr(psrp._RunspacePool, "open", break_off)
    with pytest.raises(errors.UnexpectedAnswer, match="the session was closed"):
        run.license()
    assert methods(estate, "hv01") == {}


def test_signs_of_life_keep_the_lock(estate: EstateServer, run: Runner) -> None:
    run.configuration, run.seconds = replace(run.configuration, operation_timeout="1s"), 600
    run.skip_pauses(estate)
    held = hold(run)
    for _ in range(3):
        held.deadline.wait(25, "wait", held.where)
        held.keep()
    held.require()
    held.deadline.wait(80, "wait", held.where)
    held.keep()
    with pytest.raises(errors.Refused):
        held.require()
    held.release()


def test_a_process_that_loses_its_lock_begins_no_further_change(estate: EstateServer, run: Runner) -> None:
    estate.faults("hv01", [{"operation": ACTIVATE, "hresult": NOT_BEGUN, "times": 20}])
    run.skip_pauses(estate)
    run.seconds = 900
    run.told = ClosingShells(estate)
    with pytest.raises(errors.PartlyDone) as caught:
        run.license()
    assert "which locks its license against other runs, has ended" in str(caught.value)
    run.told = []
    estate.faults("hv01", [])
    assert run.license().outputs.license_status is LicenseStatus.LICENSED
    assert counts(estate)["activations"] == 1


def test_a_lost_answer_releases_the_lock_if_the_activation_shows(estate: EstateServer, run: Runner) -> None:
    estate.faults("hv01", [{"operation": ACTIVATE, "answer": "drop", "after": True, "times": 1}])
    assert run.license().outputs.license_status is LicenseStatus.LICENSED
    assert not [text for text in run.told if "stays locked" in text]
    assert counts(estate)["openShells"] == 0


def test_no_key_is_installed_after_the_lock_is_lost(
    estate: EstateServer, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.skip_pauses(estate)
    acquire = sole_spender.lock

    def acquire_and_lose(machine: Machine, operation: Operation) -> HeldLock | None:
        held = acquire(machine, operation)
        estate.close_shells("hv01")
        operation.deadline.wait(25, "wait", HV01)  # longer than a lock goes without a sign of life
        return held

    monkeypatch.setattr(sole_spender, "lock", acquire_and_lose)
    with pytest.raises(errors.Refused, match="which locks its license against other runs, has ended"):
        run.license()
    assert methods(estate, "hv01") == {}


def test_no_warning_of_a_locked_machine_follows_a_lost_lock(estate: EstateServer, run: Runner) -> None:
    estate.faults("hv01", [{"operation": ACTIVATE, "answer": "drop", "times": 1}])
    run.skip_pauses(estate)
    run.seconds = 300
    run.told = ClosingShells(estate)
    with pytest.raises(errors.PartlyDone):
        run.license()
    assert any("waiting for activation" in text for text in run.told)
    assert not [text for text in run.told if "stays locked" in text]
    assert counts(estate)["openShells"] == 0


def test_an_unread_installation_id_begins_no_activation(
    estate: EstateServer, run: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misread(*_: object) -> str:
        raise errors.UnexpectedAnswer("read the installation ID", HV01, "the answer is not SOAP", "check the port")

    monkeypatch.setattr(licensing, "installation_id", misread)
    with pytest.raises(errors.PartlyDone, match="could not read the installation ID") as caught:
        run.license(confirmation_id="1" * 48)
    assert not caught.value.cause.in_doubt
    assert not [text for text in run.told if "stays locked" in text or "waiting for activation" in text]
    assert counts(estate)["openShells"] == 0
    assert methods(estate, "hv01") == {"InstallProductKey": 1}


class ClosingShells(list[str]):
    """Messages to the user. The first one about the wait for the activation ends all shells of the host."""

    def __init__(self, estate: EstateServer) -> None:
        super().__init__()
        self._estate = estate
        self._closed = False

    def append(self, line: str) -> None:
        super().append(line)
        if "waiting for activation" in line and not self._closed:
            self._closed = True
            self._estate.close_shells("hv01")
