"""The estate as its file declares it: hosts, VMs, keys, and how each machine is reached.

The module knows the form of the file, field by field. It knows no behaviour and no rule between fields.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from avma import keys
from avma_simulator.source import Location

_Item = TypeVar("_Item")
_NAMESPACE = uuid.UUID("6d1f3b86-8a0e-5f0b-9d7b-3f6f2f6f0a11")
_OPERATION = re.compile(r"(?i:Enumerate|Pull|Release|Get|Identify|(?:Invoke )?\w+/\w+)")
_LOST = ("drop", "timeout", "garbage", "emptyBody")
_MACHINE_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
"""The underscore is no character of host names in DNS, but Windows accepts it in computer names."""
_NETBIOS_LENGTH = 15
_SWITCH = {"on": True, "yes": True, "off": False, "no": False}
_USER_NAME = re.compile(r"""(?:[^"/\\\[\]:;|=,+*?<>@\x00-\x1f]+\\)?[^"/\\\[\]:;|=,+*?<>\x00-\x1f]+""")
"""Windows refuses the excluded characters in account names."""
_ONE_LINE = re.compile(r"[^\r\n\0]*")
_DOMAIN_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9])?")


def _year(value: Any) -> Any:
    return str(value) if type(value) is int else value


def _module(value: Any) -> Any:
    return str(value) if type(value) is float else value


def _loopback(value: str) -> str:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise ValueError("must be an IP address") from None
    if not address.is_loopback:
        raise ValueError("must be a loopback address, such as 127.0.0.1: an estate is never shown to the network")
    return value


def _ip(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError("must be an IP address") from None


def _product_key(value: str) -> str:
    mistake = keys.syntax_error(value)
    if mistake:
        raise ValueError(mistake)
    return keys.normalize(value)


def _machine_name(value: str) -> str:
    if not _MACHINE_NAME.fullmatch(value):
        raise ValueError("must be a computer name: letters, digits, underscores and inner hyphens, 63 at most")
    return value


def _vm_name(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value) > 100:
        raise ValueError("must be 1 to 100 printable characters")
    return value


def _not_empty(value: tuple[_Item, ...]) -> tuple[_Item, ...]:
    if not value:
        raise ValueError("must not be empty")
    return value


def _distinct(value: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(value)) < len(value):
        raise ValueError("must not name a year twice")
    return value


def _guid(value: str) -> str:
    try:
        return str(uuid.UUID(value)).upper()
    except ValueError:
        raise ValueError("must be a GUID") from None


def _firmware_uuid(value: str) -> str:
    return _guid(value) if value else value


def _unsigned(value: int) -> int:
    return value & 0xFFFFFFFF


def _operation(value: str) -> str:
    if not _OPERATION.fullmatch(value):
        raise ValueError("must be Enumerate, Pull, Get, Class/Method, Shell/Create or Pipeline/Command")
    return value


def _file(value: str) -> str:
    try:
        Path(value).open("rb").close()
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    return value


def _certificate_file(value: str) -> str:
    try:
        ssl.create_default_context(cafile=value)
    except ssl.SSLError:
        raise ValueError("must be a PEM file with a certificate") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    return value


def _user_name(value: str) -> str:
    if not _USER_NAME.fullmatch(value):
        raise ValueError(r'must be a user name: user, DOMAIN\user or user@domain, without any of "/[]:;|=,+*?<>')
    return value


def _password(value: str) -> str:
    if not value or not _ONE_LINE.fullmatch(value):
        raise ValueError("must not be empty and must hold no line break")
    return value


def _domain_user(value: str) -> str:
    if "\\" in value or "@" in value:
        raise ValueError("must be a user name alone: the domain is around it")
    return _user_name(value)


def _netbios_name(value: str) -> str:
    if "." in value or len(value) > _NETBIOS_LENGTH:
        raise ValueError("must be the NetBIOS name of a domain: 15 characters at most, and no dot")
    return _domain_name(value)


def _domain_name(value: str) -> str:
    if not _DOMAIN_NAME.fullmatch(value):
        raise ValueError("must be the name of a domain, such as LAB or lab.example")
    return value


_Server = Literal["2012 R2", "2016", "1709", "1803", "2019", "1903", "1909", "2004", "20H2", "2022", "23H2", "2025"]
Version = Annotated[_Server, BeforeValidator(_year)]
EditionName = Literal["Datacenter", "Standard", "Essentials", "Datacenter Azure Edition"]
AnyVersion = Annotated[Literal[_Server, "21H2", "22H2", "24H2"], BeforeValidator(_year)]
AnyEdition = Literal["Datacenter", "Standard", "Essentials", "Datacenter Azure Edition", "Azure Stack HCI"]
Module = Annotated[Literal["none", "1.0", "1.1"], BeforeValidator(_module)]
Status = Literal["Licensed", "Unlicensed", "OOBGrace", "OOTGrace", "NonGenuineGrace", "Notification", "ExtendedGrace"]
Logon = Literal["ntlm", "negotiate", "kerberos", "credssp", "certificate", "basic"]
EsuYear = Annotated[int, Field(ge=1, le=3)]
Key = Annotated[str, AfterValidator(_product_key)]
Loopback = Annotated[str, AfterValidator(_loopback)]
Ip = Annotated[str, AfterValidator(_ip)]
Port = Annotated[int, Field(ge=0, le=65535)]
Namespace = Literal["root/cimv2", "root/virtualization/v2", "root/mscluster"]
Access = Literal["full", "read", "empty", "denied"]
Rights = Literal["administrator", "wmi", "shell", "user", "none"]
VmState = Literal["running", "off", "saved", "paused", "starting", "stopping", "saving", "pausing", "resuming"]
WindowsService = Literal["vmms", "sppsvc", "ClusSvc"]
Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
UserName = Annotated[str, AfterValidator(_user_name)]
Password = Annotated[str, AfterValidator(_password)]
DomainName = Annotated[str, AfterValidator(_domain_name)]


VmName = Annotated[str, AfterValidator(_vm_name)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)

    @field_validator("*", mode="before")
    @classmethod
    def _switch(cls, value: Any, info: ValidationInfo) -> Any:
        """Read `on`, `off`, `yes` and `no` where true or false is meant; anywhere else they are text."""
        if cls.model_fields[str(info.field_name)].annotation is bool and isinstance(value, str):
            return _SWITCH.get(value.lower(), value)
        return value


class Control(_Record):
    """Where the control endpoint listens."""

    address: Loopback = "127.0.0.1"
    port: Port = 0


class DeclaredKey(_Record):
    """A key that Microsoft sold: what it is for and how many machines it can still activate."""

    key: Annotated[Key, Field(repr=False)]
    channel: Literal["MAK", "Retail", "OEM"]
    version: Version
    edition: EditionName
    activations: Annotated[int, Field(ge=0)] = 1


class License(_Record):
    """What is installed on a machine at the start; no key when the file says `license: none`."""

    key: Annotated[Key | None, Field(repr=False)]
    status: Status = "Licensed"
    reason: Annotated[int, Field(ge=0, lt=1 << 32)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return {"key": None} if value == "none" else value


class Http(_Record):
    """A listener without TLS; port 0 is any free one."""

    port: Port = 0


class Https(_Record):
    """A listener with TLS."""

    port: Port = 0
    certificate: Literal["trusted", "selfSigned", "expired", "wrongName"] = "trusted"


class Listening(_Record):
    """Where a machine or a cluster listens: http on a free port when the file names no listener.

    `idle_timeout` is how long a connection may be silent before it is dropped, two minutes by the defaults of http.sys.
    `aliases` are further addresses at which the same listeners answer.
    """

    address: Loopback = "127.0.0.1"
    aliases: tuple[Loopback, ...] = Field((), strict=False)
    idle_timeout: Annotated[Seconds, Field(gt=0)] = 120.0
    http: Http | None = None
    https: Https | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses at which the listeners answer."""
        return (self.address, *self.aliases)

    @property
    def listeners(self) -> tuple[Http | Https, ...]:
        """The WinRM listeners."""
        if not self.model_fields_set & {"http", "https"}:
            return (Http(),)
        return tuple(listener for listener in (self.http, self.https) if listener is not None)


class Delays(_Record):
    """Seconds that each request, each activation, and each start of PowerShell takes longer."""

    request: Seconds = 0.0
    activation: Seconds = 0.0
    powershell: Seconds = 0.0


class Quotas(_Record):
    """What a user may have at a time: shells, processes in each, operations; and requests of all users together."""

    operations: Annotated[int, Field(ge=0)] = 1500
    connections: Annotated[int, Field(ge=0)] = 300
    shells: Annotated[int, Field(ge=0)] = 30
    processes: Annotated[int, Field(ge=0)] = 25


class Fault(_Record):
    """One way in which an operation goes wrong: with an HRESULT, or with an answer that is none.

    `operation` is as it is counted: `Enumerate`, `Pull`, `Get`, `Class/Method`, `Shell/Create` and the like, and for
    PowerShell `RunspacePool/Create` or `Pipeline/Command` and the like;
    `class` limits the rule to one WMI class, and `skip` lets so many operations succeed first. `detail` is the form of
    the fault in which the HRESULT is told.
    """

    operation: Annotated[str, AfterValidator(_operation)]
    hresult: Annotated[int, Field(ge=-(1 << 31), lt=1 << 32), AfterValidator(_unsigned)] | None = None
    answer: (
        Literal["drop", "timeout", "accessDenied", "quota", "unavailable", "garbage", "emptyBody", "noRows"] | None
    ) = None
    cim_class: str | None = Field(None, alias="class")
    detail: Literal["MSFT_WmiError", "WSManFault"] = "MSFT_WmiError"
    skip: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=1)] | None = None
    after: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Fault:
        if (self.hresult is None) == (self.answer is None):
            raise ValueError("needs either hresult or answer")
        if self.after and self.answer not in _LOST:
            raise ValueError("`after` goes with an answer that is lost: drop, timeout, garbage or emptyBody")
        if self.answer == "noRows" and self.operation.lower() not in ("enumerate", "pull"):
            raise ValueError("`noRows` is an answer to Enumerate or Pull")
        return self


