"""Queries about open questions, sent for a recording only: only a real Windows can answer them.

The provider ignores the answers here. No query changes anything: Windows rejects an invalid product key with 0xC004F050
and keeps the existing key. The script slmgr.vbs also calls RefreshLicenseStatus, on each run.
"""

from __future__ import annotations

from functools import partial

from avma.context import Context
from avma.deadline import Deadline
from avma.diagnosis.finding import outcome
from avma.errors import AvmaError
from avma.windows.computer import NAMESPACE
from avma.windows.machine import Server
from avma.wsman import envelope
from avma.wsman.envelope import CimMethod, Message

_SERVICE, _PRODUCT = "SoftwareLicensingService", "SoftwareLicensingProduct"
_ALL_PRODUCTS = (
    "SELECT ID,Name,Description,ApplicationID,LicenseFamily,LicenseStatus,LicenseStatusReason,ProductKeyChannel,"
    f"GracePeriodRemaining,EvaluationEndDate FROM {_PRODUCT}"
)
"""Hundreds of rows: they do not fit into one page."""
_NO_KEY = "no product key"
_NO_ID = "00000000-0000-0000-0000-000000000000"


def ask_open_questions(server: Server, deadline: Deadline) -> None:
    """Query the error codes of the licensing service, the keys it requires, and the paging of long answers."""
    found = outcome(lambda: server.licensing(deadline))
    if isinstance(found, AvmaError):
        return
    context = Context("query Windows for the recording", server.where, deadline)
    outcome(lambda: server.wmi.query(context, NAMESPACE, _ALL_PRODUCTS))
    for message in _messages({"Version": found.service_version}):
        outcome(partial(server.cim.ask, context, message))


def _messages(keys: dict[str, str]) -> tuple[Message, ...]:
    return (
        envelope.get(NAMESPACE, _SERVICE, keys),
        envelope.get(NAMESPACE, _SERVICE, {}),
        envelope.get(NAMESPACE, _PRODUCT, {"ID": _NO_ID}),
        envelope.enumerate_query(NAMESPACE, "SELECT Name FROM AvmaHasNoSuchClass"),
        envelope.invoke(CimMethod(NAMESPACE, _SERVICE, "RefreshLicenseStatus"), {}, {}),
        envelope.invoke(CimMethod(NAMESPACE, _SERVICE, "InstallProductKey"), keys, {"ProductKey": _NO_KEY}),
    )
