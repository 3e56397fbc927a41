"""Connection settings. Users declare them on the provider, and override them on a resource.

An omitted setting takes the value of the next layer. `avma.connection` merges the layers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from avma import deadline
from avma.addresses import host_name_error
from avma.characters import hidden_error
from avma.properties import Choice, declare, properties
from avma.wording import setting

HTTP_PORT = 5985
HTTPS_PORT = 5986
CONNECT_TIMEOUT = "10s"
OPERATION_TIMEOUT = "60s"
DEFAULT_CONFIGURATION = "Microsoft.PowerShell"
"""The session configuration of Windows, in which an account may do everything that its rights permit."""
_CONFIGURATION_NAME = re.compile(r"[A-Za-z0-9._-]+")


class Auth(Choice):
    """How the provider authenticates to a machine."""

    NTLM = "ntlm", "NTLM. Works without a domain. Encrypts messages over http, and binds to the TLS channel over https."
    NEGOTIATE = (
        "negotiate",
        "SPNEGO. Uses Kerberos if the `kerberos` extra is installed and the password gets a ticket, otherwise NTLM.",
    )
    KERBEROS = (
        "kerberos",
        f"Kerberos, with {setting('kerberos_keytab')}, the password, or a ticket from `kinit`, in this order. Needs "
        "the `kerberos` extra of the Python package, and the DNS name of the machine instead of its IP address.",
    )
    CREDSSP = "credssp", "CredSSP. Sends the password to the machine. Needs the `credssp` extra of the Python package."
    CERTIFICATE = (
        "certificate",
        f"A client certificate ({setting('client_cert')} and {setting('client_key')}). Works over https only.",
    )
    BASIC = "basic", "Basic authentication. Works over https only. Windows turns it off by default."


@dataclass(frozen=True)
class AuthMethod:
    """The facts about one authentication method.

    Attributes:
        schemes: its names in WWW-Authenticate, the usual one first. A client certificate has none.
        switch: its name under winrm/config/service/auth on the machine.
        encrypts: whether it agrees on a key for message encryption (MS-WSMV 2.2.9.1).
        binds: whether it binds the sign-in to the TLS channel (RFC 5929).
        ntlm: whether it can use NTLM.
        kdc: whether it can contact a KDC.
        pywinrm: whether pywinrm carries it. pypsrp carries the others.
    """

    schemes: tuple[str, ...]
    switch: str
    encrypts: bool = False
    binds: bool = False
    ntlm: bool = False
    kdc: bool = False
    pywinrm: bool = False


AUTH_METHODS: Mapping[Auth, AuthMethod] = {
    Auth.NTLM: AuthMethod(("Negotiate", "NTLM"), "Negotiate", encrypts=True, binds=True, ntlm=True, pywinrm=True),
    Auth.NEGOTIATE: AuthMethod(("Negotiate", "Kerberos"), "Negotiate", encrypts=True, binds=True, ntlm=True, kdc=True),
    Auth.KERBEROS: AuthMethod(("Kerberos", "Negotiate"), "Kerberos", encrypts=True, binds=True, kdc=True),
    Auth.CREDSSP: AuthMethod(("CredSSP",), "CredSSP", encrypts=True, ntlm=True, kdc=True, pywinrm=True),
    Auth.CERTIFICATE: AuthMethod((), "Certificate"),
    Auth.BASIC: AuthMethod(("Basic",), "Basic", pywinrm=True),
}


def offered_methods(schemes: str, https: bool) -> Iterator[Auth]:
    """Yield the authentication methods to use with a service that offers these schemes, one for each scheme.

    NTLM stands for Negotiate, because it needs no domain. Over http, Basic would reveal the password.
    """
    for auth, method in AUTH_METHODS.items():
        if auth is Auth.NEGOTIATE or (auth is Auth.BASIC and not https):
            continue
        if any(usual.lower() in schemes.lower() for usual in method.schemes[:1]):
            yield auth


class MessageEncryption(Choice):
    """When the provider encrypts messages with the key from authentication."""

    AUTO = "auto", "Encrypt over http. Over https, rely on TLS."
    ALWAYS = (
        "always",
        "Encrypt over https as well. Not possible with `basic` and `certificate`, because they provide no key.",
    )
    NEVER = "never", "Do not encrypt. Allowed over https only."


def port_error(port: float) -> str | None:
    """Return what is wrong with a TCP port, or None."""
    return None if 1 <= port <= 65535 else "must be from 1 to 65535"


@dataclass(frozen=True)
class Settings:
    """Connection settings for WinRM. Omitted settings come from the provider configuration."""

    sources: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False, kw_only=True)
    """The environment variable of each value from the environment, by attribute, for errors."""
    port: int | None = declare(
        "The TCP port of the WinRM listener.",
        default=None,
        unit="port number",
        unset="`5986` with https, `5985` without",
        example=5985,
        check=port_error,
        environment=("AVMA_PORT", "HYPERV_PORT"),
    )
    https: bool | None = declare(
        "Whether to use TLS. Without TLS, the provider encrypts each message with the key from authentication.",
        default=None,
        unset="`true`",
        example=False,
        environment=("AVMA_HTTPS", "HYPERV_HTTPS"),
    )
    username: str | None = declare(
        "The account to sign in with. To change a license, it must be an administrator of the machine. Not needed "
        "with a client certificate or a Kerberos ticket.",
        default=None,
        unset="none",
        example="LAB\\svc-avma",
        check=hidden_error,
        environment=("AVMA_USERNAME", "HYPERV_USERNAME"),
    )
    password: str | None = declare(
        "The password of the account.",
        default=None,
        unset="none",
        example="${password}",
        secret=True,
        environment=("AVMA_PASSWORD", "HYPERV_PASSWORD"),
    )
    auth: Auth | None = declare(
        "The authentication method.", default=None, unset="`ntlm`", example="kerberos", environment=("AVMA_AUTH",)
    )
    insecure: bool | None = declare(
        "Whether to accept any TLS certificate. The provider prints a warning for each such connection.",
        default=None,
        unset="`false`",
        environment=("AVMA_INSECURE", "HYPERV_INSECURE"),
    )
    ca_cert: str | None = declare(
        "The certificate authorities to trust, as a PEM file path or PEM text.",
        default=None,
        unset="the authorities in the Python package certifi",
        example="/etc/ssl/certs/lab-ca.pem",
        environment=("AVMA_CA_CERT", "HYPERV_CACERT_PATH"),
    )
    client_cert: str | None = declare(
        "The certificate for certificate authentication, as a PEM file path or PEM text.",
        default=None,
        unset="none",
        example="svc-avma.pem",
        environment=("AVMA_CLIENT_CERT",),
    )
    client_key: str | None = declare(
        "The private key of the client certificate, as a PEM file path or PEM text. It must have no passphrase.",
        default=None,
        unset="none",
        example="svc-avma.key",
        secret=True,
        environment=("AVMA_CLIENT_KEY",),
    )
    message_encryption: MessageEncryption | None = declare(
        "When to encrypt messages with the key from authentication.",
        default=None,
        unset="`auto`",
        example="always",
        environment=("AVMA_MESSAGE_ENCRYPTION",),
    )
    kerberos_hostname: str | None = declare(
        "The host name in the service principal of the machine (`host/NAME`).",
        default=None,
        unset="the name to connect to",
        example="hv01.lab.example.com",
        check=host_name_error,
        environment=("AVMA_KERBEROS_HOSTNAME",),
    )
    kerberos_keytab: str | None = declare(
        "The path of a keytab for Kerberos authentication, used instead of the password. Without "
        f"{setting('username')}, the "
        "first entry of the keytab is the account.",
        default=None,
        unset="none",
        example="/etc/avma/svc-avma.keytab",
        environment=("AVMA_KERBEROS_KEYTAB",),
    )
    connect_timeout: str | None = declare(
        "Time limit for opening a connection.",
        default=None,
        unit=deadline.UNIT,
        unset=f"`{CONNECT_TIMEOUT}`",
        example="30s",
        check=deadline.duration_error,
        environment=("AVMA_CONNECT_TIMEOUT",),
    )
    operation_timeout: str | None = declare(
        "Time limit for one WS-Management request.",
        default=None,
        unit=deadline.UNIT,
        unset=f"`{OPERATION_TIMEOUT}`",
        example="2m",
        check=deadline.duration_error,
        environment=("AVMA_OPERATION_TIMEOUT",),
    )


def configuration_name_error(name: str) -> str | None:
    """Return what is wrong with the name of a session configuration, or None."""
    return None if _CONFIGURATION_NAME.fullmatch(name) else "must contain only letters, digits, dots, `-` and `_`"


@dataclass(frozen=True)
class HostSettings(Settings):
    """Connection settings for hosts."""

    configuration_name: str | None = declare(
        "The PowerShell session configuration in which scripts run. The command `avma jea` writes one that permits "
        "only the scripts of this provider. WMI requests do not use it.",
        default=None,
        unset=f"the default of the host, `{DEFAULT_CONFIGURATION}`",
        example="avma",
        check=configuration_name_error,
        environment=("AVMA_CONFIGURATION_NAME",),
    )


@dataclass(frozen=True)
class Addressed:
    """The address of one machine."""

    address: str | None = declare(
        "The DNS name or IP address to connect to.",
        default=None,
        unset="the name of the machine, or for a guest, the addresses in its Data Exchange report",
        example="192.0.2.11",
        check=host_name_error,
    )


@dataclass(frozen=True)
class AddressedSettings(Addressed, HostSettings):
    """Connection settings for one machine. Omitted settings come from the provider configuration."""


def merged(*layers: Settings | None) -> dict[str, Any]:
    """Return the values that are set in any of the layers, by attribute. The first layer wins."""
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer in reversed([layer for layer in layers if layer is not None]):
        pairs = ((prop.name, getattr(layer, prop.name)) for prop in properties(type(layer)))
        own = {name: value for name, value in pairs if value is not None}
        values.update(own)
        sources = {name: variable for name, variable in sources.items() if name not in own}
        sources.update({name: variable for name, variable in layer.sources.items() if name in own})
    return {**values, "sources": sources}