class Machine(Listening):
    """What hosts and VMs have in common; a VM with `vms` is a host inside a host."""

    name: str
    own_name: Annotated[str, AfterValidator(_machine_name)] | None = Field(None, alias="computerName")

    version: AnyVersion
    edition: AnyEdition
    evaluation: bool = False
    server_core: bool = False
    license: License | None = None
    leftover_key: Annotated[Key | None, Field(repr=False)] = None
    leftover_status: Status = "Unlicensed"
    leftover_evaluation: bool = False
    extended_security_updates: Annotated[tuple[EsuYear, ...], AfterValidator(_distinct)] = Field((), strict=False)
    online: bool = True
    logons: Annotated[tuple[Logon, ...], AfterValidator(_not_empty)] = Field(("ntlm",), strict=False)
    channel_binding: Literal["none", "relaxed", "strict"] = "relaxed"
    keytab: Annotated[str, AfterValidator(_file)] | None = None
    client_certificate: Annotated[str, AfterValidator(_certificate_file)] | None = None
    domain: DomainName | None = None
    username: UserName | None = None
    password: Annotated[Password | None, Field(repr=False)] = None
    rights: Rights = "administrator"
    namespaces: dict[Namespace, Access] = {}
    stopped_services: tuple[WindowsService, ...] = Field((), strict=False)
    remote_power_shell: bool = True
    quotas: Quotas = Quotas()
    language: Literal["en-US", "de-DE", "ja-JP"] = "en-US"
    utc_offset: Annotated[int, Field(ge=-720, le=840)] = 0
    delays: Delays = Delays()
    faults: tuple[Fault, ...] = Field((), strict=False)
    vms: tuple[Vm, ...] = Field((), strict=False)

    def vm_id(self, index: int) -> str:
        """Return the VM's declared GUID, or one made of the names."""
        vm = self.vms[index]
        earlier = sum(other.name.lower() == vm.name.lower() for other in self.vms[:index])
        name = f"{self.name}/{vm.name}" + (f"#{earlier + 1}" if earlier else "")
        return vm.id or str(uuid.uuid5(_NAMESPACE, name.lower())).upper()

    @property
    def dns_host_name(self) -> str:
        """The name that Windows gives itself, in full."""
        return (self.own_name or re.sub(r"[^A-Za-z0-9_-]+", "-", self.name)).upper()

    @property
    def computer_name(self) -> str:
        """The NetBIOS name, which ends after 15 characters: WMI and clusters show this one."""
        return self.dns_host_name[:_NETBIOS_LENGTH]

    @property
    def listeners(self) -> tuple[Http | Https, ...]:
        """The WinRM listeners: none without an account."""
        return () if self.username is None else super().listeners


