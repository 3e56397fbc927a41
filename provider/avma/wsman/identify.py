"""Identify: the request that every account may send to a WS-Management service (DMTF DSP0226 section 11).

An answer proves only that the sign-in worked, because the request needs no rights.
"""

from __future__ import annotations

from dataclasses import dataclass

from avma import errors
from avma.connection import Connection
from avma.context import Context
from avma.deadline import Deadline
from avma.wsman.envelope import CHECK_PORT, SOAP, Message, local_name
from avma.wsman.wsman_client import WsmanClient

IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"


@dataclass(frozen=True)
class Identity:
    """The reported name of a service, such as "Microsoft Corporation" and "OS: 10.0.26100 SP: 0.0 Stack: 3.0"."""

    vendor: str
    version: str


_VENDOR = "Microsoft"


def other_than_windows(connection: Connection, identity: Identity) -> errors.UnexpectedAnswer | None:
    """Return an error if the vendor of the WS-Management service is not Microsoft."""
    if not identity.vendor or identity.vendor.startswith(_VENDOR):
        return None
    answer = f"this is {f'{identity.vendor} {identity.version}'.strip()}, not Windows"
    address, port = connection.setting("address"), connection.setting("port")
    remedy = f"set {address} and {port} to those of WinRM on a Windows machine"
    return errors.UnexpectedAnswer("sign in", connection.where, answer, remedy)


class _Identify(Message):
    """The only message without headers."""

    def render(self, to: str, timeout: float) -> bytes:
        """See `Message.render`."""
        return (
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:wsmid="{IDENTITY}"><s:Header/>'
            "<s:Body><wsmid:Identify/></s:Body></s:Envelope>"
        ).encode()


def identify(cim: WsmanClient, deadline: Deadline) -> Identity:
    """Sign in, and request the identity of the service once.

    Raises:
        AvmaError: there was no connection, the sign-in failed, or another service answered.
    """
    context = Context("sign in", cim.where, deadline)
    body = cim.ask(context, _Identify(f"{IDENTITY}/Identify", ""))
    values = {local_name(part): (part.text or "").strip() for response in body for part in response}
    if "ProtocolVersion" not in values:
        raise context.error(errors.UnexpectedAnswer, "the service did not identify itself", CHECK_PORT)
    return Identity(values.get("ProductVendor", ""), values.get("ProductVersion", ""))
