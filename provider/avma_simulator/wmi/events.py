"""`Win32_NTLogEvent`: the activation events in the Application event log of one machine.

Inferred (activation-events-come-from-the-licensing-platform): the source. Simplified: the message.
"""

from __future__ import annotations

from avma_simulator.state import language
from avma_simulator.state.event_log import Event, EventLog
from avma_simulator.wmi.cim import Instance, Value, declare

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
_ERROR, _INFORMATION = 1, 3


def rows(log: EventLog, computer_name: str, locale: str) -> list[Instance]:
    """Return the events as WMI does, newest first."""
    numbered = list(enumerate(log.events, start=1))
    return [_row(record, event, computer_name, locale) for record, event in reversed(numbered)]


def _row(record: int, event: Event, computer_name: str, locale: str) -> Instance:
    kind = _ERROR if event.number else _INFORMATION
    values: dict[str, Value] = {
        "Category": 0,
        "ComputerName": computer_name,
        "EventCode": event.code,
        "EventIdentifier": event.code,
        "EventType": kind,
        "InsertionStrings": event.strings,
        "Logfile": "Application",
        "Message": f"{language.translated('Automatic Virtual Machine Activation', locale)}: {', '.join(event.strings)}",
        "RecordNumber": record,
        "SourceName": _SOURCE,
        "TimeGenerated": event.time,
        "TimeWritten": event.time,
        "Type": language.translated("Error" if kind == _ERROR else "Information", locale),
    }
    return Instance(EVENT, values)
