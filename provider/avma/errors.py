"""The errors of the core. Each says what was tried, where, what came back and what to do next.

::

    AvmaError
    ├── InvalidInput              no machine needs to be asked to see that it cannot work
    ├── Unreachable               no conversation: name, port, silence, a connection that broke
    │   ├── AnswerLost                the request was sent and no answer came: the machine may have acted
    │   │   └── OperationTimedOut         ... and the machine itself said that it takes longer than a request may
    │   ├── ServiceBusy               HTTP 503: the machine takes no requests now, and has not begun this one
    │   └── CertificateNotTrusted     TLS: unknown issuer, wrong name, expired
    ├── LogonRefused              401: user, password or kind of logon
    ├── AccessDenied              logged on, but the account may not
    ├── EmptyAnswer               a listing lacks the row that Windows always returns: no rights, or a stopped service
    ├── UnexpectedAnswer          an answer that is not WS-Management, or not what WMI documents
    │   └── ScriptFailed              a script gave no answer, or one that is not its own
    ├── WsmanFault                the machine refused the request
    │   └── LicensingFault            ... and the Software Protection Platform gave the HRESULT
    ├── Refused                   what was found on the machine forbids to act
    │   ├── Evaluation                ... it runs an evaluation
    │   ├── NewerThanHost             ... the guest is of a later release than its host's
    │   ├── DataExchangeOff           ... the VM's integration service Data Exchange is off
    │   ├── KeyConflict               ... another resource wants another key on the same machine
    │   └── NotReady                  ... now, but not for good: it is off, or still starting
    │       ├── NotOnHost                 ... it has moved, or the account has no right to it
    │       └── LogonUncertain            ... or the credentials are wrong, which Windows does not tell apart
    ├── NotFound                  the machine answered, and what was asked for is not there
    ├── TimedOut                  the time the user allows is over
    ├── Cancelled                 the user stopped the run
    ├── NodesFailed               some nodes of a cluster failed, each for its own reason
    └── PartlyDone                the machine was changed before another error came

No front end is known here: they map these classes to their own codes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Generic, TypeVar

from avma import hresult, topics

S = TypeVar("S")


_COMMANDS = ("avma", "powershell", "pulumi", "slmgr", "winrm")
"""The first words of a remedy that keep their small letter."""
_CLAUSE = re.compile(r"; (?=(?:[^`]*`[^`]*`)*[^`]*$)")
"""The end of a clause, unless it is in a command."""
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def sentences(remedy: str) -> str:
    """Return a remedy, which is one or more clauses with `;` between them, as sentences."""
    clauses = _CLAUSE.split(remedy.removesuffix("."))
    return " ".join(f"{_with_capital(clause)}." for clause in clauses if clause)


def _with_capital(clause: str) -> str:
    command = clause.partition(" ")[0] in _COMMANDS
    return clause if command else clause[0].upper() + clause[1:]


def topic_of(kind: type[AvmaError]) -> str:
    """Return the name of the section about a kind of error, the argument of `avma explain`."""
    return _CAPITAL.sub("-", kind.__name__).lower()


class AvmaError(Exception):
    """What went wrong. The text is `WHERE: could not TRIED: ANSWER. REMEDY. See: avma explain TOPIC`.

    Args:
        tried: a verb phrase, such as "install a product key".
        where: the machine, such as "hv01 (10.0.0.11:5986)", empty where no machine is concerned.
        answer: what came back.
        remedy: what to do next, for this machine.
    """

    def __init__(self, tried: str, where: str, answer: str, remedy: str) -> None:
        super().__init__(tried, where, answer, remedy)
        self.tried = tried
        self.where = where
        self.answer = answer
        self.remedy = remedy

    def of(self, tried: str) -> AvmaError:
        """Return the error for something else that was tried, and that failed with it."""
        error = type(self).__new__(type(self), tried, self.where, self.answer, self.remedy)
        error.__dict__.update(self.__dict__, tried=tried)
        return error

    @property
    def topic(self) -> str:
        """The section that explains the error: the argument of `avma explain`."""
        return topic_of(type(self))

    def __str__(self) -> str:
        return self.with_note("")

    def with_note(self, note: str) -> str:
        """Return the message with a sentence added before the command that explains the error."""
        subject = f"{self.where}: " if self.where else ""
        answer = self.answer.removesuffix(".")
        message = f"{subject}could not {self.tried}: {answer}. {sentences(self.remedy)} {note}"
        return topics.explained(message.rstrip(), self.topic)


class InvalidInput(AvmaError):
    """No machine needs to be asked to see that this cannot work."""


class Unreachable(AvmaError):
    """No conversation took place, or it broke off."""


class AnswerLost(Unreachable):
    """The request was sent and no answer came: the machine may have acted on it."""


class OperationTimedOut(AnswerLost):
    """The machine said that the operation takes longer than one request may; it can still go on."""


class ServiceBusy(Unreachable):
    """The machine's HTTP service refused the request for now (503), before anything acted on it."""


