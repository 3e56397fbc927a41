"""The messages of pypsrp, sent through a `Pipe`, and the keys for secrets in them ([MS-PSRP])."""

from __future__ import annotations

import base64
import functools
import logging
import threading
import time
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import rsa
from pypsrp.wsman import OptionSet, SelectorSet, WSMan, WSManAction

from avma import errors, hresult
from avma.connection import Connection
from avma.context import Context
from avma.deadline import Deadline
from avma.wsman import envelope, retry, soap_faults
from avma.wsman.envelope import CHECK_PORT
from avma.wsman.pipe import Pipe

# pypsrp logs every message and every exception.
logging.getLogger("pypsrp").setLevel(logging.CRITICAL)

_PATIENCE = 1.0
"""Seconds. The time limit of one request for output. The pool checks the deadline and the cancellation in between."""
_MARGIN = 10.0
"""Seconds. An answer may arrive this long after the time limit of its operation."""
_LARGEST_OUTPUT = 32_000_000
"""Bytes. The limit for all answers to one script. The scripts of this project write some kilobytes for each guest."""

OPENING = (
    "run `Enable-PSRemoting` on the machine, and check with `Enter-PSSession` from another machine that this "
    "account can connect"
)
"""The remedy for a machine that starts no remote PowerShell."""
_RIGHTS = (
    "use an administrator of the machine or a member of its group Remote Management Users, because scripts need the "
    "right to PowerShell remoting as well as to WMI; run `Enable-PSRemoting` on the machine; check that "
    "`AllowRemoteShellAccess` is true (`winrm get winrm/config/winrs`)"
)
_UNKNOWN_CONFIGURATION = (0x8033803B, 0x80338000)
"""ERROR_WSMAN_INVALID_RESOURCE_URI, ERROR_WSMAN_RESOURCE_NOT_FOUND."""

_FULL = 0x803381E9
"""ERROR_WSMAN_QUOTA_MAX_COMMANDS_PER_SHELL_PPQ: the runspace pool takes no more scripts, but a new pool does."""


def _rights(connection: Connection) -> str:
    name = connection.configuration_name
    if not name:
        return _RIGHTS
    return (
        f"write the session configuration again with `avma jea` for this account, and register it on the machine; "
        f"`(Get-PSSessionConfiguration {name}).Permission` lists the accounts that may use it; check that "
        "`AllowRemoteShellAccess` is true (`winrm get winrm/config/winrs`)"
    )


def _unknown_configuration(context: Context, connection: Connection) -> errors.Refused:
    name, named = connection.configuration_name, connection.setting("configuration_name")
    answer = f"the machine has no session configuration `{name}`"
    remedy = f"write it with `avma jea` and register it on the machine, or correct {named}"
    return context.error(errors.Refused, answer, remedy)


def unexpected(context: Context) -> errors.UnexpectedAnswer:
    """Return the error for an answer that is not from PowerShell."""
    return context.error(errors.UnexpectedAnswer, "the answer is not from PowerShell", CHECK_PORT)


def _can_go_on(error: errors.AvmaError) -> bool:
    """Return True if the session can go on after that error: the machine refused a message for now, unread."""
    is_full = isinstance(error, errors.WsmanFault) and error.code == _FULL
    return retry.did_not_begin(error) and not is_full


