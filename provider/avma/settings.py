"""How a machine is reached, as a user may declare it: on the provider and, overriding it, on a resource.

What is left out takes the value of the next layer; `avma.connection` makes the complete record.
"""

from __future__ import annotations

from dataclasses import dataclass

from avma import deadline
from avma.addresses import host_name_error
from avma.characters import hidden_error
from avma.properties import Choice, declare

HTTP_PORT = 5985
HTTPS_PORT = 5986
CONNECT_TIMEOUT = "10s"
OPERATION_TIMEOUT = "60s"


class Auth(Choice):
    """The ways to log on."""

    NTLM = "ntlm", "NTLM, sealed over http and bound to the TLS channel over https; works without a domain."
    NEGOTIATE = (
        "negotiate",
        "SPNEGO: Kerberos where the extra `kerberos` is installed and the password gets a ticket, otherwise NTLM.",
    )
    KERBEROS = (
        "kerberos",
        "Kerberos, with `kerberosKeytab`, else with the password, else with the tickets that `kinit` got. It needs the "
        "extra `kerberos` of the Python package, and the machine's name instead of its address.",
    )
    CREDSSP = (
        "credssp",
        "CredSSP, which hands the password over to the machine; it needs the extra `credssp` of the Python package.",
    )
    CERTIFICATE = "certificate", "A client certificate (`clientCert`, `clientKey`), over https only."
    BASIC = "basic", "Basic, over https only; Windows has it switched off unless it was switched on."


SEALING = frozenset({Auth.NTLM, Auth.NEGOTIATE, Auth.KERBEROS, Auth.CREDSSP})
"""The ways to log on that agree on a key, with which messages can be sealed (MS-WSMV 2.2.9.1)."""


class MessageEncryption(Choice):
    """Whether messages are sealed with the key of the logon."""

    AUTO = "auto", "Sealed over http, and left to TLS over https."
    ALWAYS = "always", "Sealed over https as well; not with `basic` and `certificate`, which have no key to seal with."
    NEVER = "never", "Never sealed, which is refused without https."


def port_error(port: float) -> str | None:
    """Say what is wrong with a TCP port."""
    return None if 1 <= port <= 65535 else "must be from 1 to 65535"


@dataclass(frozen=True)
class Settings:
    """How a machine is reached by WinRM. What is left out is taken from the provider's configuration."""

    port: int | None = declare(
        "The TCP port of the WinRM listener.",
        default=None,
        unit="a port's number",
        unset="`5986` with https, `5985` without",
        example=5985,
        check=port_error,
        environment=("AVMA_PORT", "HYPERV_PORT"),
    )
    https: bool | None = declare(
        "Whether to use TLS. Without it messages are sealed with the key of the logon.",
        default=None,
        unset="`true`",
        example=False,
        environment=("AVMA_HTTPS", "HYPERV_HTTPS"),
    )
    username: str | None = declare(
        "The account to log on with; not needed with a certificate or a Kerberos ticket. "
        "It must be an administrator there.",
        default=None,
        unset="none",
        example="LAB\\svc-avma",
        check=hidden_error,
        environment=("AVMA_USERNAME", "HYPERV_USERNAME"),
    )
    password: str | None = declare(
        "The account's password.",
        default=None,
        unset="none",
        example="${password}",
        secret=True,
        environment=("AVMA_PASSWORD", "HYPERV_PASSWORD"),
    )
    auth: Auth | None = declare(
        "How to log on.", default=None, unset="`ntlm`", example="kerberos", environment=("AVMA_AUTH",)
    )
    insecure: bool | None = declare(
        "Whether to accept any TLS certificate. Each use gives a warning.",
        default=None,
        unset="`false`",
        environment=("AVMA_INSECURE", "HYPERV_INSECURE"),
    )
    ca_cert: str | None = declare(
        "The certificate authorities to trust: the path of a PEM file, or the text of one.",
        default=None,
        unset="those of Python's certifi",
        example="/etc/ssl/certs/lab-ca.pem",
        environment=("AVMA_CA_CERT", "HYPERV_CACERT_PATH"),
    )
    client_cert: str | None = declare(
        "The certificate to log on with when `auth` is `certificate`: the path of a PEM file, or the text of one.",
        default=None,
        unset="none",
        example="svc-avma.pem",
        environment=("AVMA_CLIENT_CERT",),
    )
    client_key: str | None = declare(
        "The private key of `clientCert`, without a passphrase: the path of a PEM file, or the text of one.",
        default=None,
        unset="none",
        example="svc-avma.key",
        secret=True,
        environment=("AVMA_CLIENT_KEY",),
    )
    message_encryption: MessageEncryption | None = declare(
        "Whether messages are sealed with the key of the logon.",
        default=None,
        unset="`auto`",
        example="always",
        environment=("AVMA_MESSAGE_ENCRYPTION",),
    )
    kerberos_hostname: str | None = declare(
        "The name in the machine's service principal `host/NAME`.",
        default=None,
        unset="the name that is connected to",
        example="hv01.lab.example.com",
        check=host_name_error,
        environment=("AVMA_KERBEROS_HOSTNAME",),
    )
    kerberos_keytab: str | None = declare(
        "The path of a keytab with the account's key, used instead of the password when `auth` is `kerberos`. Its "
        "first entry counts unless `username` is set.",
        default=None,
        unset="none",
        example="/etc/avma/svc-avma.keytab",
        environment=("AVMA_KERBEROS_KEYTAB",),
    )
    connect_timeout: str | None = declare(
        "How long one connection may take to be made.",
        default=None,
        unit=deadline.UNIT,
        unset=f"`{CONNECT_TIMEOUT}`",
        example="30s",
        check=deadline.duration_error,
        environment=("AVMA_CONNECT_TIMEOUT",),
    )
    operation_timeout: str | None = declare(
        "How long one WS-Management request may take.",
        default=None,
        unit=deadline.UNIT,
        unset=f"`{OPERATION_TIMEOUT}`",
        example="2m",
        check=deadline.duration_error,
        environment=("AVMA_OPERATION_TIMEOUT",),
    )


@dataclass(frozen=True)
class AddressedSettings(Settings):
    """The settings of one machine, with its address."""

    address: str | None = declare(
        "The DNS name or IP address to connect to.",
        default=None,
        unset="the machine's name",
        example="192.0.2.11",
        check=host_name_error,
    )