class Linux(_Record):
    """What a Linux guest reports of itself through Data Exchange."""

    name: str = "Ubuntu"
    version: str = "24.04"
    kernel: str = "6.8.0-31-generic"


_NOT_IN_LINUX = (
    "version",
    "edition",
    "evaluation",
    "serverCore",
    "license",
    "leftoverKey",
    "leftoverStatus",
    "leftoverEvaluation",
    "extendedSecurityUpdates",
    "vms",
    "domain",
    "username",
    "password",
    "http",
    "https",
)
_UNUSED = {"version": "2025", "edition": "Standard"}
"""What stands for the Windows that a Linux guest does not have. Nothing reads it."""


class Vm(Machine):
    """A virtual machine and the guest in it; `replica` is the host that holds its Hyper-V Replica."""

    version: Version
    edition: EditionName
    name: VmName
    id: Annotated[str, AfterValidator(_guid)] | None = None
    state: VmState = "running"
    data_exchange: bool = True
    data_exchange_items: Annotated[tuple[str, ...] | None, Field(strict=False)] = None
    network: bool = True
    reported_addresses: tuple[Ip, ...] = Field((), strict=False)
    ready_after: Seconds = 0.0
    linux: Linux | None = None
    replica: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_windows(cls, value: Any) -> Any:
        """Let a Linux guest have none of the fields that are for Windows."""
        if not isinstance(value, dict) or value.get("linux") is None:
            return value
        given = [name for name in _NOT_IN_LINUX if name in value]
        if given:
            raise ValueError(f"a Linux guest has no `{given[0]}`")
        return value | _UNUSED

    @property
    def listeners(self) -> tuple[Http | Https, ...]:
        """The WinRM listeners: none without an account or a network."""
        return super().listeners if self.network else ()