class PipedWsman(WSMan):
    """pypsrp's messages, sent through a pipe within the deadline of the current operation."""

    def __init__(self, connection: Connection, pipe: Pipe) -> None:
        super().__init__(connection.address, port=connection.port, ssl=connection.https)
        cast(Any, self.transport).endpoint = connection.endpoint
        self._connection = connection
        self._pipe = pipe
        self._left = _LARGEST_OUTPUT
        self.broken = False
        self.created = False
        self.begin(Context("", connection.where, Deadline(connection.operation_timeout)))

    def begin(self, context: Context) -> None:
        """Set the operation of the next messages."""
        self._context, self._left = context, _LARGEST_OUTPUT

    def wait_after(self, asked: float) -> None:
        """Wait until a request for output, sent at that time, has had its time limit. Some machines answer at once."""
        early = asked + _PATIENCE - time.monotonic()
        if early > 0:
            self._context.wait(early)

    def invoke(
        self,
        action: str,
        resource_uri: str,
        resource: ET.Element | None,
        option_set: OptionSet | None = None,
        selector_set: SelectorSet | None = None,
        timeout: int | None = None,
        *,
        retries_on_read_timeout: int = 0,
    ) -> ET.Element:
        """Send a message and return the envelope of the answer. Called by pypsrp.

        If the machine refuses a message for now, send it again. So a busy moment ends neither the pool nor its script.
        The caller repeats the message to open a pool, because nothing is lost before it.

        Raises:
            AvmaError: there is no answer, or it is a fault.
        """
        attempts = retry.Attempts(self._context, lambda error: action != WSManAction.CREATE and _can_go_on(error))
        while True:
            with attempts:
                return self._exchange(action, resource_uri, resource, option_set, selector_set)

    def _exchange(
        self,
        action: str,
        resource_uri: str,
        resource: ET.Element | None,
        option_set: OptionSet | None,
        selector_set: SelectorSet | None,
    ) -> ET.Element:
        self._context.check()
        longest = _PATIENCE if action == WSManAction.RECEIVE else self._connection.operation_timeout
        longest = round(max(_PATIENCE, min(longest, self._context.deadline.remaining())), 3)
        # pypsrp declares whole seconds, but writes any number.
        _, header = self._create_header(action, resource_uri, option_set, selector_set, cast(int, longest))
        message = ET.Element(f"{{{envelope.SOAP}}}Envelope")
        message.append(header)
        body = ET.SubElement(message, f"{{{envelope.SOAP}}}Body")
        if resource is not None:
            body.append(resource)
        answer = self._send(ET.tostring(message, encoding="utf-8"), longest)
        self.created |= action == WSManAction.CREATE
        root = ET.Element(f"{{{envelope.SOAP}}}Envelope")
        root.append(self._body(answer, action))
        return root

    def _send(self, message: bytes, longest: float) -> bytes:
        # The time limit of the operation also applies, because the deadline can be an hour away.
        allowed = self._context.deadline.part(longest + _MARGIN)
        try:
            answer = self._pipe.send(replace(self._context, deadline=allowed), message)
        except errors.Unreachable:
            self.broken = not self._context.deadline.cancellation.is_set()
            raise
        self._left -= len(answer)
        if self._left < 0:
            text = f"the output is larger than {_LARGEST_OUTPUT // 1_000_000} MB"
            raise self._context.error(errors.UnexpectedAnswer, text, CHECK_PORT)
        return answer

    def _body(self, answer: bytes, action: str) -> ET.Element:
        context = self._context
        try:
            body = envelope.body_of(answer)
        except envelope.NotSoap as cause:
            text = "the answer is not SOAP"
            raise context.error(errors.UnexpectedAnswer, text, CHECK_PORT) from cause
        fault = soap_faults.find_fault(body)
        if fault is None:
            if action == WSManAction.RECEIVE and len(body) == 0:
                # pypsrp would take it for no output yet, and ask again at once, until the deadline
                raise context.error(errors.UnexpectedAnswer, "the answer has an empty body", CHECK_PORT)
            return body
        error = soap_faults.to_error(fault, context)
        if isinstance(error, errors.AccessDenied):
            raise context.error(errors.AccessDenied, error.answer, _rights(self._connection))
        if (
            action == WSManAction.CREATE
            and fault.code in _UNKNOWN_CONFIGURATION
            and self._connection.configuration_name
        ):
            raise _unknown_configuration(context, self._connection)
        if action == WSManAction.CREATE and isinstance(error, errors.WsmanFault) and not hresult.known(error.code):
            raise context.error(type(error), error.answer, f"{error.remedy}; {OPENING}", error.code)
        raise error


_GENERATING = threading.Lock()
_PUBLIC_KEY = bytes.fromhex("06020000 00a40000 52534131 00080000")
"""The start of a public key in [MS-PSRP] 2.2.2.3: a PUBLICKEYBLOB with an RSA key of 2048 bits."""


def key_pair() -> rsa.RSAPrivateKey:
    """Return the key pair of this process. To generate one takes up to 150 ms, as long as a small script.

    A machine encrypts the session key of a pool with the public key. It cannot read the session keys of others.
    """
    with _GENERATING:
        return _generated()


@functools.cache
def _generated() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_key_text(key: rsa.RSAPrivateKey) -> str:
    """Return a public key as [MS-PSRP] sends it, in Base64."""
    numbers = key.public_key().public_numbers()
    blob = _PUBLIC_KEY + numbers.e.to_bytes(4, "little") + numbers.n.to_bytes(256, "little")
    return base64.b64encode(blob).decode()
