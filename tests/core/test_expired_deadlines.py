"""Expired deadlines: `AnswerLost` is only for a sent message, because the machine may act on it."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from avma import errors
from avma.configuration import Configuration
from avma.connection import resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.settings import Auth
from avma.wsman.winrm_pipe import WinrmPipe
from core.middlebox import between
from core.runner import ADMINISTRATOR, HV01, PASSWORD
from core.silence import accepting, not_accepting
from waiting import PATIENCE

HOUR = "1h"
SHORT, LONGER = 0.5, 2.0
"""Seconds until the deadline. The longer time is enough to send all requests."""
MESSAGE = b"<a/>"


def pipe(address: str, port: int, auth: Auth, https: bool = False) -> WinrmPipe:
    """Return a pipe to a machine. Only the deadline of a message limits its time."""
    given = Configuration(username=ADMINISTRATOR, password=PASSWORD, port=port, auth=auth, https=https, insecure=https)
    return WinrmPipe(resolve(address, replace(given, connect_timeout=HOUR, operation_timeout=HOUR)))


def error_of(opened: WinrmPipe, seconds: float) -> errors.AvmaError:
    """Send a message whose deadline expires, and return its error."""
    with pytest.raises(errors.AvmaError) as caught:
        opened.send(Context("install the product key", "hv01", Deadline(seconds)), MESSAGE)
    return caught.value


@contextmanager
def withholding(answer: int | None) -> Iterator[tuple[int, threading.Event]]:
    """Yield the port of hv01, where an answer gets lost, and an event for it. None is the answer to the message."""
    count, withheld, over = 0, threading.Event(), threading.Event()

    def withhold(request: bytes, answered: bytes) -> bytes:
        nonlocal count
        count += 1
        is_message = not re.search(rb"(?i)content-length: *0\r", request)
        if is_message if answer is None else count == answer:
            assert not is_message or answer is None
            withheld.set()
            over.wait(PATIENCE)
        return answered

    with between("127.0.0.1", (HV01, 5985), withhold) as port:
        try:
            yield port, withheld
        finally:
            over.set()


@pytest.mark.parametrize("silent", [accepting, not_accepting])
@pytest.mark.parametrize(
    ("auth", "https"),
    [(Auth.NTLM, False), (Auth.NEGOTIATE, False), (Auth.CREDSSP, False), (Auth.NTLM, True), (Auth.BASIC, True)],
)
def test_a_machine_that_is_silent_from_the_beginning_is_unreachable(silent, auth, https):
    with silent() as server, closing(pipe("127.0.0.1", server.getsockname()[1], auth, https)) as opened:
        assert type(error_of(opened, SHORT)) is errors.Unreachable


def test_the_error_names_the_limit_that_ended_the_attempt():
    with not_accepting() as server, closing(pipe("127.0.0.1", server.getsockname()[1], Auth.NTLM)) as opened:
        assert error_of(opened, SHORT).answer == "no connection before the time limit of 0.5 s expired"


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
@pytest.mark.parametrize("answer", [1, 2, 3])
def test_a_machine_that_becomes_silent_during_the_sign_in_is_unreachable(estate, auth, answer):
    with withholding(answer) as (port, withheld), closing(pipe("127.0.0.1", port, auth)) as opened:
        error = error_of(opened, LONGER)
    assert withheld.is_set()
    assert type(error) is errors.Unreachable
    assert "did not answer the sign-in in time" in error.answer


@pytest.mark.parametrize("auth", [Auth.NTLM, Auth.NEGOTIATE])
def test_the_answer_of_a_machine_that_becomes_silent_after_the_message_is_lost(estate, auth):
    with withholding(None) as (port, withheld), closing(pipe("127.0.0.1", port, auth)) as opened:
        error = error_of(opened, LONGER)
    assert withheld.is_set()
    assert type(error) is errors.AnswerLost


def test_a_machine_to_which_a_second_connection_does_not_open_is_unreachable(estate, monkeypatch):
    """The message before had an answer, so the connection existed. The next message was not sent."""
    connecting, over = threading.Event(), threading.Event()

    def silent(*_arguments: object, **_keywords: object) -> socket.socket:
        connecting.set()
        over.wait(PATIENCE)
        raise TimeoutError

    with closing(pipe(HV01, 5985, Auth.NTLM)) as opened:
        opened.send(Context("read", "hv01", Deadline(PATIENCE)), MESSAGE)
        estate.drop_connections("hv01")
        monkeypatch.setattr("urllib3.util.connection.create_connection", silent)
        error = error_of(opened, SHORT)
        over.set()
    assert connecting.is_set()
    assert type(error) is errors.Unreachable
