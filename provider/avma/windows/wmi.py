"""The WMI of one machine as the questions of this package use it, whatever way leads there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from avma.deadline import Deadline
from avma.wsman.instance import Instance


class Wmi(Protocol):
    """Queries and methods of one machine. A read may be sent again when its answer is lost, a method call never."""

    @property
    def where(self) -> str:
        """The machine as errors name it."""

    def query(self, namespace: str, wql: str, deadline: Deadline, tried: str) -> list[Instance]:
        """Return all instances that a WQL query finds.

        Raises:
            AvmaError: the machine could not be asked, or refused.
        """

    def query_all(self, namespace: str, queries: Sequence[str], deadline: Deadline, tried: str) -> list[list[Instance]]:
        """Return what each of several queries finds, asked together where that is cheaper; errors as for `query`."""

    def invoke(
        self,
        namespace: str,
        cim_class: str,
        method: str,
        keys: Mapping[str, str],
        parameters: Mapping[str, str],
        deadline: Deadline,
        tried: str,
    ) -> Instance:
        """Call a method of an instance once and return its output parameters.

        Raises:
            WsmanFault: the method failed.
            AnswerLost: no answer came; the method may have run all the same.
        """

    def close(self) -> None:
        """End the idle connections."""
