"""The question that every account may ask a WS-Management service: what it is (Identify, DMTF DSP0226 section 11).

An answer proves the logon and nothing more: no right is needed for it.
"""

from __future__ import annotations

from dataclasses import dataclass

from avma import errors
from avma.deadline import Deadline
from avma.wsman.cim import Cim
from avma.wsman.envelope import CHECK_PORT, SOAP, Message, local_name

IDENTITY = "http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"


@dataclass(frozen=True)
class Identity:
    """What a service says that it is, such as "Microsoft Corporation" and "OS: 10.0.26100 SP: 0.0 Stack: 3.0"."""

    vendor: str
    version: str


class _Identify(Message):
    """The one message without headers."""

    def render(self, to: str, timeout: float) -> bytes:
        """See `Message.render`."""
        return (
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:wsmid="{IDENTITY}"><s:Header/>'
            "<s:Body><wsmid:Identify/></s:Body></s:Envelope>"
        ).encode()


def identify(cim: Cim, deadline: Deadline) -> Identity:
    """Log on, and ask the service once what it is.

    Raises:
        AvmaError: there is no way to the machine, the logon was refused, or another service answers there.
    """
    tried = "sign in"
    body = cim.ask(_Identify(f"{IDENTITY}/Identify", ""), deadline, tried)
    values = {local_name(part): (part.text or "").strip() for response in body for part in response}
    if "ProtocolVersion" not in values:
        raise errors.UnexpectedAnswer(tried, cim.where, "a service that does not say what it is", CHECK_PORT)
    return Identity(values.get("ProductVendor", ""), values.get("ProductVersion", ""))
