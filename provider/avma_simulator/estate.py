"""The declared estate, field by field: hosts, VMs, keys, and the listeners of each machine."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from avma_simulator import fields

_NAMESPACE = uuid.UUID("6d1f3b86-8a0e-5f0b-9d7b-3f6f2f6f0a11")
_LOST = ("drop", "timeout", "garbage", "emptyBody", "hang")
_SWITCH = {"on": True, "yes": True, "off": False, "no": False}


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)

    @field_validator("*", mode="before")
    @classmethod
    def _switch(cls, value: Any, info: ValidationInfo) -> Any:
        """Convert `on`, `off`, `yes` and `no` in boolean fields. In other fields they stay text."""
        if cls.model_fields[str(info.field_name)].annotation is bool and isinstance(value, str):
            return _SWITCH.get(value.lower(), value)
        return value


class Control(_Record):
    """The address and port of the control endpoint."""

    address: fields.Loopback = "127.0.0.1"
    port: fields.Port = 0


class DeclaredKey(_Record):
    """A purchased key: its release and edition, and its remaining activations."""

    key: Annotated[fields.Key, Field(repr=False)]
    channel: Literal["MAK", "Retail", "OEM"]
    version: fields.Version
    edition: fields.EditionName
    activations: Annotated[int, Field(ge=0)] = 1


class License(_Record):
    """The license of a machine at the start. With `license: none`, it has no key."""

    key: Annotated[fields.Key | None, Field(repr=False)]
    status: fields.Status = "Licensed"
    reason: Annotated[int, Field(ge=0, lt=1 << 32)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _none(cls, value: Any) -> Any:
        return {"key": None} if value == "none" else value


class Http(_Record):
    """A listener without TLS. Port 0 means any free port."""

    port: fields.Port = 0


class Https(_Record):
    """A listener with TLS."""

    port: fields.Port = 0
    certificate: Literal["trusted", "selfSigned", "expired", "wrongName"] = "trusted"


class Listening(_Record):
    """The listeners of a machine or a cluster. The default is HTTP on a free port.

    `idle_timeout` drops a connection after that many idle seconds. The default of http.sys is two minutes. `aliases`
    are further addresses of the same listeners.
    """

    address: fields.Loopback = "127.0.0.1"
    aliases: tuple[fields.Loopback, ...] = Field((), strict=False)
    idle_timeout: Annotated[fields.Seconds, Field(gt=0)] = 120.0
    http: Http | None = None
    https: Https | None = None

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses of the listeners."""
        return (self.address, *self.aliases)

    @property
    def listeners(self) -> tuple[Http | Https, ...]:
        """The WinRM listeners."""
        if not self.model_fields_set & {"http", "https"}:
            return (Http(),)
        return tuple(listener for listener in (self.http, self.https) if listener is not None)


class Delays(_Record):
    """Additional seconds for each request, each activation, and each start of PowerShell."""

    request: fields.Seconds = 0.0
    activation: fields.Seconds = 0.0
    powershell: fields.Seconds = 0.0


class Quotas(_Record):
    """The limits per user (shells, processes in each, operations) and the limit of requests of all users together."""

    operations: Annotated[int, Field(ge=0)] = 1500
    connections: Annotated[int, Field(ge=0)] = 300
    shells: Annotated[int, Field(ge=0)] = 30
    processes: Annotated[int, Field(ge=0)] = 25


class FaultRule(_Record):
    """One way for an operation to fail: with an HRESULT or with an unusable answer.

    `operation` is a name as in the counts: `Enumerate`, `Pull`, `Get`, `Class/Method` or `Shell/Create`. PowerShell has
    names such as `RunspacePool/Create` and `Pipeline/Command`. `class` limits the rule to one WMI class. `skip` is the
    number of operations to let succeed first. `detail` is the form of the fault that carries the HRESULT.
    """

    operation: fields.Operation
    hresult: fields.HResult | None = None
    answer: fields.FaultAnswer | None = None
    cim_class: str | None = Field(None, alias="class")
    detail: Literal["MSFT_WmiError", "WSManFault"] = "MSFT_WmiError"
    skip: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=1)] | None = None
    after: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> FaultRule:
        if (self.hresult is None) == (self.answer is None):
            raise ValueError("must contain either `hresult` or `answer`")
        if self.after and self.answer not in _LOST:
            raise ValueError("`after` requires the answer drop, timeout, garbage, emptyBody or hang")
        if self.answer == "noRows" and self.operation.lower() not in ("enumerate", "pull"):
            raise ValueError("`noRows` requires the operation Enumerate or Pull")
        return self


class AccountRights(_Record):
    """The rights of an account. Without `groups`, the preset `rights` of its machine applies."""

    groups: Annotated[frozenset[fields.Group] | None, Field(strict=False)] = None
    cluster_access: bool = False
    namespaces: dict[fields.Namespace, fields.Access] = {}
    remote_power_shell: bool = True


