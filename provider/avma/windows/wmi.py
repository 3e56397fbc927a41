"""The WMI of one machine, independent of the connection to it, and the rows that Windows always returns.

A listing without its required row is an error, never an empty result. Windows silently hides instances from accounts
without rights, and those of stopped services. An account without Hyper-V rights gets zero rows from
root\\virtualization\\v2 and no error (containers/libhvee#224, microsoft/devhome#2476). So each listing must contain one
row. This module is the only list of these rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from avma import errors
from avma.context import Context
from avma.wording import RUN_AGAIN
from avma.wsman.envelope import CimMethod
from avma.wsman.instance import Instance


class Wmi(Protocol):
    """Queries and methods of one machine. After a lost answer, a read may be retried, but never a method call."""

    @property
    def where(self) -> str:
        """The machine's name in errors."""

    def query(self, context: Context, namespace: str, wql: str) -> list[Instance]:
        """Return all instances that a WQL query finds.

        Raises:
            AvmaError: the machine could not be queried, or rejected the query.
        """

    def query_all(self, context: Context, namespace: str, queries: Sequence[str]) -> list[list[Instance]]:
        """Return the results of several queries, sent together if that saves time. Errors are those of `query`."""

    def invoke(
        self, context: Context, method: CimMethod, keys: Mapping[str, str], parameters: Mapping[str, str]
    ) -> Instance:
        """Call a method of an instance once and return its output parameters.

        Raises:
            WsmanFault: the method failed.
            AnswerLost: no answer came. The method may have run.
        """

    def invoke_then_query(
        self, context: Context, method: CimMethod, keys: Mapping[str, str], parameters: Mapping[str, str], wql: str
    ) -> list[Instance] | None:
        """Call a method once, then run a query if that costs no further request. Errors are those of `invoke`.

        Return the rows. None if the query did not run, or if it failed.
        """

    def close(self) -> None:
        """Close the idle connections."""


@dataclass(frozen=True)
class RequiredRow:
    """A row in every valid answer, two causes for its absence, and a remedy for each."""

    row: str
    rights: str
    grant: str
    service: str


HYPER_V_HOST = RequiredRow(
    row="the Hyper-V host's own row",
    rights="is not a member of Hyper-V Administrators",
    grant="run `Add-LocalGroupMember -SID S-1-5-32-578 -Member ACCOUNT` on the host",
    service="vmms",
)
LICENSING_SERVICE = RequiredRow(
    row="the row of the licensing service",
    rights="has no right to read the licensing classes in root\\cimv2",
    grant="use an administrator of the machine",
    service="sppsvc",
)
LICENSING_PRODUCTS = replace(LICENSING_SERVICE, row="the licenses that Windows always lists")
OPERATING_SYSTEM = RequiredRow(
    row="the row of the operating system",
    rights="has no right to read the namespace root\\cimv2",
    grant="grant it Enable Account and Remote Enable on that namespace of the machine (wmimgmt.msc)",
    service="winmgmt",
)
COMPUTER = replace(OPERATING_SYSTEM, row="the row of the computer's firmware")
COMPUTER_SYSTEM = replace(OPERATING_SYSTEM, row="the row of the computer itself")
CLUSTER = RequiredRow(
    row="the cluster's own row",
    rights="has no access to the cluster",
    grant="run `Grant-ClusterAccess -User ACCOUNT -ReadOnly` on a node",
    service="ClusSvc",
)
CLUSTER_NODES = replace(CLUSTER, row="the nodes of the cluster")


def require_row(context: Context, found: Iterable[object], required: RequiredRow) -> None:
    """Raise EmptyAnswer unless a listing contains its required row.

    Args:
        context: the context of the listing.
        found: the rows of the listing that match the required row.
        required: the row. The error names it with both causes of its absence.

    Raises:
        EmptyAnswer: the row is missing.
    """
    if any(True for _ in found):
        return
    answer = (
        f"the list from Windows is incomplete (without {required.row}): the account {required.rights}, or the service "
        f"{required.service} is not running"
    )
    remedy = (
        f"if the account lacks the right, {required.grant}; if the service is stopped, run "
        f"`Start-Service {required.service}` on the machine; then {RUN_AGAIN}"
    )
    raise context.error(errors.EmptyAnswer, answer, remedy, required.service)
