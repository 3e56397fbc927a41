"""An operation that has ended leaves its sender behind. The sender can send nothing more.

The sender stops at a moment of a test, and continues only after its operation has ended. It must neither open a
connection nor send a message. Otherwise, a message could go to the machine after the error says that none did.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from urllib3.connection import HTTPConnection

from avma.cancellation import Cancellation
from avma.deadline import SENDER, RunIsOver
from avma.wsman.http_adapter import Adapter, adapt
from waiting import PATIENCE, wait_until

SHORT = 0.3
MESSAGE = b"<a/>"


class _Answering(BaseHTTPRequestHandler):
    """A service that keeps its connections open, and counts the messages."""

    protocol_version = "HTTP/1.1"
    received = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        type(self).received += 1
        self.send_response(requests.codes.ok)
        self.send_header("Content-Type", "application/soap+xml")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


@dataclass
class Sender:
    """A sender of messages that can stop at a moment until its operation has ended."""

    service: type[_Answering]
    url: str
    adapter: Adapter = field(default_factory=lambda: Adapter(None))
    cancellation: Cancellation = field(default_factory=Cancellation)
    stopped: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.session = requests.Session()
        adapt(self.session, self.adapter, insecure=False)

    def send(self) -> None:
        """Send a message."""
        self.session.post(self.url, data=MESSAGE)

    def stop(self) -> None:
        """Stop until the operation has ended. Called by the sender's thread."""
        if threading.current_thread().name == SENDER and not self.stopped.is_set():
            self.stopped.set()
            self.over.wait(PATIENCE)

    def run(self, call: Callable[[], None], ends: type[Exception]) -> None:
        """Run a call whose operation ends while it has stopped. Return once its thread has ended."""
        if ends is RunIsOver:
            threading.Thread(target=self._cancel).start()
        with pytest.raises(ends):
            self.adapter.run(call, PATIENCE if ends is RunIsOver else SHORT, self.cancellation)
        assert self.stopped.is_set()
        self.over.set()
        wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == SENDER])

    def _cancel(self) -> None:
        self.stopped.wait(PATIENCE)
        self.cancellation.set()


@pytest.fixture
def sender() -> Iterator[Sender]:
    """Return a sender with an open connection, over which one message has gone."""
    service: type[_Answering] = type("Answering", (_Answering,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), service) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        found = Sender(service, f"http://127.0.0.1:{server.server_address[1]}/wsman")
        found.adapter.run(found.send, PATIENCE, found.cancellation)
        assert service.received == found.adapter.connects == 1
        yield found
        found.session.close()
        server.shutdown()


ENDS = pytest.mark.parametrize("ends", [RunIsOver, requests.RequestException], ids=["canceled", "late"])


def require_nothing_sent(sender: Sender) -> None:
    """Require that the message neither went to the machine nor counts as one that did."""
    assert sender.service.received == 1
    assert sender.adapter.connects == 1
    assert not sender.adapter.carried


@ENDS
def test_a_message_that_the_sender_still_prepares_is_not_sent(sender, ends):
    def prepare_and_send() -> None:
        sender.stop()
        sender.send()

    sender.run(prepare_and_send, ends)
    require_nothing_sent(sender)


@ENDS
def test_a_message_that_is_about_to_go_over_an_open_connection_is_not_sent(sender, ends, monkeypatch):
    plain = HTTPConnection.putrequest

    def putrequest(connection: HTTPConnection, *arguments: Any, **keywords: Any) -> None:
        sender.stop()
        plain(connection, *arguments, **keywords)

    monkeypatch.setattr(HTTPConnection, "putrequest", putrequest)
    sender.run(sender.send, ends)
    require_nothing_sent(sender)


@ENDS
def test_a_message_whose_connection_opens_too_late_is_not_sent(sender, ends, monkeypatch):
    plain = HTTPConnection.connect
    sender.session.close()

    def connect(connection: HTTPConnection) -> None:
        sender.stop()
        plain(connection)

    monkeypatch.setattr(HTTPConnection, "connect", connect)
    sender.run(sender.send, ends)
    assert sender.service.received == 1
    assert not sender.adapter.carried
