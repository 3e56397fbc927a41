"""The claims of a run: what the calls of the engine show about the machines of each resource.

`check` and `diff` come before the changes. So they record which resources are about to license a host, and which key
each resource wants on its machine.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from avma.resources.claims import Claim, MustWait, stake
from avma.resources.resource import Resource, Stored
from pulumi_resource_avma.operations import Existing, Operations, Run
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.replacement import place_of
from pulumi_resource_avma.session import Session

LOCATE_TIMEOUT = 15.0
"""Maximum seconds for identifying the machines of one resource during a diff."""


class RunClaims:
    """The claims of the current run."""

    def __init__(self, session: Session, operations: Operations) -> None:
        self._session = session
        self._operations = operations

    @property
    def _run(self) -> Run:
        return self._operations.run

    def claim_machines(
        self,
        request: pb.DiffRequest,
        resource: Resource,
        stored: Stored,
        wanted: Mapping[str, Any],
        found: pb.DiffResponse,
        *,
        wait: bool,
    ) -> None:
        """Claim the machines of a resource that stays on them. If nothing changes, guests do not have to wait for it.

        Raises:
            KeyConflict: another resource of the run wants a different key there.
            MustWait: the caller must wait for another thread, process or machine, but `wait` is False.
        """
        if found.replaces:
            self._run.replaced[request.urn] = Existing(request.id, stored)
            self.record(request.urn, coming=resource.licenses_hosts, replaces=place_of(resource, request.id), wait=wait)
            return
        if resource.licenses_hosts and not found.diffs:
            self.record(request.urn, wait=wait)
        for holding in self._holdings(request, resource, stored, wanted, wait=wait):
            self._stake(request, resource, dataclasses.replace(holding, resource=request.urn), wait=wait)

    def _stake(self, request: pb.DiffRequest, resource: Resource, claim: Claim, *, wait: bool = True) -> None:
        stake(self._run.claims, claim, request.id, f"keep {resource.name}", wait=wait)

    def _holdings(
        self, request: pb.DiffRequest, resource: Resource, stored: Stored, wanted: Mapping[str, Any], *, wait: bool
    ) -> list[Claim]:
        """Return the holdings of a resource.

        State of an older version has no machines, so the machines identify themselves.

        A machine stays unknown if a request to it is impossible or if `previewProbe` is false. That setting must also
        apply here, because a diff request does not show whether it belongs to a preview.
        """
        found = resource.holdings(stored, wanted)
        configuration = self._session.configuration
        if all(claim.machine or not claim.installs for claim in found):
            return found
        if configuration is None or not configuration.preview_probe or not resource.askable(wanted):
            return found
        if not wait:
            raise MustWait
        for claim in found:
            if not claim.machine:
                asking = dataclasses.replace(claim, resource=request.urn, asking=True)
                self._stake(request, resource, asking)
        operation = self._operations.begin(LOCATE_TIMEOUT, request.urn)
        return resource.located(stored, wanted, dataclasses.replace(operation, show_status=_drop, show_warning=_drop))

    def successor(self, request: pb.DeleteRequest, resource: Resource) -> Mapping[str, Any] | None:
        """Return the inputs of a resource's successor. Return None without one, or if another process handles it.

        With an alias, the new resource has a different URN. Both have the same type and ID.
        """
        own = self._run.wanted.get(request.urn)
        if own is not None:
            return own
        successors = (urn for urn, replaced in self._run.replaced.items() if replaced.identifier == request.id)
        urn = next((urn for urn in successors if type_of(urn) == type_of(request.urn)), "")
        return self._run.wanted.get(urn)

    def record(self, urn: str, coming: bool = False, replaces: str = "", *, wait: bool = True) -> None:
        """Record whether a resource is about to license a host, and which resource it replaces.

        Raises:
            MustWait: the caller must wait for another thread or process, but `wait` is False.
        """
        # Without this record, guests do not wait for the resource. A deletion needs the records and reports their
        # absence.
        with contextlib.suppress(OSError):
            self._run.claims.add(Claim(urn, wants=False, coming=coming, replaces=replaces), wait=wait)

    @contextlib.contextmanager
    def licensing(self, urn: str, resource: Resource) -> Iterator[None]:
        """Run the creation or update of a resource. Afterwards no guest waits for it, even if it failed."""
        try:
            yield
        finally:
            if resource.licenses_hosts:
                self.record(urn)


def _drop(_text: str) -> None:
    """Drop a line. Requests that accompany an operation show no status of their own."""


def type_of(urn: str) -> str:
    """Return the type in `urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME`, for engines that do not send it."""
    parts = urn.split("::")
    return parts[2].rpartition("$")[2] if len(parts) > 2 else ""
