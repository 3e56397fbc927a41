"""The WS-Management service of one machine: from the bytes of a request to those of an answer.

It sends Identify, Get, Enumerate, Pull, Release and methods to the WMI repository, and shell messages to the remote
shells. It also counts operations.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args
from weakref import WeakSet

from avma import hresult
from avma_simulator import estate, fields
from avma_simulator.shells import remote_shells, shell_faults
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine
from avma_simulator.state.sl_errors import SlError
from avma_simulator.wmi import rights
from avma_simulator.wmi.cim import CimClass, Instance
from avma_simulator.wmi.methods import Arguments, Method
from avma_simulator.wmi.repository import ClassNotFound, MethodNotFound, Repository
from avma_simulator.wsman import instance_xml, soap, wsman_faults
from avma_simulator.wsman.enumeration import Enumerations
from avma_simulator.wsman.xmltree import element

_LOG = logging.getLogger("avma_simulator")
_TRANSFER = soap.NAMESPACES["x"]
_ENUMERATION = soap.NAMESPACES["n"]


_INVALID_METHOD_PARAMETERS = 0x8004102F
_ALL_FILES = "cim_datafile"
"""The class with each file of each disk. Windows needs minutes for a search. Simplified: no search ever ends."""
_HANG = 3600.0
"""Seconds until an answer that hangs ends the connection."""
_GARBAGE = b"<s:Envelope><this is no answer"
Answer = tuple[str, list[ET.Element]]


class AnswerDropped(Exception):
    """The listener must drop the connection without an answer."""


class HttpAnswered(Exception):
    """HTTP must give an answer of its own, such as a status, instead of that of the service."""

    def __init__(self, answer: fields.HttpAnswer) -> None:
        super().__init__(answer)
        self.answer = answer


class _Damaged(Exception):
    """The answer must be damaged on its way."""

    def __init__(self, answer: Answer, damage: fields.Damage) -> None:
        super().__init__(damage)
        self.answer = answer
        self.damage = damage


class _Garbage(Exception):
    """The answer must be invalid XML."""


@dataclass(frozen=True)
class Reply:
    """An answer: the HTTP status, the envelope, and the damage on its way to the client."""

    status: int
    message: bytes
    damage: fields.Damage | None = None


class Service:
    """The service of one machine."""

    def __init__(self, machine: Machine, state: EstateState) -> None:
        self._machine = machine
        self._repository = Repository(machine, state)
        self._enumerations = Enumerations(self._repository, machine.clock)
        self.shells = remote_shells.create(machine, state)
        self._running = 0
        self._methods: set[asyncio.Task[int | None]] = set()
        self._connections: WeakSet[asyncio.Task[Any]] = WeakSet()

    def serve_here(self) -> None:
        """Let `close` also end the current task, which serves a connection. Its answer may hang."""
        task = asyncio.current_task()
        if task is not None:
            self._connections.add(task)

    async def reply(self, message: str | bytes) -> Reply:
        """Answer one message. Errors become the same faults as in Windows.

        Raises:
            AnswerDropped: a fault rule drops the answer.
            HttpAnswered: a fault rule makes HTTP answer instead of the service.
        """
        try:
            request = soap.parse(message)
            self._count(request)
            await self._delay(request)
            with self._counted_operation(request):
                return Reply(200, self._enveloped(request, *await self._answer_or_fail(request)))
        except _Damaged as damaged:
            return Reply(200, self._enveloped(request, *damaged.answer), damaged.damage)
        except wsman_faults.Fault as fault:
            return self._fault(fault, message)
        except _Garbage:
            return Reply(200, _GARBAGE)
        except (AnswerDropped, HttpAnswered):
            raise
        except Exception as error:
            _LOG.error("%s: a request failed with an unexpected error: %s", self._machine.name, type(error).__name__)
            return self._fault(wsman_faults.internal_error(), message)

    async def reply_to_chunks(self, message: str | bytes) -> Reply:
        """Answer a message in chunks. Shells reject it, everything else is as in `reply`."""
        with contextlib.suppress(wsman_faults.Fault):
            request = soap.parse(message)
            if remote_shells.is_shell_request(request):
                return self._fault(shell_faults.chunked(), message)
        return await self.reply(message)

    async def close(self) -> None:
        """Stop all running operations, and the answers that hang."""
        await self.shells.close()
        running = [*self._methods, *self._connections]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _delay(self, request: soap.Request) -> None:
        seconds = self._machine.spec.delays.request
        await asyncio.sleep(min(seconds, request.timeout))
        if seconds > request.timeout:
            raise wsman_faults.timed_out()

    @contextlib.contextmanager
    def _counted_operation(self, request: soap.Request) -> Iterator[None]:
        """Count a running operation against the user's quota. An enumeration runs until its last page."""
        exempt = remote_shells.is_shell_request(request) or request.operation in ("Pull", "Release", "Identify")
        if not exempt and self._running + self._enumerations.open >= self._machine.spec.quotas.operations:
            raise wsman_faults.too_many_operations()
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    async def _answer_or_fail(self, request: soap.Request) -> Answer:
        """Answer a request, or apply the fault rule for its operation."""
        also = remote_shells.second_name(request)
        rule = self._machine.injected_faults.take(_operation_name(request), self._class_name(request), also)
        if rule is None:
            return await self._answer(request)
        if rule.answer == "truncated" or rule.answer == "drip":
            raise _Damaged(await self._answer(request), rule.answer)
        if rule.after and not _times_out_empty(rule, request):
            await self._answer(request)
        if rule.answer == "hang":
            await asyncio.sleep(_HANG)
        if rule.answer == "emptyBody":
            return f"{request.action}Response", []
        if rule.answer == "noRows":
            return f"{request.action}Response", [self._enumerations.without_rows(request)]
        fault = remote_shells.failure(rule, request, self._machine) if remote_shells.is_shell_request(request) else None
        raise fault or _failure(rule)

    async def _answer(self, request: soap.Request) -> Answer:
        if request.action == f"{soap.IDENTITY}/Identify":
            return f"{soap.IDENTITY}/IdentifyResponse", [self._identity(self._machine.windows.release)]
        if remote_shells.is_shell_request(request):
            return await self._shell(request)
        if not self._machine.accepts_management:
            raise wsman_faults.access_denied()
        if self._machine.rights == "shell" and self._machine.grants.groups is None:
            raise wsman_faults.namespace_denied()
        self._require_access(request)
        if request.operation == "Enumerate" and self._class_name(request).lower() == _ALL_FILES:
            await asyncio.sleep(request.timeout)
            raise wsman_faults.timed_out()
        if request.action.startswith(f"{_ENUMERATION}/"):
            return f"{request.action}Response", self._enumerate(request)
        cim_class = self._class(request)
        if request.action == f"{_TRANSFER}/Get":
            return f"{request.action}Response", [instance_xml.instance(self._instance(cim_class, request))]
        return await self._invoke(cim_class, request)

    def _require_access(self, request: soap.Request) -> None:
        """Raise a fault unless the account has access to the namespace and the service behind the class runs."""
        if request.operation in ("Pull", "Release"):
            return
        namespace, _ = instance_xml.class_path(request)
        allowed = rights.access(self._machine, namespace)
        method = not request.action.startswith((f"{_ENUMERATION}/", f"{_TRANSFER}/"))
        denied = allowed == "denied" or (method and allowed != "full")
        if denied and self._repository.has_namespace(namespace):  # nobody needs a right to a missing namespace
            raise wsman_faults.namespace_denied()
        if rights.is_stopped(self._machine, self._class_name(request)):
            raise wsman_faults.provider_failed(rights.SERVICE_NOT_ACTIVE, rights.SERVICE_NOT_ACTIVE_TEXT)

    def _class_name(self, request: soap.Request) -> str:
        """Return the WMI class of a request, or "" without one."""
        if request.action.startswith(f"{_ENUMERATION}/"):
            return self._enumerations.class_of(request)
        try:
            return instance_xml.class_path(request)[1]
        except wsman_faults.Fault:
            return ""

    async def _shell(self, request: soap.Request) -> Answer:
        if not self._machine.grants.remote_power_shell:
            raise shell_faults.not_allowed()
        if not remote_shells.may_use(self._machine, request):
            raise wsman_faults.access_denied()
        return await self.shells.answer(request)

    def _enumerate(self, request: soap.Request) -> list[ET.Element]:
        if request.operation == "Enumerate":
            return [self._enumerations.enumerate(request)]
        if request.operation == "Pull":
            return [self._enumerations.pull(request)]
        if request.operation == "Release":
            self._enumerations.release(request)
            return []
        raise wsman_faults.action_not_supported()

    async def _invoke(self, cim_class: CimClass, request: soap.Request) -> Answer:
        resource, _, name = request.action.rpartition("/")
        if resource.lower() != request.resource.lower():
            raise wsman_faults.action_not_supported()
        try:
            declared, method = self._repository.method(cim_class, name)
        except MethodNotFound:
            raise wsman_faults.action_not_supported() from None
        instance = self._instance(cim_class, request, all_keys=False)
        returned = await self._run(method, instance, _arguments(request, declared), request.timeout)
        return f"{request.action}Response", [instance_xml.output(cim_class, declared, returned)]

    async def _run(self, method: Method, instance: Instance, arguments: Arguments, timeout_seconds: float) -> int:
        """Run a method. After the operation timeout it continues in the background, as in Windows."""
        task = asyncio.ensure_future(_coroutine(method, self._machine, instance, arguments))
        self._methods.add(task)
        task.add_done_callback(self._methods.discard)
        done, _ = await asyncio.wait({task}, timeout=timeout_seconds)
        if not done:
            task.add_done_callback(_forget)
            raise wsman_faults.timed_out()
        try:
            return task.result() or 0
        except SlError as error:
            raise wsman_faults.provider_failed(error.hresult.value, error.hresult.meaning) from None

    def _class(self, request: soap.Request) -> CimClass:
        namespace, name = instance_xml.class_path(request)
        try:
            return self._repository.find_class(namespace, name)
        except ClassNotFound:
            raise wsman_faults.resource_not_found() from None

    def _instance(self, cim_class: CimClass, request: soap.Request, all_keys: bool = True) -> Instance:
        """Return the instance of the selectors.

        Reported by go-wsman and virt-who: a method needs at least one of the keys, and Get needs all of them.
        """
        selectors = {k: v for k, v in request.selectors.items() if k.lower() != instance_xml.NAMESPACE_SELECTOR}
        if not cim_class.has_keys(selectors):
            raise wsman_faults.invalid_selectors()
        if not selectors and not all_keys:
            raise wsman_faults.provider_failed(_INVALID_METHOD_PARAMETERS, "Invalid method Parameter(s)")
        found = [row for row in self._repository.instances(cim_class) if row.matches(selectors, all_keys)]
        if not found:
            keys = ",".join(f'{name}="{value}"' for name, value in selectors.items())
            raise wsman_faults.instance_not_found("GetObject", f"{cim_class.name}.{keys}", "CIMWin32")
        return found[0]

    def identify_to_anyone(self, message: str | bytes) -> Reply:
        """Answer an unauthenticated Identify without a version, and any other message with a fault."""
        try:
            request = soap.parse(message)
            if request.action != f"{soap.IDENTITY}/Identify":
                raise wsman_faults.access_denied()
        except wsman_faults.Fault as fault:
            return self._fault(fault, message)
        self._count(request)
        answer = soap.envelope(
            f"{soap.IDENTITY}/IdentifyResponse", "", [self._identity("0.0.0")], locale=self._language
        )
        return Reply(200, answer)

    def _identity(self, release: str) -> ET.Element:
        children = {
            "ProtocolVersion": soap.NAMESPACES["w"],
            "ProductVendor": "Microsoft Corporation",
            "ProductVersion": f"OS: {release} SP: 0.0 Stack: 3.0",
        }
        elements = (element(f"wsmid:{name}", text) for name, text in children.items())
        return element("wsmid:IdentifyResponse", *elements, xmlns__wsmid=soap.IDENTITY)

    def _count(self, request: soap.Request) -> None:
        # Shells are counted at their creation. Messages to them are not counted.
        if not remote_shells.is_shell_request(request):
            self._machine.counts.count(_operation_name(request))

    def _fault(self, fault: wsman_faults.Fault, message: str | bytes) -> Reply:
        """Answer a message with a fault. Recorded: the fault contains the machine name from the client's URL."""
        message_id, addressed = soap.addressing(message)
        body = [fault.element(addressed or self._machine.computer_name, self._language)]
        return Reply(500, soap.envelope(fault.action, message_id, body, *fault.headers(), locale=self._language))

    def _enveloped(self, request: soap.Request, action: str, body: list[ET.Element]) -> bytes:
        answer = soap.envelope(action, request.message_id, body, locale=self._language)
        if len(answer) > request.envelope_size:
            raise wsman_faults.answer_too_large()
        return answer

    @property
    def _language(self) -> str:
        return self._machine.spec.language


