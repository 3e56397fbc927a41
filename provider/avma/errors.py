"""The errors of the core. Each contains the attempted operation, the machine, the answer and the next step.

::

    AvmaError
    ├── InvalidInput              the input cannot work, whatever the state of the machine
    │   └── InvalidHost               ... because it is not the name or address of a machine
    ├── Unreachable               no connection: name, port, silence, or a connection that broke
    │   ├── AnswerLost                the request was sent and no answer came: the machine may have acted
    │   │   └── OperationTimedOut         ... and the machine reported that it takes longer than one request may
    │   ├── ServiceBusy               HTTP 503: the machine accepts no requests now, and did not begin this one
    │   └── CertificateNotTrusted     TLS: unknown issuer, wrong name, expired
    ├── LogonRefused              the sign-in failed: user, password or authentication method
    ├── AccessDenied              signed in, but the account lacks the right
    ├── EmptyAnswer               a listing lacks the row that Windows always returns: no rights, or a stopped service
    ├── UnexpectedAnswer          the answer is not WS-Management, or does not match the WMI documentation
    │   └── ScriptFailed              a script returned no answer, or not its own
    ├── WsmanFault                the machine refused the request
    │   └── LicensingFault            ... and the HRESULT is from the Software Protection Platform
    ├── Refused                   the state of the machine forbids the operation
    │   ├── Evaluation                ... it runs an evaluation edition
    │   ├── NotEligible               ... it runs a system that AVMA does not cover
    │   ├── NewerThanHost             ... the guest has a later release than its host
    │   ├── DataExchangeOff           ... the VM's integration service Data Exchange is off
    │   ├── KeyConflict               ... another resource requires a different key on the same machine
    │   └── NotReady                  ... for now: it is off, or still starting
    │       ├── NotOnHost                 ... or it has moved, or the account has no right to it
    │       └── LogonUncertain            ... or the credentials are wrong: Windows does not distinguish the two
    ├── NotFound                  the machine answered, but does not have the requested object
    ├── TimedOut                  the time limit expired
    ├── Cancelled                 the user stopped the run
    ├── NodesFailed               some nodes of a cluster failed, each for its own reason
    │   └── GuestsFailed              ... or some of its guests
    └── PartlyDone                the machine was changed before another error occurred

Front ends map these classes to their own codes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from typing import Final, Generic, TypeVar

from avma import hresult, topics
from avma.wording import NEUTRAL, capitalized

E = TypeVar("E", bound="AvmaError")
S = TypeVar("S")


_COMMANDS = ("avma", "powershell", "slmgr", "winrm")
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
    return clause if command else capitalized(clause)


def topic_of(kind: type[AvmaError]) -> str:
    """Return the topic of a kind of error: the argument of `avma explain`."""
    return _CAPITAL.sub("-", kind.__name__).lower()


class AvmaError(Exception):
    """An error with a remedy. Its text is `WHERE: could not TRIED: ANSWER. REMEDY. See: avma explain TOPIC`.

    It never changes, because the callers of a shared read all get the same error. `but` returns another one. Front ends
    render `message` in their own words. `str` returns it in neutral words (see `avma.wording`).

    Args:
        tried: a verb phrase, such as "install a product key".
        where: the machine, such as "hv01 (10.0.0.11:5986)", or empty if the error concerns no machine.
        answer: the answer of the machine, or the reason.
        remedy: the next step, for this machine. Empty if the answer contains it.
    """

    def __init__(self, tried: str, where: str, answer: str, remedy: str) -> None:
        super().__init__(tried, where, answer, remedy)
        self.tried: Final = tried
        self.where: Final = where
        self.answer: Final = answer
        self.remedy: Final = remedy
        self.in_doubt: Final = False
        """Whether a change was sent before the error, and its result is unknown."""

    def but(
        self: E,
        *,
        tried: str | None = None,
        where: str | None = None,
        answer: str | None = None,
        remedy: str | None = None,
        in_doubt: bool = False,
    ) -> E:
        """Return a copy of this error with other texts, for example for an operation that failed because of it.

        An error in doubt stays so.
        """
        given = {"tried": tried, "where": where, "answer": answer, "remedy": remedy}
        parts = {name: getattr(self, name) if text is None else text for name, text in given.items()}
        error = type(self).__new__(type(self), *parts.values())
        error.__dict__.update(self.__dict__, **parts, in_doubt=in_doubt or self.in_doubt)
        return error

    @property
    def topic(self) -> str:
        """The topic that explains the error: the argument of `avma explain`."""
        return topic_of(type(self))

    def __str__(self) -> str:
        return NEUTRAL.render(self.message)

    @property
    def message(self) -> str:
        """The text, with parts to render."""
        return self.with_note("")

    def with_note(self, note: str) -> str:
        """Return the message with a sentence added before the command that explains the error."""
        subject = f"{self.where}: " if self.where else ""
        answer = self.answer.removesuffix(".")
        failure = f"{subject}could not {self.tried}: {answer}."
        message = " ".join(part for part in (failure, sentences(self.remedy), note) if part)
        return topics.explained(message, self.topic)


class InvalidInput(AvmaError):
    """The input cannot work, whatever the state of the machine."""


class InvalidHost(InvalidInput):
    """The input is not the name or address of a machine, or has another form."""


class Unreachable(AvmaError):
    """There was no connection, or it broke."""


class AnswerLost(Unreachable):
    """The request was sent and no answer came. The machine may have acted on it."""


class OperationTimedOut(AnswerLost):
    """The machine reported that the operation takes longer than one request may. It may still continue."""


class ServiceBusy(Unreachable):
    """The machine's HTTP service refused the request with 503, before anything acted on it."""


