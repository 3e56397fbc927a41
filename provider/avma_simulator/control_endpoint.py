"""The control commands as JSON over HTTP, for tests and demonstrations in other processes.

The endpoint listens on a loopback address only and rejects requests from web pages.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from aiohttp import web

from avma_simulator.control import BadCommand, Control
from avma_simulator.state.estate_state import UnknownMachine
from avma_simulator.state.sl_errors import SlError

_T = TypeVar("_T")
Command = Callable[[Control, str, Mapping[str, Any]], Awaitable[None]]

_COMMANDS: dict[str, Command] = {
    "install-key": lambda control, name, body: control.install_key(name, _field(body, "key", str)),
    "uninstall-key": lambda control, name, body: control.uninstall_key(name),
    "set-license": lambda control, name, body: control.set_license(
        name, _field(body, "status", str), _field(body, "reason", int) if "reason" in body else None
    ),
    "power": lambda control, name, body: control.power(name, _field(body, "state", str)),
    "reboot": lambda control, name, body: control.reboot(name),
    "online": lambda control, name, body: control.online(name, _field(body, "online", bool)),
    "subscription": lambda control, name, body: control.subscription(name, _field(body, "enabled", bool)),
    "setup": lambda control, name, body: control.setup(name, _number(body, "seconds")),
    "data-exchange": lambda control, name, body: control.data_exchange(name, _field(body, "enabled", bool)),
    "data-exchange-items": lambda control, name, body: control.data_exchange_items(name, _texts(body, "items")),
    "rights": lambda control, name, body: control.rights(name, _field(body, "rights", str)),
    "grant": lambda control, name, body: control.grant(name, dict(body)),
    "service": lambda control, name, body: control.service(
        name, _field(body, "service", str), _field(body, "running", bool)
    ),
    "rename": lambda control, name, body: control.rename(name, _field(body, "name", str)),
    "move": lambda control, name, body: control.move(name, _field(body, "host", str)),
    "fail-over": lambda control, name, body: control.fail_over(name),
    "faults": lambda control, name, body: control.faults(name, _field(body, "faults", list)),
    "drop-connections": lambda control, name, body: control.drop_connections(name),
    "close-shells": lambda control, name, body: control.close_shells(name),
}
_KINDS = {str: "text", int: "a whole number", bool: "true or false", list: "a list"}
_STATUS = {UnknownMachine: 404, BadCommand: 400, SlError: 409}


class ControlEndpoint:
    """The HTTP handler of control requests."""

    def __init__(self, control: Control) -> None:
        self._control = control

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request."""
        # Browsers send the page of a request as Origin. No web page may read or change an estate.
        if "Origin" in request.headers:
            return _error(403, "web pages are not allowed to use the control endpoint")
        try:
            found = await self._answer(request, *request.path.strip("/").split("/"))
        except (UnknownMachine, BadCommand, SlError) as error:
            return _error(_STATUS[type(error)], str(error))
        except Exception as error:
            return _error(500, f"the command failed with an unexpected error: {type(error).__name__}")
        return web.json_response(found)

    async def _answer(self, request: web.BaseRequest, *path: str) -> Any:
        match (request.method, *path):
            case ("GET", "machines"):
                return await self._control.machines()
            case ("GET", "machines", name):
                return await self._control.machine(name)
            case ("GET", "machines", name, "faults"):
                return await self._control.present_faults(name)
            case ("GET", "machines", name, "script-blocks"):
                return await self._control.script_blocks(name)
            case ("GET", "machines", name, "module-log"):
                return await self._control.module_log(name)
            case ("GET", "machines", name, "confirmation-id"):
                return await self._control.confirmation_id(name)
            case ("POST", "machines", name, "vms"):
                return await self._control.create(name, dict(await _body(request)))
            case ("DELETE", "machines", name):
                await self._control.delete(name)
            case ("GET", "clock"):
                return await self._control.clock()
            case ("POST", "clock"):
                await self._control.advance_clock(_number(await _body(request), "advance"))
                return await self._control.clock()
            case ("POST", "kms"):
                await self._control.kms(_field(await _body(request), "available", bool))
            case ("GET", "clusters"):
                return await self._control.clusters()
            case ("POST", "clusters", name, "nodes"):
                body = await _body(request)
                if len(body) != 1:
                    raise BadCommand("the body must contain exactly one of add, remove, pause, join or resume")
                (change,) = body
                await self._control.change_nodes(name, change, _field(body, change, str))
            case ("GET", "counts"):
                return await self._control.counts()
            case ("GET", "sign-ins"):
                return await self._control.failed_sign_ins()
            case ("GET", "keys"):
                return await self._control.keys()
            case ("POST", "counts", "reset"):
                await self._control.reset_counts()
            case ("POST", "machines", name, command) if command in _COMMANDS:
                await _COMMANDS[command](self._control, name, await _body(request))
                return await self._control.machine(name)
            case _:
                raise BadCommand(f"{request.method} {request.path} is not a command")
        return {}


async def _body(request: web.BaseRequest) -> Mapping[str, Any]:
    if not await request.read():
        return {}
    try:
        body = await request.json()
    except ValueError:
        raise BadCommand("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadCommand("the body is not a JSON object")
    return body


def _field(body: Mapping[str, Any], name: str, kind: type[_T]) -> _T:
    value = body.get(name)
    if not isinstance(value, kind):
        raise BadCommand(f"`{name}` must be {_KINDS[kind]}")
    return value


def _texts(body: Mapping[str, Any], name: str) -> list[str] | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise BadCommand(f"`{name}` must be a list of texts")
    return value


def _number(body: Mapping[str, Any], name: str) -> float:
    value = body.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadCommand(f"`{name}` must be a number")
    return float(value)


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)
