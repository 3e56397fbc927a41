"""The context of every call about machines: the core's `Operation`, created from the session and the request.

It combines the configuration, the deadline, the messages to the user, and the machines of the process.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from grpc import StatusCode

from avma import topics
from avma.deadline import Deadline
from avma.resources.claims import Claims
from avma.resources.resource import Operation, Stored
from avma.windows.machines import Machines, close_together
from pulumi_resource_avma.grpc_errors import Declined
from pulumi_resource_avma.journal import Journal
from pulumi_resource_avma.session import Session


@dataclass(frozen=True)
class Existing:
    """A resource that the engine updates or replaces: its ID and its stored values."""

    identifier: str
    stored: Stored


@dataclass(frozen=True)
class Refreshed:
    """The result of a refresh of one resource: its outputs in the state, and those that the machine reports."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]


@dataclass
class Run:
    """One run of the engine: a preview, an update, a refresh or a destroy. The keys of the mappings are URNs."""

    claims: Claims
    wanted: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """The inputs that passed `check`.

    The engine checks resources that stay, but not those that it only deletes or refreshes.
    """
    replaced: dict[str, Existing] = field(default_factory=dict)
    refreshed: dict[str, Refreshed] = field(default_factory=dict)
    """The resources that a refresh has read. Its diff follows at once, and an update checks the resource first."""
    shown: set[tuple[str, str]] = field(default_factory=set)
    """The lines about drift that the run has shown, by URN. `pulumi up --refresh` finds them twice."""


class Operations:
    """The factory of operations. Each process has one, and every thread may use it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._machines: dict[tuple[str, int, int], Machines] = {}
        self._lock = threading.Lock()
        self._run: tuple[int, Run] | None = None

    @property
    def run(self) -> Run:
        """The current run of the session."""
        with self._lock:
            if self._run is None or self._run[0] != self._session.run:
                address = self._session.engine_address
                self._run = self._session.run, Run(Journal(address) if address else Claims())
            return self._run[1]

    def begin(self, timeout: float, urn: str = "", *, reads_only: bool = False) -> Operation:
        """Return an operation with that many seconds. Its messages go to the row of `urn`.

        If it only reads, it accepts answers of machines up to the age `read_freshness`.

        Raises:
            Declined: the provider is not configured.
        """
        configuration = self._session.configuration
        if configuration is None:
            message = "the provider is not configured, because some of its settings are not known yet"
            raise Declined(StatusCode.FAILED_PRECONDITION, message, topics.CONFIGURATION)
        log = self._session.log
        max_age = configuration.max_age if reads_only else 0.0
        return Operation(
            configuration=configuration,
            machines=self._machines_for(configuration.max_concurrency),
            deadline=Deadline(timeout, self._session.cancellation_of_call, max_age=max_age),
            show_status=lambda text: log.status(text, urn),
            show_warning=lambda text: log.warning(text, urn),
            show_information=lambda text: log.info(text, urn),
            claims=self.run.claims,
            resource=urn,
            rendered=self._session.redact,
        )

    def leave(self) -> None:
        """Close the idle connections of earlier engines in the background. Their runs are over.

        An engine with several provider instances attaches several times, and each instance keeps its connections.
        """
        current = self._session.engine_address
        with self._lock:
            over = [self._machines.pop(kind) for kind in list(self._machines) if kind[0] != current]
        for machines in over:
            threading.Thread(target=machines.close, daemon=True).start()

    def close(self) -> None:
        """Close all connections to machines."""
        with self._lock:
            machines = list(self._machines.values())
        close_together(machines)

    def _machines_for(self, max_concurrency: int) -> Machines:
        """Return the machines of this run. Between runs, a name can start to point to a different machine."""
        with self._lock:
            kind = self._session.engine_address, self._session.run, max_concurrency
            if kind not in self._machines:
                self._machines[kind] = Machines(max_concurrency)
            return self._machines[kind]
