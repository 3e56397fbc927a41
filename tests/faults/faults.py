"""The faults: what becomes of one request, and of the machine that receives it.

The in-process form of a fault below the messages raises the error that the connection raises over real sockets. The
tests of the sockets compare both.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests

from avma.wsman import http_answers
from avma.wsman.http_adapter import HttpStatus
from avma.wsman.transports import NotAuthenticated
from avma_simulator.estate import FaultRule
from avma_simulator.state.machine import Guest
from faults.wire import Moment, Request

RETRYABLE, FINAL = 0xC004FD00, 0xC004C003
"""Windows did not begin the operation, and the activation service rejected the key."""
_MARGIN = 10.0
"""Seconds. An answer may arrive this long after the time limit of its operation."""
_BOOT = 20.0
"""Seconds of a restart."""


def _always(_: Request) -> bool:
    return True


@dataclass(frozen=True)
class Fault:
    """One kind of fault.

    Attributes:
        name: its name in the output.
        happen: the fault of a request in a lab.
        rule: the same fault of the simulator, if it has one.
        fits: the requests that can have the fault.
        lasts: whether all later requests can have it too.
        inside: whether operations inside a guest can have it, as the rule.
        repeats: whether the provider may send a change again, because it did not begin.
        changes: whether the machines are in another state afterwards.
    """

    name: str
    happen: Callable[[Moment], bytes]
    rule: FaultRule | None = None
    fits: Callable[[Request], bool] = _always
    lasts: bool = True
    inside: bool = False
    repeats: bool = False
    changes: bool = False


def _rule(operation: str = "Enumerate", **fields: Any) -> FaultRule:
    return FaultRule(operation=operation, **fields)


def _refused(moment: Moment) -> bytes:
    raise moment.error(requests.exceptions.ConnectionError(ConnectionRefusedError()), carried=False)


def _unknown_name(moment: Moment) -> bytes:
    raise moment.error(requests.exceptions.ConnectionError(socket.gaierror()), carried=False, connected=False)


def _bad_certificate(moment: Moment) -> bytes:
    text = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired"
    raise moment.error(requests.exceptions.SSLError(text), carried=False)


def _cut_before(moment: Moment) -> bytes:
    raise moment.broken()


def _cut_after(moment: Moment) -> bytes:
    moment.deliver()
    raise moment.broken()


def _truncated(moment: Moment) -> bytes:
    moment.deliver()
    raise moment.error(requests.exceptions.ChunkedEncodingError("IncompleteRead"), status=200, sealed=True)


def _hang(moment: Moment) -> bytes:
    """Wait for the answer as long as the connection does."""
    limit = moment.connection.operation_timeout + _MARGIN
    moment.lab.pauses.wait(min(limit, moment.context.deadline.remaining() + 1))
    raise moment.error(requests.exceptions.ReadTimeout())


def _drip(moment: Moment) -> bytes:
    moment.deliver()
    return _hang(moment)


def _unauthorized(moment: Moment) -> bytes:
    """Reject the message, also after a second sign-in. Over http, the sign-in itself succeeds before the message."""
    if not moment.connection.https:
        raise http_answers.session_lost(moment.exchange(status=401, turned_away=True))
    raise moment.error(NotAuthenticated(), status=401, carried=False, accepted=False, offered="Negotiate")


def _proxy(moment: Moment) -> bytes:
    raise moment.error(HttpStatus(407), status=407)


def _server_error(moment: Moment) -> bytes:
    raise moment.error(HttpStatus(500), status=500, empty=True)


def _busy(moment: Moment) -> bytes:
    raise moment.error(HttpStatus(503), status=503, from_windows=True)


def _html(moment: Moment) -> bytes:
    raise http_answers.foreign(moment.exchange(status=200, foreign_type="text/html"))


def _flipped(moment: Moment) -> bytes:
    moment.deliver()
    raise http_answers.changed(moment.exchange(status=200, sealed=True))


def _answered(rule: FaultRule) -> Callable[[Moment], bytes]:
    """Return a fault that the machine's own service has."""
    return lambda moment: moment.deliver(rule)


def _reboot(moment: Moment) -> bytes:
    moment.lab.restart(moment.machine, _BOOT)
    raise moment.broken()


def _fail_over(moment: Moment) -> bytes:
    """Move the VMs of a host, and the name of a cluster, to another machine before it answers."""
    state, host = moment.lab.state, moment.machine
    cluster = state.cluster_of(host)
    others = [one for one in (cluster.nodes if cluster else state.hosts) if one is not host]
    for guest in state.guests_of(host) if others else []:
        guest.move(others[-1])
    if cluster is not None:
        moment.lab.restart(host, _BOOT)
    return moment.deliver()


def _guests_reboot(moment: Moment) -> bytes:
    host = moment.machine.host if isinstance(moment.machine, Guest) else moment.machine
    for guest in moment.lab.state.guests_of(host):
        moment.lab.restart(guest, _BOOT)
    return moment.deliver()


def _broken_pool(moment: Moment) -> bytes:
    moment.lab.end_shells(moment.machine)
    return moment.deliver()


def _is_listing(request: Request) -> bool:
    return request.operation.startswith(("Enumerate ", "Pull", "in the guest: Enumerate"))


def _is_in_shell(request: Request) -> bool:
    return request.operation.endswith("Microsoft.PowerShell") and not request.operation.startswith("Create")


def _answers(name: str, rule: FaultRule, fits: Callable[[Request], bool] = _always, repeats: bool = False) -> Fault:
    return Fault(name, _answered(rule), rule, fits, inside=True, repeats=repeats)


REFUSED = Fault("refused", _refused)
FLIPPED = Fault("flipped byte", _flipped)
FAULTS = (
    REFUSED,
    Fault("unknown name", _unknown_name),
    Fault("expired certificate", _bad_certificate),
    Fault("cut before", _cut_before, _rule(answer="drop"), inside=True),
    Fault("cut after", _cut_after, _rule(answer="drop", after=True), inside=True),
    Fault("truncated", _truncated, _rule(answer="truncated")),
    Fault("hang", _hang, _rule(answer="hang")),
    Fault("drip", _drip, _rule(answer="drip")),
    Fault("401", _unauthorized, _rule(answer="unauthorized")),
    Fault("407", _proxy, _rule(answer="proxy")),
    Fault("500", _server_error, _rule(answer="serverError")),
    Fault("503", _busy, _rule(answer="unavailable"), repeats=True),
    Fault("HTML", _html, _rule(answer="html")),
    FLIPPED,
    _answers("garbage", _rule(answer="garbage", after=True)),
    _answers("empty body", _rule(answer="emptyBody", after=True)),
    _answers("no rows", _rule(answer="noRows"), _is_listing),
    _answers("quota", _rule(answer="quota"), repeats=True),
    _answers("access denied", _rule(answer="accessDenied")),
    _answers("time limit", _rule(answer="timeout", after=True)),
    _answers("retryable HRESULT", _rule(hresult=RETRYABLE), repeats=True),
    _answers("final HRESULT", _rule(hresult=FINAL)),
    Fault("reboot", _reboot, lasts=False, changes=True),
    Fault("failover", _fail_over, lasts=False, changes=True),
    Fault("guest reboot", _guests_reboot, lasts=False, changes=True),
    Fault("broken pool", _broken_pool, None, _is_in_shell, lasts=False),
)
