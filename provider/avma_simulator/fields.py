"""The field types of an estate file: their accepted values and their error messages."""

from __future__ import annotations

import ipaddress
import re
import ssl
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from avma import keys

Location = tuple[str | int, ...]
"""The place of a field: the names of the fields and the positions in the lists around it."""

_Item = TypeVar("_Item")
_OPERATION = re.compile(r"(?i:Enumerate|Pull|Release|Get|Identify|(?:Invoke )?\w+/\w+)")
_MACHINE_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
"""DNS host names have no underscore, but Windows accepts it in computer names."""
NETBIOS_LENGTH = 15
_USER_NAME = re.compile(r"""(?:[^"/\\\[\]:;|=,+*?<>@\x00-\x1f]+\\)?[^"/\\\[\]:;|=,+*?<>\x00-\x1f]+""")
"""Windows rejects the excluded characters in account names."""
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
        raise ValueError("must be a loopback address, such as 127.0.0.1. Other computers must not reach the simulator")
    return str(address)


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
        raise ValueError("must be a computer name: at most 63 letters, digits, underscores and inner hyphens")
    return value


def _vm_name(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value) > 100:
        raise ValueError("must be 1 to 100 printable characters")
    return value


def not_empty(value: tuple[_Item, ...]) -> tuple[_Item, ...]:
    """Raise ValueError if a list is empty."""
    if not value:
        raise ValueError("must not be empty")
    return value


def _distinct(value: tuple[int, ...]) -> tuple[int, ...]:
    """Raise ValueError if a list contains the same year twice."""
    if len(set(value)) < len(value):
        raise ValueError("must not contain a year twice")
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
        raise ValueError("must not be empty and must not contain line breaks")
    return value


def _domain_user(value: str) -> str:
    if "\\" in value or "@" in value:
        raise ValueError("must be a user name without a domain")
    return _user_name(value)


def _netbios_name(value: str) -> str:
    if "." in value or len(value) > NETBIOS_LENGTH:
        raise ValueError("must be the NetBIOS name of a domain: at most 15 characters, without dots")
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
HttpAnswer = Literal["unavailable", "unauthorized", "proxy", "serverError", "html"]
Damage = Literal["truncated", "drip"]
FaultAnswer = Literal[
    "drop", "timeout", "accessDenied", "quota", HttpAnswer, "garbage", "emptyBody", "noRows", "hang", Damage
]
Logon = Literal["ntlm", "negotiate", "kerberos", "credssp", "certificate", "basic"]
EsuYears = Annotated[tuple[Annotated[int, Field(ge=1, le=3)], ...], AfterValidator(_distinct)]
Key = Annotated[str, AfterValidator(_product_key)]
Loopback = Annotated[str, AfterValidator(_loopback)]
Ip = Annotated[str, AfterValidator(_ip)]
Port = Annotated[int, Field(ge=0, le=65535)]
Namespace = Literal["root/cimv2", "root/virtualization/v2", "root/mscluster"]
Access = Literal["full", "read", "empty", "denied"]
Rights = Literal["administrator", "wmi", "shell", "user", "none"]
Group = Literal["Administrators", "Remote Management Users", "Hyper-V Administrators"]
VmState = Literal["running", "off", "saved", "paused", "starting", "stopping", "saving", "pausing", "resuming"]
WindowsService = Literal["vmms", "sppsvc", "ClusSvc"]
Seconds = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
UserName = Annotated[str, AfterValidator(_user_name)]
Password = Annotated[str, AfterValidator(_password)]
DomainName = Annotated[str, AfterValidator(_domain_name)]


VmName = Annotated[str, AfterValidator(_vm_name)]
MachineName = Annotated[str, AfterValidator(_machine_name)]
Guid = Annotated[str, AfterValidator(_guid)]
FirmwareUuid = Annotated[str, AfterValidator(_firmware_uuid)]
Operation = Annotated[str, AfterValidator(_operation)]
File = Annotated[str, AfterValidator(_file)]
CertificateFile = Annotated[str, AfterValidator(_certificate_file)]
DomainUser = Annotated[str, AfterValidator(_domain_user)]
NetbiosName = Annotated[str, AfterValidator(_netbios_name)]
HResult = Annotated[int, Field(ge=-(1 << 31), lt=1 << 32), AfterValidator(_unsigned)]
