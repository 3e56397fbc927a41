"""Facts about authentication and message encryption of the WinRM service (MS-WSMV 2.2.9.1, MS-NLMP)."""

from __future__ import annotations

import uuid
from dataclasses import replace

from avma import errors
from avma.settings import AUTH_METHODS, Auth
from avma.wsman import envelope
from avma.wsman.http_adapter import schemes
from avma_conformance.fact import Area, Effect, NotHere, Observation, equal, fact, question, true
from avma_conformance.raw_http import raw
from avma_conformance.subject import CIMV2, Subject

_SERVICE = "SELECT Version FROM SoftwareLicensingService"
_SCHEMES = frozenset(scheme.lower() for method in AUTH_METHODS.values() for scheme in method.schemes)


def _offered(subject: Subject) -> tuple[str, ...]:
    with raw(subject) as connection:
        return schemes(connection.post().challenges)


def _message(subject: Subject) -> bytes:
    return subject.rendered(envelope.enumerate_query(CIMV2, _SERVICE))


@fact(Area.AUTHENTICATION, "RFC 9110 15.5.2, recorded by pypsrp")
def message_without_credentials_is_401(subject: Subject) -> Observation:
    """A message without credentials gets HTTP 401."""
    with raw(subject) as connection:
        return equal("HTTP 401", f"HTTP {connection.post(_message(subject)).status}")


@fact(Area.AUTHENTICATION, "the scheme names of MS-WSMV 2.2.3 and of Nmap's winrm-auth-methods")
def offered_schemes_have_known_names(subject: Subject) -> Observation:
    """WWW-Authenticate lists the enabled authentication methods as Negotiate, Kerberos, CredSSP and Basic."""
    found = _offered(subject)
    known = bool(found) and all(scheme.lower() in _SCHEMES for scheme in found)
    return true("only Negotiate, NTLM, Kerberos, CredSSP and Basic", known, found)


@fact(Area.AUTHENTICATION, "learn.microsoft.com, Installation and configuration for Windows Remote Management")
def negotiate_is_on_by_default(subject: Subject) -> Observation:
    """The service offers Negotiate unless an administrator has turned it off."""
    found = _offered(subject)
    return true("Negotiate and others", "Negotiate" in found, found)


@fact(Area.AUTHENTICATION, "MS-WSMV 2.2.3, the setting AllowUnencrypted")
def basic_is_not_offered_over_http(subject: Subject) -> Observation:
    """Over http, the service does not offer Basic unless it allows unencrypted messages."""
    if subject.target.connection.https:
        raise NotHere("the connection uses https")
    found = _offered(subject)
    return true("other schemes than Basic", bool(found) and "Basic" not in found, found)


@fact(Area.AUTHENTICATION, "pywinrm and requests-ntlm, which sign in to Windows so")
def raw_ntlm_is_accepted_under_negotiate(subject: Subject) -> Observation:
    """The scheme Negotiate accepts NTLM tokens without SPNEGO around them."""
    with raw(subject, signs_in=True) as connection:
        return equal("HTTP 200", f"HTTP {connection.sign_in().status}")


@fact(Area.AUTHENTICATION, "MS-WSMV 2.2.9.1, recorded by pypsrp")
def sign_in_belongs_to_the_connection(subject: Subject) -> Observation:
    """After a sign-in, further encrypted messages on the same TCP connection need no credentials."""
    with raw(subject, signs_in=True) as connection:
        connection.sign_in()
        found = [connection.post_encrypted(_message(subject)).status for _ in range(2)]
    return equal([200, 200], found)


@fact(Area.AUTHENTICATION, "MS-WSMV 2.2.9.1, recorded by pypsrp")
def encrypted_message_has_an_encrypted_answer(subject: Subject) -> Observation:
    """The answer to an encrypted message is encrypted too."""
    with raw(subject, signs_in=True) as connection:
        connection.sign_in()
        return equal("multipart/encrypted", connection.post_encrypted(_message(subject)).media_type)