class Distrust(Enum):
    """The reason why a certificate is not trusted."""

    NAME = "it is for another name"
    EXPIRED = "it has expired"
    NOT_YET_VALID = "it is not valid yet"
    ISSUER = "its issuer is not known"


class CertificateNotTrusted(Unreachable):
    """TLS failed: unknown issuer, wrong name, or expired."""

    def __init__(self, tried: str, where: str, answer: str, remedy: str, distrust: Distrust = Distrust.ISSUER) -> None:
        super().__init__(tried, where, answer, remedy)
        self.distrust: Final = distrust


class Refusal(Enum):
    """The reason why the sign-in failed."""

    ACCOUNT = "the account: its name, password or rights"
    KIND = "the authentication method, which the service does not offer"
    TICKET = "the provider got no Kerberos ticket"
    KDC = "the account: the KDC rejected its password, or has locked it"


class LogonRefused(AvmaError):
    """The sign-in failed: the machine or the KDC refused the user, the password or the authentication method."""

    def __init__(self, tried: str, where: str, answer: str, remedy: str, refusal: Refusal = Refusal.ACCOUNT) -> None:
        super().__init__(tried, where, answer, remedy)
        self.refusal: Final = refusal


class AccessDenied(AvmaError):
    """The account signed in, but lacks the right to the operation. `code` is the number in the answer, or 0."""

    def __init__(self, tried: str, where: str, answer: str, remedy: str, code: int = 0) -> None:
        super().__init__(tried, where, answer, remedy)
        self.code: Final = code


class EmptyAnswer(AvmaError):
    """The listing lacks the row that Windows always returns, so the other rows prove nothing.

    Args:
        service: the Windows service that hides the row while it is not running.
    """

    def __init__(self, tried: str, where: str, answer: str, remedy: str, service: str = "") -> None:
        super().__init__(tried, where, answer, remedy)
        self.service: Final = service


class UnexpectedAnswer(AvmaError):
    """The answer is not WS-Management, or does not match the WMI documentation."""


class ScriptFailed(UnexpectedAnswer):
    """A script returned no answer, or an answer that is not its own. It may have done its work."""


class WsmanFault(AvmaError):
    """The machine refused the request with a SOAP fault. `code` is a WS-Man or Windows error number, or 0."""

    def __init__(self, tried: str, where: str, answer: str, remedy: str, code: int) -> None:
        super().__init__(tried, where, answer, remedy)
        self.code: Final = code

    @property
    def topic(self) -> str:
        """See `AvmaError.topic`."""
        return f"0x{hresult.canonical(self.code):08X}" if hresult.known(self.code) else topic_of(WsmanFault)


class LicensingFault(WsmanFault):
    """The Software Protection Platform refused the request. `code` is its HRESULT."""


class Refused(AvmaError):
    """The state of the machine forbids the operation. Nothing was changed."""


class Evaluation(Refused):
    """The machine runs an evaluation edition, which takes no key and activates no guests."""


class NotEligible(Refused):
    """The machine runs a system that automatic activation does not cover: not Windows Server, or no such edition."""


class NewerThanHost(Refused):
    """The guest has a later release than its host, and a host activates guests up to its own release."""


class DataExchangeOff(Refused):
    """The VM's integration service Data Exchange is off. Windows needs it to activate the guest."""


class KeyConflict(Refused):
    """Another resource of the run requires a different product key on the same machine."""


class NotReady(Refused):
    """The machine exists, but is off or still starting."""


class NotOnHost(NotReady):
    """The host lists no such VM. It has moved, or the account that signs in to the host has no right to it."""

    topic = topic_of(Refused)


class LogonUncertain(NotReady):
    """The guest is still starting, or the credentials are wrong. Windows returns the same error for both."""


class NotFound(AvmaError):
    """The machine answered, but does not have the requested object."""


class TimedOut(AvmaError):
    """The time limit of the operation expired."""


class Cancelled(AvmaError):
    """The user stopped the run."""


class NodesFailed(AvmaError):
    """Some nodes of a cluster failed, each for its own reason. `causes` contains the error of each."""

    def __init__(self, tried: str, where: str, answer: str, remedy: str, causes: Sequence[AvmaError] = ()) -> None:
        super().__init__(tried, where, answer, remedy)
        self.causes: Final = tuple(causes)


class GuestsFailed(NodesFailed):
    """Some guests failed, each for its own reason."""


class PartlyDone(AvmaError, Generic[S]):
    """The machine was changed before `cause` occurred. `state` is the resource's `Result` up to that point."""

    def __init__(self, identifier: str, state: S, cause: AvmaError) -> None:
        super().__init__(cause.tried, cause.where, cause.answer, cause.remedy)
        self.identifier: Final = identifier
        self.state: Final = state
        self.cause: Final = cause

    @property
    def topic(self) -> str:
        """See `AvmaError.topic`."""
        return self.cause.topic


PASSING = (Unreachable, TimedOut, NotFound, NotReady)
"""The errors that a preview reports as warnings, because time or the run itself can remove their cause. Every other
error fails the preview, as it would fail the run."""
