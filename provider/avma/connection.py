"""How a machine is reached: what a user may declare, and the complete record that a connection is made from.

The same settings stand on the provider and, overriding it, on a resource. The module opens no connection.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from avma import deadline, errors
from avma.properties import Choice, Property, declare, properties

HTTP_PORT = 5985
HTTPS_PORT = 5986
CONNECT_TIMEOUT = "10s"
OPERATION_TIMEOUT = "60s"
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*\.?")


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


def host_name_error(name: str) -> str | None:
    """Say what is wrong with a host name or address, None when it can be one."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return None if _HOST_NAME.fullmatch(name) else f"`{name}` is not a host name or an IP address"
    return "must be without a zone index, such as `%eth0`" if "%" in name else None


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


@dataclass(frozen=True)
class Connection:
    """A machine and the complete way to it: timeouts in seconds, secrets kept out of `repr`."""

    name: str
    address: str
    port: int
    https: bool
    username: str
    password: str
    auth: Auth
    insecure: bool
    ca_cert: str | None
    client_cert: str | None
    client_key: str | None
    message_encryption: MessageEncryption
    kerberos_hostname: str | None
    kerberos_keytab: str | None
    connect_timeout: float
    operation_timeout: float
    prefix: str = ""
    """What stands before the names of the properties, where errors tell to set one: "guest.", say."""

    def __repr__(self) -> str:
        return f"Connection({self.where}, {self.username}, {self.auth.value})"

    @property
    def where(self) -> str:
        """The machine as errors name it."""
        endpoint = f"{self._host}:{self.port}"
        return endpoint if self.name == self.address else f"{self.name} ({endpoint})"

    @property
    def endpoint(self) -> str:
        """The URL of the WinRM service."""
        return f"{'https' if self.https else 'http'}://{self._host}:{self.port}/wsman"

    @property
    def _host(self) -> str:
        return f"[{self.address}]" if ":" in self.address else self.address


def resolve(name: str, *layers: Settings | None, prefix: str = "") -> Connection:
    """Complete the settings of the machine `name` from layers, the first that gives a value winning.

    `prefix` stands before the names of the properties that errors tell to set.

    Raises:
        InvalidInput: what the logon needs is missing, or it would show a password or messages to the network.
    """
    given = _merge(layers)
    https = bool(given.get("https", True))
    connection = Connection(
        name=name,
        address=given.get("address") or name,
        port=given.get("port") or (HTTPS_PORT if https else HTTP_PORT),
        https=https,
        username=given.get("username", ""),
        password=given.get("password", ""),
        auth=given.get("auth", Auth.NTLM),
        insecure=bool(given.get("insecure", False)),
        ca_cert=given.get("ca_cert"),
        client_cert=given.get("client_cert"),
        client_key=given.get("client_key"),
        message_encryption=given.get("message_encryption", MessageEncryption.AUTO),
        kerberos_hostname=given.get("kerberos_hostname"),
        kerberos_keytab=given.get("kerberos_keytab"),
        connect_timeout=deadline.seconds(given.get("connect_timeout", CONNECT_TIMEOUT)),
        operation_timeout=deadline.seconds(given.get("operation_timeout", OPERATION_TIMEOUT)),
        prefix=prefix,
    )
    _require_safe_logon(connection)
    return connection


def from_environment(record: type, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the values that environment variables give for a record's properties, as a front end would pass them.

    Numbers and booleans are JSON; what is not is passed on as text, for the check to name.
    """
    found = ((prop, _first(environment, prop.rule.environment)) for prop in properties(record))
    return {prop.name: text_value(prop, text) for prop, text in found if text is not None}


def text_value(prop: Property, text: str) -> Any:
    """Return the value that a text stands for, where configuration can hold nothing but text."""
    if prop.type is str or (isinstance(prop.type, type) and issubclass(prop.type, Choice)):
        return text
    try:
        return json.loads(text.lower() if prop.type is bool else text)
    except ValueError:
        return text


def _merge(layers: tuple[Settings | None, ...]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in reversed([layer for layer in layers if layer is not None]):
        pairs = ((field.name, getattr(layer, field.name)) for field in fields(layer))
        merged.update({name: value for name, value in pairs if value is not None})
    return merged


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)


def _require_safe_logon(connection: Connection) -> None:
    for answer, remedy in (*_missing(connection), *_unsafe(connection)):
        raise errors.InvalidInput("open a connection", connection.where, answer, remedy)


def _missing(connection: Connection) -> Iterator[tuple[str, str]]:
    prefix = connection.prefix
    place = "in the provider's configuration or on the resource"
    if connection.auth is Auth.CERTIFICATE:
        if not connection.client_cert or not connection.client_key:
            answer = f"no {prefix}clientCert and {prefix}clientKey are given for it"
            yield answer, f"set `{prefix}clientCert` and `{prefix}clientKey` {place}"
    elif connection.auth is Auth.KERBEROS:
        if connection.password and not connection.username and not connection.kerberos_keytab:
            yield f"a {prefix}password is given, and no {prefix}username", f"set `{prefix}username` {place}"
    elif not connection.username or not connection.password:
        answer = f"no {prefix}username and password are given for it"
        yield answer, f"set `{prefix}username` and `{prefix}password` {place}"


def _unsafe(connection: Connection) -> Iterator[tuple[str, str]]:
    auth, prefix = connection.auth, connection.prefix
    if auth is Auth.BASIC and not connection.https:
        answer = "Basic over plain http would show the password to the network"
        yield answer, f"set `{prefix}https: true`, or `{prefix}auth: ntlm`"
    if auth is Auth.CERTIFICATE and not connection.https:
        answer = "a client certificate is shown in TLS, which plain http has not"
        yield answer, f"set `{prefix}https: true`, or another `{prefix}auth`"
    if connection.message_encryption is MessageEncryption.NEVER and not connection.https:
        answer = "unsealed messages over plain http would show keys and passwords to the network"
        yield answer, f"set `{prefix}messageEncryption: auto`, or `{prefix}https: true`"
    if connection.message_encryption is MessageEncryption.ALWAYS and auth not in SEALING:
        answer = f"a logon by `{auth.value}` gives no key to seal messages with"
        yield answer, f"set `{prefix}messageEncryption: auto`, or another `{prefix}auth`"