@fact(Area.AUTHENTICATION, "inferred: RFC 9110 15.5.2, from the behavior without encryption")
def encrypted_message_without_sign_in_is_401(subject: Subject) -> Observation:
    """An encrypted message on a connection without a sign-in gets HTTP 401, and is not read."""
    with raw(subject, signs_in=True) as signed_in, raw(subject) as other:
        signed_in.sign_in()
        return equal("HTTP 401", f"HTTP {other.post_encrypted(_message(subject), signed_in).status}")


@fact(Area.AUTHENTICATION, "winrm4j#143, and the reports behind it")
def message_of_another_session_is_400_without_a_body(subject: Subject) -> Observation:
    """A message that the service cannot decrypt gets HTTP 400 without a body. It is encrypted for another session."""
    with raw(subject, signs_in=True) as first, raw(subject, signs_in=True) as second:
        first.sign_in()
        second.sign_in()
        return equal("HTTP 400 without a body", str(second.post_encrypted(_message(subject), first)))


@fact(Area.AUTHENTICATION, "pywinrm#129, pywinrm#208, winrm4j#151")
def unencrypted_message_over_http_is_500(subject: Subject) -> Observation:
    """Over http, an unencrypted message after a sign-in gets HTTP 500 unless the service allows such messages."""
    with raw(subject, signs_in=True) as connection:
        connection.sign_in()
        return equal("HTTP 500", f"HTTP {connection.post(_message(subject)).status}")


def _refusal(subject: Subject, username: str) -> str:
    """Return the answer to one sign-in with a password that nobody has."""
    connection = subject.target.connection
    if connection.auth is Auth.CERTIFICATE or AUTH_METHODS[connection.auth].kdc:
        raise NotHere("the machine is not the first to check a password of this authentication method")
    wrong = replace(connection, username=username, password=uuid.uuid4().hex)
    try:
        subject.answer(_message(subject), wrong)
    except errors.LogonRefused as error:
        return "HTTP 401" if "(401)" in error.answer else "another refusal"
    except errors.AvmaError as error:
        return type(error).__name__
    return "an answer"


@fact(Area.AUTHENTICATION, "recorded by users of pywinrm and Ansible", effect=Effect.HARMLESS)
def wrong_password_is_401(subject: Subject) -> Observation:
    """A wrong password gets HTTP 401. The single attempt counts against the lockout threshold of the account."""
    return equal("HTTP 401", _refusal(subject, subject.target.connection.username))


@fact(Area.AUTHENTICATION, "recorded by users of pywinrm and Ansible", effect=Effect.HARMLESS)
def unknown_account_is_401(subject: Subject) -> Observation:
    """An unknown account gets the same HTTP 401 as a wrong password. Windows logs one failed sign-in."""
    return equal("HTTP 401", _refusal(subject, f"avma-{uuid.uuid4().hex[:12]}"))


rejected_sign_in_is_one_failure = question(
    "rejected-sign-in-is-one-failure",
    Area.AUTHENTICATION,
    "One rejected sign-in of the provider adds one failure to the count of the account.",
    "Run `avma doctor` once with a wrong password. Then count the new events 4625 of the account on the machine, or "
    "compare badPwdCount of a domain account before and after.",
)
locked_account_is_401 = question(
    "locked-account-is-401",
    Area.AUTHENTICATION,
    "A locked account gets the same HTTP 401 as a wrong password, also with the right password.",
    "Lock a test account by wrong passwords. Then run `avma doctor` with its right password, and note the error.",
)
bare_account_name_is_local_first = question(
    "bare-account-name-is-local-first",
    Area.AUTHENTICATION,
    "An account name without a domain means the local account of that name. Otherwise, it means the account of "
    "the domain of the machine.",
    "Take a member of a domain. Sign in with NTLM as a domain account without its domain. Then create a local account "
    "with the same name and another password, and sign in with each password.",
)
