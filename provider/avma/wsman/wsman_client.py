"""CIM operations on one machine: query, get, invoke. Safe to use from several threads.

Reads are retried if the connection breaks. Method calls are not, because the machine may have acted before the answer
was lost. At most `limit` requests run on the machine in parallel, each over its own connection.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar
from xml.etree.ElementTree import Element

from avma import errors
from avma.connection import Connection
from avma.deadline import Deadline
from avma.wsman import envelope, retry, soap_faults
from avma.wsman.instance import Instance, Origin
from avma.wsman.pipe import Pipe

T = TypeVar("T")

_JOB_STARTED = 4096
"""The `ReturnValue` of methods that continue as a job (DMTF). The caller reads the state."""
_MOST_PAGES = 1000
"""Pages have a quarter of a megabyte, so no machine has this many. An endless listing would fill the memory."""


class _NotAPage(ValueError):
    """The answer contains neither a context for the next page nor the end of the listing."""


@dataclass(frozen=True)
class _Page:
    """The rows in one answer to an Enumerate or a Pull, and the context for the next page, empty after the last one."""

    items: tuple[Element, ...]
    context: str


class WsmanClient:
    """The WMI of one machine."""

    def __init__(self, connection: Connection, limit: int, new_pipe: Callable[[Connection], Pipe]) -> None:
        self.connection = connection
        self._new_pipe = new_pipe
        self._slots = threading.BoundedSemaphore(limit)
        self._idle: list[Pipe] = []
        self._closed = False

    @property
    def where(self) -> str:
        """The machine, as errors name it."""
        return self.connection.where

    def query(self, namespace: str, wql: str, deadline: Deadline, tried: str) -> list[Instance]:
        """Return all instances that a WQL query finds.

        Raises:
            AvmaError: the machine could not be reached, or refused.
        """

        def read(pipe: Pipe) -> list[Instance]:
            return self._rows(pipe, namespace, wql, deadline, tried)

        try:
            return retry.reading(lambda: self._once(read, deadline, tried), deadline, tried, self.where)
        except errors.WsmanFault as error:
            raise soap_faults.of_class(error, namespace, wql) from error

    def query_all(self, namespace: str, queries: Sequence[str], deadline: Deadline, tried: str) -> list[list[Instance]]:
        """Return the results of several WQL queries. Errors are those of `query`."""
        return [self.query(namespace, wql, deadline, tried) for wql in queries]

    def get(self, namespace: str, cim_class: str, keys: Mapping[str, str], deadline: Deadline, tried: str) -> Instance:
        """Return the instance with those key properties.

        Raises:
            AvmaError: the machine could not be reached, or refused, or does not have the instance.
        """
        message = envelope.get(namespace, cim_class, keys)

        def read(pipe: Pipe) -> Instance:
            body = self._ask(pipe, message, deadline, tried)
            return self._instance(body, tried)

        return retry.reading(lambda: self._once(read, deadline, tried), deadline, tried, self.where)

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
            WsmanFault: the method failed, with a fault or with a `ReturnValue` that is not 0.
            AnswerLost: no answer came. The method may have run.
            AvmaError: the machine could not be reached, or refused.
        """
        message = envelope.invoke(namespace, cim_class, method, keys, parameters)
        with self._pipe(deadline, tried) as pipe:
            body = self._ask(pipe, message, deadline, tried)
        output = self._instance(body, tried)
        code = output.integer("ReturnValue") or 0
        if code not in (0, _JOB_STARTED):
            raise soap_faults.returned_error(code, tried, self.where)
        return output

    def ask(self, message: envelope.Message, deadline: Deadline, tried: str, longest: float | None = None) -> Element:
        """Send a message that is not a CIM operation once, and return the body of the answer.

        `longest` limits the operation in seconds. The default is the connection's operation timeout.

        Raises:
            AnswerLost: no answer came. The machine may have acted.
            AvmaError: the machine could not be reached, or refused.
        """
        with self._pipe(deadline, tried) as pipe:
            return self._ask(pipe, message, deadline, tried, longest)

    def close(self) -> None:
        """Close the idle connections, and each of the others after its request."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _rows(self, pipe: Pipe, namespace: str, wql: str, deadline: Deadline, tried: str) -> list[Instance]:
        """Return all rows of a query.

        If a listing announces more rows and then has a page without any, rows may be lost. This function then requests
        the listing again in the other form of WS-Management, whose pages begin elsewhere.
        """
        rows, whole = self._listing(pipe, namespace, envelope.enumerate_query(namespace, wql), deadline, tried)
        if whole:
            return rows
        again = envelope.enumerate_query(namespace, wql, optimized=False)
        same, whole = self._listing(pipe, namespace, again, deadline, tried)
        if (whole and same) or len(same) == len(rows):
            return same
        raise self._unexpected("a page of the listing has no rows", tried)

    def _listing(
        self, pipe: Pipe, namespace: str, message: envelope.Message, deadline: Deadline, tried: str
    ) -> tuple[list[Instance], bool]:
        """Return the rows of an enumeration, and False if some of its pages have rows and some have none."""
        origin = Origin(tried, self.where)
        rows: list[Instance] = []
        gap, context = False, ""
        try:
            for _ in range(_MOST_PAGES):
                page = self._page(pipe, message, deadline, tried)
                rows += [Instance.from_element(item, origin) for item in page.items]
                gap = gap or (bool(context) and not page.items)
                context = page.context
                if not context:
                    return rows, not (gap and rows)
                message = envelope.pull(namespace, context)
            raise self._unexpected(f"the listing has more than {_MOST_PAGES} pages", tried)
        except errors.AvmaError as error:
            if context and (isinstance(error, errors.OperationTimedOut) or not isinstance(error, errors.Unreachable)):
                self._release(pipe, namespace, context)
            raise

    def _page(self, pipe: Pipe, message: envelope.Message, deadline: Deadline, tried: str) -> _Page:
        body = self._ask(pipe, message, deadline, tried)
        try:
            return _page_of(body)
        except _NotAPage as error:
            raise self._unexpected(str(error), tried) from error

    def _release(self, pipe: Pipe, namespace: str, context: str) -> None:
        """Release an unfinished enumeration, because open ones count against the account's quota."""
        with contextlib.suppress(errors.AvmaError):
            pipe.send(self._rendered(envelope.release(namespace, context), 5.0), Deadline(5.0), "end a query")

    def _ask(
        self, pipe: Pipe, message: envelope.Message, deadline: Deadline, tried: str, longest: float | None = None
    ) -> Element:
        allowed = self.connection.operation_timeout if longest is None else longest
        timeout = max(1.0, min(allowed, deadline.remaining()))
        answer = pipe.send(self._rendered(message, timeout), deadline, tried)
        try:
            body = envelope.body_of(answer)
        except envelope.NotSoap as error:
            raise self._unexpected("the answer is not SOAP", tried) from error
        fault = soap_faults.find_fault(body)
        if fault is not None:
            raise soap_faults.to_error(fault, tried, self.where)
        return body

    def _rendered(self, message: envelope.Message, timeout: float) -> bytes:
        return message.render(self.connection.endpoint, timeout)

    def _once(self, read: Callable[[Pipe], T], deadline: Deadline, tried: str) -> T:
        with self._pipe(deadline, tried) as pipe:
            return read(pipe)

    def _instance(self, body: Element, tried: str) -> Instance:
        if len(body) == 0:
            raise self._unexpected("the answer has no body", tried)
        return Instance.from_element(body[0], Origin(tried, self.where))

    def _unexpected(self, answer: str, tried: str) -> errors.UnexpectedAnswer:
        return errors.UnexpectedAnswer(tried, self.where, answer, envelope.CHECK_PORT)

    @contextlib.contextmanager
    def _pipe(self, deadline: Deadline, tried: str) -> Iterator[Pipe]:
        """Lend a pipe. While no slot is free, check the deadline."""
        deadline.until(lambda seconds: self._slots.acquire(timeout=seconds), tried, self.where)
        pipe = self._borrow()
        try:
            yield pipe
        finally:
            self._idle.append(pipe)
            if self._closed:
                self.close()
            self._slots.release()

    def _borrow(self) -> Pipe:
        try:
            return self._idle.pop()
        except IndexError:
            return self._new_pipe(self.connection)


def _page_of(body: Element) -> _Page:
    """Return the page in the Body of an answer.

    An answer ends the sequence or contains a context (WS-Enumeration 3.1 and 3.2).

    Raises:
        _NotAPage: the answer ends too early, so the listing is not known.
    """
    response = next(iter(body), None)
    if response is None:
        raise _NotAPage("the answer has an empty body")
    if envelope.local_name(response) not in ("EnumerateResponse", "PullResponse"):
        raise _NotAPage("the answer is not a page of a listing")
    parts = {envelope.local_name(part): part for part in response}
    items = tuple(parts.get("Items", ()))
    if "EndOfSequence" in parts:
        return _Page(items, "")
    context = _text(parts.get("EnumerationContext"))
    if not context:
        raise _NotAPage("a page of the listing has neither a next page nor an end")
    return _Page(items, context)


def _text(element: Element | None) -> str:
    return "" if element is None else (element.text or "").strip()
