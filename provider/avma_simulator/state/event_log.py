"""The Application event log of one machine with its activation events.

The numbers 12309 (guest) and 12310 (host) and the notifications are from "Automatic Virtual Machine Activation" at
learn.microsoft.com. Inferred (activation-events-contain-the-number): the insertion strings, and the pairs of
notification and HRESULT.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from avma_simulator.clock import Clock

GUEST, HOST = 12309, 12310
_SUCCESS, _INVALID_HOST, _DENIED = "AVMA Success", "Invalid Host", "Activation Denied"
_NOTIFICATIONS = {0: _SUCCESS, 0xC004FD01: _INVALID_HOST}


@dataclass(frozen=True)
class Event:
    """One event: its number, its insertion strings, and its time."""

    code: int
    number: int
    strings: tuple[str, ...]
    time: datetime


class EventLog:
    """The events of one machine, oldest first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.events: list[Event] = []

    def write(self, code: int, number: int, *about: str) -> None:
        """Write the result of an activation attempt.

        `number` is the HRESULT, or 0 for success. `about` names the parties.
        """
        strings = (_NOTIFICATIONS.get(number, _DENIED), f"0x{number:08X}", *about)
        self.events.append(Event(code, number, strings, self._clock.now()))
