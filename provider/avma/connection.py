"""The complete connection settings of one machine, merged from layers of settings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from avma import characters, deadline, errors
from avma.addresses import canonical, host_name_error, parse_ip
from avma.settings import (
    AUTH_METHODS,
    CONNECT_TIMEOUT,
    DEFAULT_CONFIGURATION,
    HTTP_PORT,
    HTTPS_PORT,
    OPERATION_TIMEOUT,
    Auth,
    MessageEncryption,
    Settings,
    merged,
)
from avma.wording import setting, where_to_set


@dataclass(frozen=True)
class Connection:
    """The connection settings of one machine. Timeouts are in seconds. `repr` contains no secrets."""

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
    configuration_name: str = ""
    """The session configuration with only the scripts of this provider, empty for the default of Windows."""
    prefix: str = ""
    """The text before property names in errors, for example "guest."."""
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)
    """See `Settings.sources`."""

    def __post_init__(self) -> None:
        """Raise InvalidHost unless `ipaddress` and the system resolver read the address alike.

        Every connection uses this address, so no connection reaches a machine that nobody named. Input validation does
        not cover stored inputs and the addresses that machines report. This check does.
        """
        reason = host_name_error(self.address)
        if reason is not None:
            remedy = "" if _has_advice(reason) else f"set {self.setting('address')} to the DNS name or IP address"
            raise errors.InvalidHost("open a connection", characters.shown(self.name), reason, remedy)

    def __repr__(self) -> str:
        return f"Connection({self.where}, {self.username}, {self.auth.value})"

    def setting(self, name: str, value: object = None) -> str:
        """Return a reference to a setting of the connection, for errors. See `avma.wording.setting`.

        Without a value to set, it names the environment variable of its current value. The address of a host is not in
        the provider's configuration, so its path begins with its record.
        """
        prefix = self.prefix or ("connection." if name == "address" else "")
        return setting(f"{prefix}{name}", value, self.sources.get(name) if value is None else None)

    @property
    def where(self) -> str:
        """The machine, as errors name it."""
        return self._endpoint if self.name == self.address else f"{self.name} ({self._endpoint})"

    @property
    def place(self) -> str:
        """The machine, as errors name it inside parentheses."""
        return self._endpoint if self.name == self.address else f"{self.name}, {self._endpoint}"

    @property
    def _endpoint(self) -> str:
        return f"{_in_url(self.address)}:{self.port}"

    @property
    def endpoint(self) -> str:
        """The URL of the WinRM service. It is the same for each spelling of the address."""
        return f"{'https' if self.https else 'http'}://{_in_url(canonical(self.address))}:{self.port}/wsman"


def resolve(name: str, *layers: Settings | None, prefix: str = "") -> Connection:
    """Return the connection settings of the machine `name`, merged from layers. The first layer with a value wins.

    `prefix` is the text before property names in errors.

    Raises:
        InvalidInput: the address is invalid, a setting for the sign-in is missing, or the connection would show a
            password or messages to the network.
    """
    given = merged(*layers)
    https = bool(given.get("https", True))
    connection = Connection(
        name=name,
        address=_to_connect(given.get("address") or name),
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
        configuration_name=_restricted(given.get("configuration_name", "")),
        prefix=prefix,
        sources=given["sources"],
    )
    _require_safe_logon(connection, given)
    return connection


def _restricted(configuration_name: str) -> str:
    """Return the name of a session configuration, empty for the default. PowerShell ignores upper and lower case."""
    return "" if configuration_name.lower() == DEFAULT_CONFIGURATION.lower() else configuration_name


def account_settings(prefix: str, sources: Mapping[str, str]) -> str:
    """Return the settings of an account, as errors name them. `prefix`: see `resolve`. See `Settings.sources`."""
    names = ("username", "password")
    return " and ".join(setting(f"{prefix}{name}", variable=sources.get(name)) for name in names)


def missing_account(prefix: str, username: str | None, password: str | None) -> tuple[str, str] | None:
    """Return the missing part of an account and the remedy, or None if it is complete. `prefix`: see `resolve`."""
    account = {"username": username, "password": password}
    missing = [name for name, value in account.items() if not value]
    if not missing:
        return None
    names = " and ".join(setting(f"{prefix}{name}") for name in missing)
    remedy = _to_set(missing, prefix)
    empty = next((name for name in missing if account[name] is not None), None)
    if empty is not None:
        return f"{setting(f'{prefix}{empty}')} is empty", remedy
    return f"{names} {'is' if len(missing) == 1 else 'are'} not set", remedy


def _to_set(names: Sequence[str], prefix: str) -> str:
    """Return the remedy for missing settings: all places in which they can be set."""
    named = " and ".join(setting(f"{prefix}{name}") for name in names)
    variables = ", ".join(f"AVMA_{prefix}{name}".replace(".", "_").upper() for name in names)
    return f"set {named}{where_to_set(prefix.removesuffix('.') or 'connection', variables)}"


def _has_advice(reason: str) -> bool:
    """Return True if a reason has a second sentence. It contains the correct spelling, or its rule."""
    return ". " in reason


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _to_connect(address: str) -> str:
    """Return an IP address in canonical form. A name keeps its case, because Kerberos compares it."""
    return address.removesuffix(".") if parse_ip(address) is None else canonical(address)


def _require_safe_logon(connection: Connection, given: Mapping[str, Any]) -> None:
    for answer, remedy in (*_missing(connection, given), *_unsafe(connection)):
        raise errors.InvalidInput("open a connection", connection.where, answer, remedy)


def _missing(connection: Connection, given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    named, prefix = connection.setting, connection.prefix
    if connection.auth is Auth.CERTIFICATE:
        if not connection.client_cert or not connection.client_key:
            both = f"{named('client_cert')} and {named('client_key')}"
            yield f"{both} are not both set", _to_set(("client_cert", "client_key"), prefix)
    elif connection.auth is Auth.KERBEROS:
        if connection.password and not connection.username and not connection.kerberos_keytab:
            answer = f"{named('password')} is set, but {named('username')} is not"
            yield answer, _to_set(("username",), prefix)
    else:
        missing = missing_account(prefix, given.get("username"), given.get("password"))
        if missing is not None:
            yield missing


def _unsafe(connection: Connection) -> Iterator[tuple[str, str]]:
    auth, named = connection.auth, connection.setting
    tls, ntlm = named("https", True), named("auth", Auth.NTLM)
    auto = named("message_encryption", MessageEncryption.AUTO)
    if auth is Auth.BASIC and not connection.https:
        answer = "Basic authentication over http would send the password unencrypted"
        yield answer, f"set {tls}, or {ntlm}"
    if auth is Auth.CERTIFICATE and not connection.https:
        answer = "certificate authentication works over https only"
        yield answer, f"set {tls}, or use another {named('auth')}"
    if connection.message_encryption is MessageEncryption.NEVER and not connection.https:
        answer = "unencrypted messages over http would reveal keys and passwords"
        yield answer, f"set {auto}, or {tls}"
    if connection.message_encryption is MessageEncryption.ALWAYS and not AUTH_METHODS[auth].encrypts:
        answer = f"`{auth.value}` provides no key for message encryption"
        yield answer, f"set {auto}, or use another {named('auth')}"
