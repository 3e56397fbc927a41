"""Events about automatic activation in the Application event log: WMI class `Win32_NTLogEvent`.

Windows logs event 12309 in a guest and 12310 on its host (learn.microsoft.com, Automatic Virtual Machine Activation).
Microsoft does not document their fields. The module returns them unchanged. They explain a failure and decide nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from avma import characters, errors
from avma.context import Context
from avma.deadline import Deadline
from avma.windows.computer import NAMESPACE
from avma.windows.wmi import Wmi

GUEST_EVENT = 12309
HOST_EVENT = 12310

_RECENT = timedelta(minutes=10)
_LONGEST_TEXT = 300
_PATIENCE = 20.0
"""Timeout of the search in seconds. It is long because WMI reads an event log from end to end."""


def latest(wmi: Wmi, event_code: int, deadline: Deadline) -> str:
    """Return the text of the newest such event of the last ten minutes.

    The text is empty without such an event, or if the log cannot be read.
    """
    since = datetime.now(timezone.utc) - _RECENT
    earliest = since.strftime("%Y%m%d%H%M%S.000000+000")
    query = (
        "SELECT InsertionStrings,Message,TimeGenerated FROM Win32_NTLogEvent "
        f"WHERE Logfile = 'Application' AND EventCode = {event_code} AND TimeGenerated >= '{earliest}'"
    )
    context = Context("read the event log", wmi.where, deadline.part(_PATIENCE))
    try:
        rows = wmi.query(context, NAMESPACE, query)
    except errors.AvmaError:
        return ""
    newest = max(rows, key=lambda row: row.time("TimeGenerated") or since, default=None)
    if newest is None:
        return ""
    said = ", ".join(newest.strings("InsertionStrings")) or newest.text("Message") or ""
    return characters.shortened(characters.one_line(said), _LONGEST_TEXT)