class Distrust(Enum):
    """Why a certificate is not trusted."""

    NAME = "it is for another name"
    EXPIRED = "it has expired"
    NOT_YET_VALID = "it is not valid yet"
    ISSUER = "its issuer is not known"


class CertificateNotTrusted(Unreachable):
    """TLS failed: unknown issuer, wrong name, or expired."""

    def __init__(self, tried: str, where: str, answer: str, remedy: str, distrust: Distrust = Distrust.ISSUER) -> None:
        super().__init__(tried, where, answer, remedy)
        self.distrust = distrust


class Refusal(Enum):
    """Why a logon was refused."""

    ACCOUNT = "the account: name, password, or what it may do"
    KIND = "the kind of logon, which the service does not offer"
    TICKET = "no ticket of Kerberos was got"
    KDC = "the account: the KDC rejected its password, or has locked it"


class LogonRefused(AvmaError):
    """401: user, password or kind of logon."""

    def __init__(self, tried: str, where: str, answer: str, remedy: str, refusal: Refusal = Refusal.ACCOUNT) -> None:
        super().__init__(tried, where, answer, remedy)
        self.refusal = refusal


class AccessDenied(AvmaError):
    """The account logged on, but is not allowed to do this."""


class EmptyAnswer(AvmaError):
    """The listing lacks the row that Windows always returns, so it says nothing about the other rows.

    Args:
        service: the service of Windows that hides the row while it is not running.
    """

    def __init__(self, tried: str, where: str, answer: str, remedy: str, service: str = "") -> None:
        super().__init__(tried, where, answer, remedy)
        self.service = service


class UnexpectedAnswer(AvmaError):
    """The answer is not WS-Management, or not what WMI documents."""


class ScriptFailed(UnexpectedAnswer):
    """A script gave no answer, or one that is not its own; what it was to do may be done."""


class WsmanFault(AvmaError):
    """The machine refused the request with a SOAP fault; `code` is its number (a WS-Man or Windows error)."""

    def __init__(self, tried: str, where: str, answer: str, remedy: str, code: int) -> None:
        super().__init__(tried, where, answer, remedy)
        self.code = code

    @property
    def topic(self) -> str:
        """See `AvmaError.topic`."""
        return f"0x{hresult.canonical(self.code):08X}" if hresult.known(self.code) else topic_of(WsmanFault)


class LicensingFault(WsmanFault):
    """The Software Protection Platform refused; `code` is its HRESULT."""


class Refused(AvmaError):
    """What was found on the machine forbids to act; nothing was changed."""


class Evaluation(Refused):
    """The machine runs an evaluation, which neither hosts automatic activation nor takes a key."""


class NewerThanHost(Refused):
    """The guest is of a later release than its host's, and a host activates guests up to its own."""


class DataExchangeOff(Refused):
    """The VM's integration service Data Exchange is off, without which no guest is activated."""


class KeyConflict(Refused):
    """Another resource of the run wants another product key on the same machine."""


class NotReady(Refused):
    """The machine is there, but off or still starting."""


class NotOnHost(NotReady):
    """The host shows no such VM: it has moved since it was found, or the host's account has no right to it."""

    topic = topic_of(Refused)


class LogonUncertain(NotReady):
    """The guest is still starting or the credentials are wrong: Windows says the same of both."""


class NotFound(AvmaError):
    """The machine answered, and what was asked for is not there."""


class TimedOut(AvmaError):
    """The time that the user allows for the operation is over."""


class Cancelled(AvmaError):
    """The user stopped the run."""


class NodesFailed(AvmaError):
    """Some nodes of a cluster failed, each for its own reason; `causes` are the errors of the nodes."""

    def __init__(self, tried: str, where: str, answer: str, remedy: str, causes: Sequence[AvmaError] = ()) -> None:
        super().__init__(tried, where, answer, remedy)
        self.causes = tuple(causes)


class PartlyDone(AvmaError, Generic[S]):
    """The machine was changed, then `cause` came; `state` is the resource's `Result` as far as it was reached."""

    def __init__(self, identifier: str, state: S, cause: AvmaError) -> None:
        super().__init__(cause.tried, cause.where, cause.answer, cause.remedy)
        self.identifier = identifier
        self.state = state
        self.cause = cause

    @property
    def topic(self) -> str:
        """See `AvmaError.topic`."""
        return self.cause.topic


PASSING = (Unreachable, TimedOut, NotFound, NotReady)
"""What a preview warns of, because the run itself or time can remove it. Everything else fails a preview, as it fails
the run."""
