"""One WinRM listener over HTTP: authentication, message encryption, limits, and the call of the machine's service."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

from aiohttp import web

from avma_simulator import fields
from avma_simulator.state.machine import Machine
from avma_simulator.winrm import message_encryption
from avma_simulator.winrm.authentication import Authenticator, Connection
from avma_simulator.winrm.damaged_responses import response_of
from avma_simulator.winrm.wsman_service import AnswerDropped, HttpAnswered, Reply, Service
from avma_simulator.wsman.soap import decoded

_PATH = "/wsman"
_SOAP = "application/soap+xml;charset=UTF-8"
_LARGEST_MESSAGE = 512000
_Answer = Callable[[str | bytes], Awaitable[Reply]]
_LOG = logging.getLogger("avma_simulator")


class Endpoint:
    """The HTTP handler of one listener of a machine."""

    def __init__(self, machine: Machine, service: Service, authenticator: Authenticator) -> None:
        self._machine = machine
        self._service = service
        self._authenticator = authenticator
        self._tls = authenticator.bindings is not None
        self._connections: WeakKeyDictionary[asyncio.BaseTransport, Connection] = WeakKeyDictionary()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        self._service.serve_here()
        response = await self._guarded(request)
        response.headers["Server"] = "Microsoft-HTTPAPI/2.0"
        return response

    async def _guarded(self, request: web.BaseRequest) -> web.Response:
        if self._machine.active_requests >= self._machine.spec.quotas.connections:
            # Inferred (too-many-connections-are-503): the status of a service with too many active requests.
            return _unavailable()
        self._machine.active_requests += 1
        try:
            return await self._answer(request)
        except web.HTTPRequestEntityTooLarge:
            return _empty(413)
        except (ConnectionError, ssl.SSLError, web.RequestPayloadError):
            return _empty(400)  # The client disconnected, or its body does not match its headers.
        except HttpAnswered as instead:
            return self._instead(instead.answer)
        except AnswerDropped:
            if request.transport is not None:
                request.transport.abort()
            return _empty(500)
        except Exception as error:
            _LOG.error("%s: a request failed with an unexpected error: %s", self._machine.name, type(error).__name__)
            return _empty(500)
        finally:
            self._machine.active_requests -= 1

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        counts = self._machine.counts
        counts.requests += 1
        connection = self._connection(request)
        if request.path != _PATH:
            return _empty(404)
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"})
        body = await request.read()
        if request.headers.get("WSMANIDENTIFY", "").lower() == "unauthenticated":
            return self._message(self._service.identify_to_anyone(decoded(body, _content_type(request))))
        outcome = self._authenticator.authenticate(connection, request.headers.get("Authorization", ""))
        if not body or not outcome.accepted:
            counts.handshakes += 1
        if not outcome.accepted:
            return self._unauthorised(outcome.token)
        if outcome.method:
            counts.logons[outcome.method] += 1
        response = await self._read(connection, request, body)
        if outcome.token:
            response.headers["WWW-Authenticate"] = outcome.token
        return response

    async def _read(self, connection: Connection, request: web.BaseRequest, body: bytes) -> web.Response:
        if not body:
            return _empty(200)
        chunked = request.headers.get("Transfer-Encoding", "").lower() == "chunked"
        answer = self._service.reply_to_chunks if chunked else self._service.reply
        if not message_encryption.is_encrypted(_content_type(request)):
            # Unencrypted messages require TLS, as AllowUnencrypted is false.
            return await self._plain(answer, body, _content_type(request)) if self._tls else _empty(500)
        context = connection.context
        if context is None:
            return _empty(400)
        try:
            message = message_encryption.decrypt(context, body)
        except message_encryption.CannotDecrypt:
            return _empty(400)
        if len(message) > _LARGEST_MESSAGE:
            return _empty(413)
        reply = await answer(decoded(message, message_encryption.original_type(body)))
        content_type, encrypted = message_encryption.encrypt(context, connection.scheme, reply.message)
        return response_of(reply, encrypted, content_type)

    async def _plain(self, answer: _Answer, body: bytes, content_type: str) -> web.Response:
        if len(body) > _LARGEST_MESSAGE:
            return _empty(413)
        return self._message(await answer(decoded(body, content_type)))

    def _message(self, reply: Reply) -> web.Response:
        return response_of(reply, reply.message, _SOAP)

    def _instead(self, answer: fields.HttpAnswer) -> web.Response:
        """Return an answer of HTTP itself, or of a proxy on the way."""
        if answer == "unavailable":
            return _unavailable()
        if answer == "unauthorized":
            return self._unauthorised("")
        if answer == "html":
            return web.Response(text="<html><body>Sign in</body></html>", content_type="text/html")
        if answer == "proxy":
            return web.Response(status=407, headers={"Proxy-Authenticate": "Basic realm=proxy"})
        return _empty(500)

    def _unauthorised(self, token: str) -> web.Response:
        response = _empty(401)
        for offer in [token] if token else self._authenticator.offers:
            response.headers.add("WWW-Authenticate", offer)
        return response

    def _connection(self, request: web.BaseRequest) -> Connection:
        transport = request.transport
        if transport is None:
            return Connection()
        if transport not in self._connections:
            self._connections[transport] = Connection(certified=bool(transport.get_extra_info("peercert")))
            self._machine.counts.connections += 1
        return self._connections[transport]


def _content_type(request: web.BaseRequest) -> str:
    return request.headers.get("Content-Type", "")


def _empty(status: int) -> web.Response:
    return web.Response(status=status, body=b"")


def _unavailable() -> web.Response:
    """Return the 503 of http.sys itself (technet cc781893, "503-Service Unavailable")."""
    return web.Response(status=503, text="Service Unavailable", content_type="text/html")
