"""CIM operations on one machine: query, get, invoke. Safe to use from several threads.

Reads are retried if the connection breaks. Method calls are not, because the machine may have acted before the answer
was lost. At most `limit` requests run on the machine in parallel, each over its own connection.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.deadline import Deadline
from avma.wsman import envelope, retry, soap_faults
from avma.wsman.envelope import CimMethod
from avma.wsman.idle_pipes import IdlePipes
from avma.wsman.instance import Instance
from avma.wsman.pipe import Pipe

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

T = TypeVar("T")

_JOB_STARTED = 4096
"""The `ReturnValue` of methods that continue as a job (DMTF). The caller reads the state."""
_RELEASING = 0.5
"""Seconds. The time limit for ending an unfinished query, also after the deadline and after Cancel."""
_MOST_PAGES = 1000
_LARGEST_LISTING = 128_000_000
"""Bytes. The limit for all pages of one listing. A host of Hyper-V runs at most 1,024 VMs."""
"""Pages have a quarter of a megabyte, so no machine has this many. An endless listing would fill the memory."""


@dataclass(frozen=True)
class _Page:
    """The rows in one answer to an Enumerate or a Pull, and the context for the next page, empty after the last one."""

    items: tuple[Element, ...]
    context: str


class WsmanClient:
    """The WMI of one machine."""

    def __init__(
        self,
        connection: Connection,
        limit: int,
        new_pipe: Callable[[Connection], Pipe],
        idle: IdlePipes | None = None,
    ) -> None:
        self.connection = connection
        self._new_pipe = new_pipe
        self._slots = threading.BoundedSemaphore(limit)
        self._idle = idle or IdlePipes()
        self._closed = False

    @property
    def where(self) -> str:
        """The machine, as errors name it."""
        return self.connection.where

    def query(self, context: Context, namespace: str, wql: str) -> list[Instance]:
        """Return all instances that a WQL query finds.

        Raises:
            AvmaError: the machine could not be reached, or refused.
        """

        attempts = retry.reading(context)
        while True:
            with attempts, soap_faults.naming_missing_class(namespace, wql), self._pipe(context) as pipe:
                return self._rows(pipe, context, namespace, wql)

    def query_all(self, context: Context, namespace: str, queries: Sequence[str]) -> list[list[Instance]]:
        """Return the results of several WQL queries. Errors are those of `query`."""
        return [self.query(context, namespace, wql) for wql in queries]

    def get(self, context: Context, namespace: str, cim_class: str, keys: Mapping[str, str]) -> Instance:
        """Return the instance with those key properties.

        Raises:
            AvmaError: the machine could not be reached, or refused, or does not have the instance.
        """
        message = envelope.get(namespace, cim_class, keys)

        attempts = retry.reading(context)
        while True:
            with attempts:
                return _instance(context, self.ask(context, message))

    def invoke(
        self, context: Context, method: CimMethod, keys: Mapping[str, str], parameters: Mapping[str, str]
    ) -> Instance:
        """Call a method of an instance once and return its output parameters.

        Raises:
            WsmanFault: the method failed, with a fault or with a `ReturnValue` that is not 0.
            AnswerLost: no answer came. The method may have run.
            AvmaError: the machine could not be reached, or refused.
        """
        output = _instance(context, self.ask(context, envelope.invoke(method, keys, parameters)))
        code = output.integer("ReturnValue") or 0
        if code not in (0, _JOB_STARTED):
            raise soap_faults.returned_error(code, method, context)
        return output

    def invoke_then_query(
        self, context: Context, method: CimMethod, keys: Mapping[str, str], parameters: Mapping[str, str], wql: str
    ) -> None:
        """Call a method. See `Wmi.invoke_then_query`: in WS-Management, the query would be a request of its own."""
        self.invoke(context, method, keys, parameters)

    def ask(self, context: Context, message: envelope.Message) -> Element:
        """Send a message once, and return the body of the answer.

        Raises:
            AnswerLost: no answer came. The machine may have acted.
            AvmaError: the machine could not be reached, or refused.
        """
        with self._pipe(context) as pipe:
            return self._ask(pipe, context, message)

    def close(self) -> None:
        """Close the idle connections, and each of the others after its request."""
        self._closed = True
        while (pipe := self._idle.take(self)) is not None:
            pipe.close()

    def _rows(self, pipe: Pipe, context: Context, namespace: str, wql: str) -> list[Instance]:
        """Return all rows of a query.

        If a listing announces more rows and then has a page without any, rows may be lost. This function then requests
        the listing again in the other form of WS-Management, whose pages begin elsewhere.
        """
        rows, whole = self._listing(pipe, context, namespace, envelope.enumerate_query(namespace, wql))
        if whole:
            return rows
        again = envelope.enumerate_query(namespace, wql, optimized=False)
        same, whole = self._listing(pipe, context, namespace, again)
        if (whole and same) or len(same) == len(rows):
            return same
        raise _unexpected(context, "a page of the listing has no rows")

    def _listing(
        self, pipe: Pipe, context: Context, namespace: str, message: envelope.Message
    ) -> tuple[list[Instance], bool]:
        """Return the rows of an enumeration, and False if some of its pages have rows and some have none."""
        rows: list[Instance] = []
        gap, next_page, size = False, "", 0
        try:
            for _ in range(_MOST_PAGES):
                answer = self._send(pipe, context, message)
                size += len(answer)
                if size > _LARGEST_LISTING:
                    raise _unexpected(context, f"the listing is larger than {_LARGEST_LISTING // 1_000_000} MB")
                page = _page_of(context, _body(context, answer))
                rows += [Instance.from_element(item, context) for item in page.items]
                gap = gap or (bool(next_page) and not page.items)
                next_page = page.context
                if not next_page:
                    return rows, not (gap and rows)
                message = envelope.pull(namespace, next_page)
            raise _unexpected(context, f"the listing has more than {_MOST_PAGES} pages")
        except errors.AvmaError as error:
            if next_page and (isinstance(error, errors.OperationTimedOut) or not isinstance(error, errors.Unreachable)):
                self._release(pipe, namespace, next_page)
            raise

    def _release(self, pipe: Pipe, namespace: str, enumeration: str) -> None:
        """Release an unfinished enumeration, because open ones count against the account's quota."""
        context = Context("end a query", self.where, Deadline(_RELEASING))
        with contextlib.suppress(errors.AvmaError):
            pipe.send(context, self._rendered(envelope.release(namespace, enumeration), _RELEASING))

    def _ask(self, pipe: Pipe, context: Context, message: envelope.Message) -> Element:
        return _body(context, self._send(pipe, context, message))

    def _send(self, pipe: Pipe, context: Context, message: envelope.Message) -> bytes:
        timeout = max(1.0, min(self.connection.operation_timeout, context.deadline.remaining()))
        return pipe.send(context, self._rendered(message, timeout))

    def _rendered(self, message: envelope.Message, timeout: float) -> bytes:
        return message.render(self.connection.endpoint, timeout)

    @contextlib.contextmanager
    def _pipe(self, context: Context) -> Iterator[Pipe]:
        """Lend a pipe. While no slot is free, check the deadline."""
        context.acquire(self._slots)
        pipe = self._idle.take(self) or self._new_pipe(self.connection)
        try:
            yield pipe
        finally:
            self._idle.put(self, pipe)
            if self._closed:
                self.close()
            self._slots.release()


