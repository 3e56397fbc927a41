"""Errors for HTTP answers that do not come from WinRM, or that came before WinRM began to work.

Source of the 503: technet "503-Service Unavailable" (cc781893). http.sys returns it before a request reaches a service.
"""

from __future__ import annotations

from avma import errors
from avma.connection import Connection
from avma.wording import RUN_AGAIN
from avma.wsman.envelope import CHECK_PORT
from avma.wsman.http_adapter import Adapter
from avma.wsman.transports import HttpExchange

_GATEWAY = "connect to the machine directly, without the proxy or load balancer in between"
_BAD_REQUEST, _FORBIDDEN, _NOT_FOUND, _PROXY_SIGN_IN = 400, 403, 404, 407
_SERVER_ERROR, _BAD_GATEWAY, _UNAVAILABLE, _GATEWAY_TIMEOUT = 500, 502, 503, 504
_REASONS = {
    _FORBIDDEN: ("the service forbids the request", f"{CHECK_PORT}, and that there is no proxy in between"),
    _NOT_FOUND: ("the service has no WinRM at /wsman", CHECK_PORT),
    _PROXY_SIGN_IN: ("a proxy in between requires a sign-in, and the provider does not support proxies", _GATEWAY),
    _BAD_GATEWAY: ("a proxy or load balancer in between could not reach the machine", _GATEWAY),
    _GATEWAY_TIMEOUT: ("a proxy or load balancer in between received no answer from the machine", _GATEWAY),
}


def status_error(status: int, exchange: HttpExchange) -> errors.AvmaError:
    """Return the error for an HTTP status without a SOAP message."""
    if status == _UNAVAILABLE:
        return _unavailable(exchange)
    if status // 100 == 3:
        answer = f"the service returned a redirect (HTTP {status})"
        return exchange.context.error(errors.Unreachable, answer, CHECK_PORT)
    answer, remedy = f"the service returned HTTP {status} instead of a WinRM answer", CHECK_PORT
    if status in _REASONS:
        reason, remedy = _REASONS[status]
        answer = f"{answer}: {reason}"
    return exchange.context.error(_kind(status, exchange.adapter), answer, remedy)


def foreign(exchange: HttpExchange) -> errors.UnexpectedAnswer:
    """Return the error for an answer of a type that WinRM never sends, such as a login page."""
    adapter = exchange.adapter
    answer = f"the service returned {adapter.foreign_type} (HTTP {adapter.status}), which WinRM never sends"
    remedy = f"{CHECK_PORT}, not to another web service or the login page of a proxy"
    return exchange.context.error(errors.UnexpectedAnswer, answer, remedy)


def unsealed(exchange: HttpExchange) -> errors.AnswerLost:
    """Return the error for an unencrypted answer to an encrypted message. Anyone on the way may have written it."""
    answer = "the answer is not encrypted, although the message was"
    return exchange.context.error(errors.AnswerLost, answer, _inspect(exchange.connection))


def changed(exchange: HttpExchange) -> errors.AnswerLost:
    """Return the error for an encrypted answer that cannot be decrypted."""
    answer = "the answer was changed in transit and cannot be decrypted"
    return exchange.context.error(errors.AnswerLost, answer, _inspect(exchange.connection))


def session_lost(exchange: HttpExchange) -> errors.Unreachable:
    """Return the error for a session that the machine first accepted, and then did not recognize."""
    answer = f"the machine accepted the sign-in but then did not recognize the session (HTTP {exchange.adapter.status})"
    remedy = (
        "connect to the machine directly, because a load balancer or proxy can distribute one session over several "
        f"machines; if there is none, check that the machine is not restarting, then {RUN_AGAIN}"
    )
    return exchange.context.error(errors.Unreachable, answer, remedy)


def unreadable(exchange: HttpExchange) -> errors.UnexpectedAnswer:
    """Return the error for an answer that no library could read."""
    what = "to the sign-in " if not exchange.adapter.carried else ""
    status = f" (HTTP {exchange.adapter.status})" if exchange.adapter.status else ""
    answer = f"the answer {what}is not from WinRM{status}"
    return exchange.context.error(errors.UnexpectedAnswer, answer, CHECK_PORT)


def not_http(exchange: HttpExchange) -> errors.AvmaError:
    """Return the error for an answer that is not HTTP."""
    if exchange.adapter.accepted:
        answer = "the answer was changed in transit and is not HTTP"
        return exchange.context.error(errors.AnswerLost, answer, _inspect(exchange.connection))
    return exchange.context.error(errors.UnexpectedAnswer, "the answer is not HTTP", CHECK_PORT)


def _unavailable(exchange: HttpExchange) -> errors.AvmaError:
    if exchange.adapter.from_windows or not exchange.adapter.carried:
        answer = "the machine does not accept WinRM requests now (HTTP 503)"
        remedy = (
            f"wait, then {RUN_AGAIN}; if the error persists, check that the WinRM service is running and not overloaded"
        )
        return exchange.context.error(errors.ServiceBusy, answer, remedy)
    answer = "a proxy or load balancer in between returned HTTP 503 instead of a WinRM answer"
    return exchange.context.error(errors.AnswerLost, answer, _GATEWAY)


def _kind(status: int, adapter: Adapter) -> type[errors.AvmaError]:
    """Return the class of the error. After a server error or an unread message, the machine may have acted."""
    if status >= _SERVER_ERROR or status == _BAD_REQUEST:
        if adapter.carried:
            return errors.AnswerLost
        return errors.Unreachable if status > _SERVER_ERROR else errors.UnexpectedAnswer
    return errors.UnexpectedAnswer


def _inspect(connection: Connection) -> str:
    return f"remove the proxy that changes messages in transit, or set {connection.setting('https', True)}"
