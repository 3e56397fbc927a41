"""Wait for the license of a host that another resource of the same run is about to create.

If the resource of a guest names its host by a literal, Pulumi sees no dependency on the resource of the host. It
creates both in parallel.
"""

from __future__ import annotations

import time
from dataclasses import replace

from avma.resources.claims import Claim, coming, planned, unusable
from avma.resources.host_state import HostState, read_host_state
from avma.resources.resource import Operation

_TRIED = "wait for the license of the host"
_PAUSE = 0.5
"""Seconds between two checks."""
_START = 60.0
"""Seconds for a resource of the run to begin to license a host.

Waiting guests can delay it, because the engine limits the number of parallel operations.
"""


def wait_for_license(host: HostState, vm_name: str, operation: Operation, preview: bool) -> HostState:
    """Return the host once it can activate guests, or once no resource of this run is about to license it.

    In a preview, a coming license counts as present, and so does a key that replaces the present one.

    Raises:
        TimedOut, Cancelled: the deadline ended the wait.
        Refused: the claims of the run cannot be read.
    """
    try:
        return _awaited(host, vm_name, operation, preview)
    except OSError as error:
        raise unusable(error, host.server.where, _TRIED) from error


def _awaited(host: HostState, vm_name: str, operation: Operation, preview: bool) -> HostState:
    began, waited = time.monotonic(), False
    while True:
        claim = coming(operation.claims, host.machine_id)
        if preview and claim is not None:
            return replace(host, will_be_licensed=True, coming_key_version=claim.key_version)
        if host.licensed_for_guests is not False:
            return host
        elapsed = time.monotonic() - began
        if claim is None and elapsed >= _longest(operation):
            # The license can have arrived between the last check and the end of the claim.
            return read_host_state(host.server, operation) if waited else host
        operation.status(f"{vm_name}: waiting for {host.server.name} to be licensed{_by(claim)}, {elapsed:.0f} s")
        operation.deadline.wait(_PAUSE, _TRIED, host.server.where)
        waited = True
        if claim is not None:
            host = read_host_state(host.server, operation)


def _longest(operation: Operation) -> float:
    """Return the seconds to wait while no resource has begun to license the host."""
    return _START if planned(operation.claims) is not None else operation.claims.patience


def _by(claim: Claim | None) -> str:
    return f" by {claim.resource}" if claim is not None else ""