def _failure(rule: estate.FaultRule) -> Exception:
    if rule.hresult is not None:
        return wsman_faults.provider_failed(rule.hresult, hresult.lookup(rule.hresult).meaning, rule.detail)
    answers: dict[str | None, Callable[[], Exception]] = {
        "drop": AnswerDropped,
        "hang": AnswerDropped,
        "garbage": _Garbage,
        "timeout": wsman_faults.timed_out,
        "accessDenied": wsman_faults.access_denied,
        "quota": wsman_faults.too_many_operations,
        **{name: partial(HttpAnswered, name) for name in get_args(fields.HttpAnswer)},
    }
    return answers[rule.answer]()


def _times_out_empty(rule: estate.FaultRule, request: soap.Request) -> bool:
    """Return True for the timeout of a Receive: Windows had no output to lose (MS-WSMV 3.1.4.14)."""
    return rule.answer == "timeout" and request.operation == "Receive" and remote_shells.is_shell_request(request)


def _operation_name(request: soap.Request) -> str:
    if remote_shells.is_shell_request(request):
        return f"Shell/{request.operation}"
    if not request.action.lower().startswith((instance_xml.WMI, instance_xml.DMTF)):
        return request.operation
    return "Invoke {}/{}".format(*request.action.rsplit("/", 2)[-2:])


def _arguments(request: soap.Request, method: str) -> Arguments:
    body = request.body
    if body is None or body.tag.rpartition("}")[2].lower() != f"{method}_input".lower():
        raise wsman_faults.schema_validation()
    values: dict[str, list[str]] = {}
    for child in body:
        values.setdefault(child.tag.rpartition("}")[2], []).append(child.text or "")
    return Arguments(values)


async def _coroutine(method: Method, machine: Machine, instance: Instance, arguments: Arguments) -> int | None:
    return await method(machine, instance, arguments)


def _forget(task: asyncio.Task[int | None]) -> None:
    """Retrieve the exception of an abandoned method, so that asyncio does not log it."""
    if not task.cancelled():
        task.exception()
