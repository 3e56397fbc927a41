"""The Application event log of one machine with its activation events, and `Win32_NTLogEvent`.

The numbers 12309 (guest) and 12310 (host) and the notifications are from "Automatic Virtual Machine Activation" at
learn.microsoft.com. Inferred: the source, the message, the insertion strings, and the pairs of notification and
HRESULT.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from avma_simulator.state import language
from avma_simulator.wmi.cim import Instance, Value, declare

GUEST, HOST = 12309, 12310
EVENT = declare(
    "root/cimv2",
    "Win32_NTLogEvent",
    "Logfile RecordNumber",
    string="CategoryString ComputerName Logfile Message SourceName Type User",
    uint16="Category EventCode EventType",
    uint32="EventIdentifier RecordNumber",
    datetime="TimeGenerated TimeWritten",
    strings="InsertionStrings",
)
_SOURCE = "Microsoft-Windows-Security-SPP"
_SUCCESS, _INVALID_HOST, _DENIED = "AVMA Success", "Invalid Host", "Activation Denied"
_NOTIFICATIONS = {0: _SUCCESS, 0xC004FD01: _INVALID_HOST}
_ERROR, _INFORMATION = 1, 3


@dataclass(frozen=True)
class Event:
    """One event: its number, its insertion strings, and its time."""

    code: int
    number: int
    strings: tuple[str, ...]
    time: datetime


class EventLog:
    """The events of one machine, oldest first."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def write(self, code: int, number: int, *about: str) -> None:
        """Write the result of an activation attempt.

        `number` is the HRESULT, or 0 for success. `about` names the parties.
        """
        strings = (_NOTIFICATIONS.get(number, _DENIED), f"0x{number:08X}", *about)
        self.events.append(Event(code, number, strings, datetime.now(timezone.utc)))


def rows(log: EventLog, computer_name: str, spoken: str) -> list[Instance]:
    """Return the events as WMI does, newest first."""
    numbered = list(enumerate(log.events, start=1))
    return [_row(record, event, computer_name, spoken) for record, event in reversed(numbered)]


def _row(record: int, event: Event, computer_name: str, spoken: str) -> Instance:
    kind = _ERROR if event.number else _INFORMATION
    values: dict[str, Value] = {
        "Category": 0,
        "ComputerName": computer_name,
        "EventCode": event.code,
        "EventIdentifier": event.code,
        "EventType": kind,
        "InsertionStrings": event.strings,
        "Logfile": "Application",
        "Message": f"{language.said('Automatic Virtual Machine Activation', spoken)}: {', '.join(event.strings)}",
        "RecordNumber": record,
        "SourceName": _SOURCE,
        "TimeGenerated": event.time,
        "TimeWritten": event.time,
        "Type": language.said("Error" if kind == _ERROR else "Information", spoken),
    }
    return Instance(EVENT, values)
