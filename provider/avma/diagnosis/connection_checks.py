"""The checks of a connection: from the machine's name to authentication.

The facts come from the public side of the endpoint. The verdict always comes from a complete connection, as the
provider makes it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from http.client import HTTPException

from avma.deadline import Deadline
from avma.diagnosis.finding import Finding, outcome, required
from avma.diagnosis.step import Status
from avma.errors import AvmaError, CertificateNotTrusted, InvalidInput, LogonRefused, Unreachable
from avma.settings import HTTP_PORT, HTTPS_PORT
from avma.windows.machine import Server
from avma.wsman import endpoint, tls, transport_errors
from avma.wsman.identify import Identity, identify, other_than_windows


class ConnectionChecks:
    """The checks of the connection to one machine."""

    def __init__(self, server: Server, deadline: Deadline) -> None:
        self._server = server
        self._connection = server.connection
        self._deadline = deadline
        self._tls_error: AvmaError | None = None

    @cached_property
    def _attempt(self) -> Identity | AvmaError:
        """The result of one complete connection, including authentication."""
        return outcome(lambda: identify(self._server.cim, self._deadline))

    def name(self) -> Finding:
        """Check whether the name resolves."""
        try:
            return Finding(", ".join(endpoint.addresses(self._connection)))
        except OSError:
            required(self._attempt)
            return Finding("resolved at the second attempt", Status.WARNING)

    def port(self) -> Finding:
        """Check whether the port is open."""
        try:
            endpoint.open_port(self._connection)
        except OSError:
            return self._closed_port()
        return Finding(f"{self._connection.port} is open")

    def tls(self) -> Finding:
        """Check whether TLS works as configured, with a trusted certificate."""
        finding = outcome(self._certificate if self._connection.https else self._plain)
        self._tls_error = finding if isinstance(finding, AvmaError) else finding.error
        return required(finding)

    def logon(self) -> Finding:
        """Check whether the account can sign in, and the authentication methods of the service.

        If TLS failed, the check sends no credentials.
        """
        offered = self._offered()
        if self._tls_error is not None:
            found = "; ".join(filter(None, (offered, "not tried, because TLS failed")))
            return Finding(found, Status.SKIPPED)
        if isinstance(self._attempt, AvmaError):
            return Finding(offered, Status.FAILED, self._attempt)
        auth, username = self._connection.auth.value, self._connection.username
        account = f"{auth} as {username}" if username else auth
        found = "; ".join(filter(None, (account, offered, self._attempt.version)))
        other = other_than_windows(self._connection, self._attempt)
        return Finding(found, Status.FAILED if other else Status.PASSED, other)

    def _closed_port(self) -> Finding:
        """Return the finding for a closed port, or raise its error.

        Also test the port of WinRM's other listener: often only that one is open.
        """
        if not isinstance(self._attempt, AvmaError):
            return Finding("open at the second attempt", Status.WARNING)
        if isinstance(self._attempt, InvalidInput):  # the provider did not try to connect
            remedy = f"check the address and the port; {transport_errors.set_up(self._connection)}"
            raise Unreachable("open the port", self._connection.where, "the port is closed", remedy)
        other = replace(self._connection, port=HTTP_PORT if self._connection.https else HTTPS_PORT)
        if self._connection.port not in (HTTP_PORT, HTTPS_PORT):
            raise self._attempt
        try:
            endpoint.open_port(other)
        except OSError:
            raise self._attempt from None
        found = f"{self._connection.port} is closed, {other.port} is open"
        return Finding(found, Status.FAILED, self._attempt)

    def _offered(self) -> str:
        """Return the offered authentication methods.

        The text is empty if the service offers none to anonymous clients, but the sign-in succeeded.
        """
        try:
            offers = ", ".join(endpoint.offered_logons(self._connection))
        except (OSError, HTTPException):
            return "" if not isinstance(self._attempt, AvmaError) else "the service does not answer as expected"
        if not offers and not isinstance(self._attempt, AvmaError):
            return ""
        return f"the service offers {offers}" if offers else "the service offers no authentication method"

    def _certificate(self) -> Finding:
        try:
            shown = endpoint.certificate(self._connection)
        except (OSError, ValueError):
            required(self._attempt)
            return Finding("the certificate cannot be read", Status.WARNING)
        text = f"issued by {shown.issuer} for {', '.join(shown.names)}, until {shown.ends:%Y-%m-%d}"
        unreadable = outcome(lambda: tls.require_authorities(self._connection))
        if unreadable is not None:
            return Finding(text, Status.FAILED, unreadable)
        if isinstance(self._attempt, CertificateNotTrusted):
            return Finding(text, Status.FAILED, self._attempt)
        if self._connection.insecure:
            insecure = self._connection.setting("insecure", True)
            return Finding(f"{text}; not verified, because {insecure} is set", Status.WARNING)
        return Finding(text)

    def _plain(self) -> Finding:
        talked = not isinstance(self._attempt, AvmaError) or isinstance(self._attempt, LogonRefused)
        if not talked and self._speaks_tls():
            raise Unreachable("sign in", self._connection.where, *transport_errors.uses_tls(self._connection))
        unused = f"not used, because {self._connection.setting('https', False)} is set"
        return Finding(f"{unused}: the authentication method encrypts messages", Status.SKIPPED)

    def _speaks_tls(self) -> bool:
        try:
            endpoint.certificate(self._connection)
        except (OSError, ValueError):
            return False
        return True