class Machine(AccountRights, Listening):
    """The common fields of hosts and VMs. A VM with `vms` is a nested host."""

    name: str
    own_name: fields.MachineName | None = Field(None, alias="computerName")

    version: fields.AnyVersion
    edition: fields.AnyEdition
    evaluation: bool = False
    server_core: bool = False
    license: License | None = None
    leftover_key: Annotated[fields.Key | None, Field(repr=False)] = None
    leftover_status: fields.Status = "Unlicensed"
    service_version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+\.\d+$")] | None = None
    leftover_evaluation: bool = False
    extended_security_updates: fields.EsuYears = Field((), strict=False)
    online: bool = True
    logons: Annotated[tuple[fields.Logon, ...], AfterValidator(fields.not_empty)] = Field(("ntlm",), strict=False)
    channel_binding: Literal["none", "relaxed", "strict"] = "relaxed"
    keytab: fields.File | None = None
    client_certificate: fields.CertificateFile | None = None
    domain: fields.DomainName | None = None
    username: fields.UserName | None = None
    password: Annotated[fields.Password | None, Field(repr=False)] = None
    rights: fields.Rights = "administrator"
    session_configurations: tuple[fields.File, ...] = Field((), strict=False)
    stopped_services: tuple[fields.WindowsService, ...] = Field((), strict=False)
    quotas: Quotas = Quotas()
    language: Literal["en-US", "de-DE", "ja-JP"] = "en-US"
    utc_offset: Annotated[int, Field(ge=-720, le=840)] = 0
    delays: Delays = Delays()
    faults: tuple[FaultRule, ...] = Field((), strict=False)
    vms: tuple[Vm, ...] = Field((), strict=False)

    def vm_id(self, index: int) -> str:
        """Return the declared GUID of the VM, or one derived from the names."""
        vm = self.vms[index]
        earlier = sum(other.name.lower() == vm.name.lower() for other in self.vms[:index])
        name = f"{self.name}/{vm.name}" + (f"#{earlier + 1}" if earlier else "")
        return vm.id or str(uuid.uuid5(_NAMESPACE, name.lower())).upper()

    @property
    def dns_host_name(self) -> str:
        """The full name of the Windows computer."""
        return (self.own_name or re.sub(r"[^A-Za-z0-9_-]+", "-", self.name)).upper()

    @property
    def computer_name(self) -> str:
        """The NetBIOS name: at most 15 characters. WMI and clusters show this one."""
        return self.dns_host_name[: fields.NETBIOS_LENGTH]

    @property
    def listeners(self) -> tuple[Http | Https, ...]:
        """The WinRM listeners, empty without an account."""
        return () if self.username is None else super().listeners


class Linux(_Record):
    """The Data Exchange values of a Linux guest."""

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
"""A placeholder for the Windows of a Linux guest. Nothing reads it."""


class Vm(Machine):
    """A virtual machine and its guest. `replica` is the host of its Hyper-V Replica."""

    version: fields.Version
    edition: fields.EditionName
    name: fields.VmName
    id: fields.Guid | None = None
    state: fields.VmState = "running"
    data_exchange: bool = True
    data_exchange_items: Annotated[tuple[str, ...] | None, Field(strict=False)] = None
    network: bool = True
    reported_addresses: tuple[fields.Ip, ...] = Field((), strict=False)
    ready_after: fields.Seconds = 0.0
    linux: Linux | None = None
    replica: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_windows(cls, value: Any) -> Any:
        """Accept a Linux guest without the fields for Windows."""
        if not isinstance(value, dict) or value.get("linux") is None:
            return value
        given = [name for name in _NOT_IN_LINUX if name in value]
        if given:
            raise ValueError(f"a Linux guest cannot have `{given[0]}`")
        return value | _UNUSED

    @property
    def listeners(self) -> tuple[Http | Https, ...]:
        """The WinRM listeners, empty without an account or a network."""
        return super().listeners if self.network else ()


class Host(Machine):
    """A Hyper-V host and its VMs. The fields from `server_key` to `module` are for Azure Stack HCI only."""

    name: fields.MachineName
    username: fields.UserName
    password: Annotated[fields.Password, Field(repr=False)]
    firmware_uuid: fields.FirmwareUuid | None = None
    pay_as_you_go: bool = False
    server_key: Annotated[fields.Key | None, Field(repr=False)] = None
    subscription: bool = False
    synced: bool = True
    oem_license: bool = False
    module: fields.Module = "1.1"
    opaque: bool = False


class Cluster(Listening):
    """A failover cluster: the hosts that are its nodes, and the listeners of its own name."""

    name: fields.MachineName
    nodes: Annotated[tuple[str, ...], AfterValidator(fields.not_empty)] = Field(strict=False)


class DomainAccount(_Record):
    """An account of a domain."""

    username: fields.DomainUser
    password: Annotated[fields.Password, Field(repr=False)]


class Domain(_Record):
    """A domain: its NetBIOS name, its DNS name, and its accounts."""

    name: fields.NetbiosName
    dns_name: fields.DomainName | None = None
    accounts: tuple[DomainAccount, ...] = Field((), strict=False)


class Estate(_Record):
    """A whole estate."""

    control: Control = Control()
    kms: bool = False
    lockout_threshold: Annotated[int, Field(ge=1)] | None = None
    domains: tuple[Domain, ...] = Field((), strict=False)
    keys: tuple[DeclaredKey, ...] = Field((), strict=False)
    hosts: Annotated[tuple[Host, ...], AfterValidator(fields.not_empty)] = Field(strict=False)
    clusters: tuple[Cluster, ...] = Field((), strict=False)

    def machines(self) -> Iterator[tuple[fields.Location, Host | Vm]]:
        """Yield every machine with its location in the file, each host before its VMs."""
        for index, host in enumerate(self.hosts):
            yield from _with_vms(("hosts", index), host)


def _with_vms(location: fields.Location, machine: Host | Vm) -> Iterator[tuple[fields.Location, Host | Vm]]:
    yield location, machine
    for number, vm in enumerate(machine.vms):
        yield from _with_vms((*location, "vms", number), vm)
