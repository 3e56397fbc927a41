"""The WMI of one machine, independent of the connection to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from avma.context import Context
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

    def close(self) -> None:
        """Close the idle connections."""