class Host(Machine):
    """A Hyper-V host and its VMs; what Azure Stack HCI alone has is `server_key` to `module`."""

    name: Annotated[str, AfterValidator(_machine_name)]
    username: UserName
    password: Annotated[Password, Field(repr=False)]
    firmware_uuid: Annotated[str, AfterValidator(_firmware_uuid)] | None = None
    pay_as_you_go: bool = False
    server_key: Annotated[Key | None, Field(repr=False)] = None
    subscription: bool = False
    synced: bool = True
    oem_license: bool = False
    module: Module = "1.1"
    opaque: bool = False


class Cluster(Listening):
    """A failover cluster: the hosts that are its nodes, and where its own name answers."""

    name: Annotated[str, AfterValidator(_machine_name)]
    nodes: Annotated[tuple[str, ...], AfterValidator(_not_empty)] = Field(strict=False)


class DomainAccount(_Record):
    """An account of a domain."""

    username: Annotated[str, AfterValidator(_domain_user)]
    password: Annotated[Password, Field(repr=False)]


class Domain(_Record):
    """A domain that machines are members of: its NetBIOS name, its DNS name, and its accounts."""

    name: Annotated[str, AfterValidator(_netbios_name)]
    dns_name: DomainName | None = None
    accounts: tuple[DomainAccount, ...] = Field((), strict=False)


class Estate(_Record):
    """A whole estate."""

    control: Control = Control()
    kms: bool = False
    lockout_threshold: Annotated[int, Field(ge=1)] | None = None
    domains: tuple[Domain, ...] = Field((), strict=False)
    keys: tuple[DeclaredKey, ...] = Field((), strict=False)
    hosts: Annotated[tuple[Host, ...], AfterValidator(_not_empty)] = Field(strict=False)
    clusters: tuple[Cluster, ...] = Field((), strict=False)

    def machines(self) -> Iterator[tuple[Location, Host | Vm]]:
        """Yield every machine, each host before its VMs, with its place in the file."""
        for index, host in enumerate(self.hosts):
            yield from _with_vms(("hosts", index), host)


def _with_vms(location: Location, machine: Host | Vm) -> Iterator[tuple[Location, Host | Vm]]:
    yield location, machine
    for number, vm in enumerate(machine.vms):
        yield from _with_vms((*location, "vms", number), vm)