def _body(context: Context, answer: bytes) -> Element:
    """Return the Body of an answer. Raise the error of a fault."""
    try:
        body = envelope.body_of(answer)
    except envelope.NotSoap as error:
        raise _unexpected(context, "the answer is not SOAP") from error
    fault = soap_faults.find_fault(body)
    if fault is not None:
        raise soap_faults.to_error(fault, context)
    return body


def _page_of(context: Context, body: Element) -> _Page:
    """Return the page in the Body of an answer.

    An answer ends the sequence or contains a context (WS-Enumeration 3.1 and 3.2).

    Raises:
        UnexpectedAnswer: the answer ends too early, so the listing is not known.
    """
    response = next(iter(body), None)
    if response is None:
        raise _unexpected(context, "the answer has an empty body")
    if envelope.local_name(response) not in ("EnumerateResponse", "PullResponse"):
        raise _unexpected(context, "the answer is not a page of a listing")
    parts = {envelope.local_name(part): part for part in response}
    items = tuple(parts.get("Items", ()))
    if "EndOfSequence" in parts:
        return _Page(items, "")
    next_page = (parts["EnumerationContext"].text or "").strip() if "EnumerationContext" in parts else ""
    if not next_page:
        raise _unexpected(context, "a page of the listing has neither a next page nor an end")
    return _Page(items, next_page)


def _instance(context: Context, body: Element) -> Instance:
    if len(body) == 0:
        raise _unexpected(context, "the answer has no body")
    return Instance.from_element(body[0], context)


def _unexpected(context: Context, answer: str) -> errors.UnexpectedAnswer:
    return context.error(errors.UnexpectedAnswer, answer, envelope.CHECK_PORT)
