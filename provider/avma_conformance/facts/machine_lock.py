r"""Facts about the lock of a machine: the mutex `Global\avma-license`, which a script holds in its own pool."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from avma.windows import machine_lock
from avma.wsman.runspaces import RunningScript
from avma.wsman.script import ignore
from avma_conformance.fact import Area, Effect, NotHere, Observation, equal, fact, question
from avma_conformance.subject import Subject

_ENDS_WITHIN = 15.0
"""Seconds. Windows may take some to end the process of a deleted pool."""


def _is_final(answer: Mapping[str, Any]) -> bool:
    return answer.get("state") != "waiting"


@contextlib.contextmanager
def _lock(subject: Subject, patience: float = 1.0) -> Iterator[tuple[RunningScript, str]]:
    """Run the script of the lock. Yield it with the states that it reported."""
    parameters = {"Patience": patience, "Lifetime": 100.0}
    running, answers = subject.server.powershell.start(
        subject.context, machine_lock.SCRIPT, parameters, _is_final, ignore, idle_timeout=60.0
    )
    try:
        states = [str(answer.get("state")) for answer in answers.objects]
        yield running, ", ".join(states) or answers.complaint
    finally:
        running.end()


@contextlib.contextmanager
def _held(subject: Subject) -> Iterator[RunningScript]:
    """Hold the lock.

    Raises:
        NotHere: the script did not get it.
    """
    with _lock(subject, _ENDS_WITHIN) as (running, states):
        if not states.endswith("held"):
            raise NotHere(f"the lock is not free: {states}")
        yield running


@fact(
    Area.REMOTING,
    "inferred: the constructor of System.Threading.Mutex with MutexSecurity in .NET Framework",
    effect=Effect.HARMLESS,
)
def mutex_with_access_rules_is_granted(subject: Subject) -> Observation:
    """Windows PowerShell creates a global mutex with access rules, and acquires it."""
    with _lock(subject, _ENDS_WITHIN) as (running, states):
        state = "running" if running.is_running(subject.context) else "ended"
        return equal("held, running", f"{states}, {state}")


@fact(Area.REMOTING, '"Mutexes" at learn.microsoft.com', effect=Effect.HARMLESS)
def mutex_excludes_a_second_session(subject: Subject) -> Observation:
    """While one session holds the mutex, another session does not get it."""
    with _held(subject), _lock(subject) as (_, states):
        return equal("waiting, busy", states)


@fact(Area.REMOTING, '"Mutexes" at learn.microsoft.com', effect=Effect.HARMLESS)
def mutex_ends_with_its_pool(subject: Subject) -> Observation:
    """After the pool of its owner was deleted, another session gets the mutex."""
    with _held(subject):
        pass
    with _lock(subject, _ENDS_WITHIN) as (_, states):
        return equal("held", states.removeprefix("waiting, "))


SILENT_POOL = question(
    "silent-pool-with-a-script-ends",
    Area.REMOTING,
    "Windows ends a pool after its idle timeout, also while a script runs in it.",
    "Run `$o = New-PSSessionOption -IdleTimeout 60000; $s = New-PSSession HOST -SessionOption $o` and `Invoke-Command "
    "-Session $s -AsJob { Start-Sleep 900 }`. Kill this PowerShell with `Stop-Process $PID`. On the host, check after "
    "two minutes with `Get-Process wsmprovhost` whether the process still exists.",
)
