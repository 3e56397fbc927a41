"""The explanations of errors: a section for each kind of error, each HRESULT, and each Windows Admin Center message.

docs/troubleshooting.md and `avma explain` contain the same sections. The text is Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from avma import errors, hresult, topics

_NUMBER = re.compile(r"(?P<sign>-?)(?P<digits>0x[0-9a-f]{1,16}|[0-9]{1,10}|[0-9a-f]{8})", re.IGNORECASE)
_HEX_DIGITS = 8
_LEAST_CONTAINED, _MOST_SIMILAR = 4, 3
_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SEPARATORS = re.compile(r"[\s_-]+")
_MEANINGLESS = " \t\r\n.,;:()[]\"'`"


@dataclass(frozen=True)
class Section:
    """One explanation.

    Attributes:
        title: the heading, and the argument of `avma explain`.
        text: the body, in Markdown.
        name: the symbolic name of an HRESULT, or empty.
    """

    title: str
    text: str
    name: str = ""


_KINDS: Mapping[type[errors.AvmaError], str] = {
    errors.InvalidInput: """\
A setting or a property cannot work, so the provider asked no machine. The error names the setting. Correct it and run
again. A duration is text such as `30s`, `2m` or `1h30m`. Numbers, `true` and `false` have no quotes in a program, and
are text in `pulumi config set` and in environment variables.""",
    errors.Unreachable: """\
There was no connection to WinRM. Either the name has no address, nothing listens on the port, a firewall drops the
packets, or another service listens there. On the machine, `winrm quickconfig` sets WinRM up (http, port 5985), and
`winrm enumerate winrm/config/listener` shows its listeners. Https needs a listener with a certificate. With
`https: false` the provider uses http and encrypts the messages.""",
    errors.AnswerLost: """\
The provider sent the request and received no answer, so the machine may have acted on it. The provider does not send
it twice. Run `pulumi up` again: it reads the current state and continues from there.""",
    errors.OperationTimedOut: """\
The operation takes longer than one request may, and the machine continues with it. Run `pulumi up` again: it reads the
current state and continues from there.""",
    errors.ServiceBusy: """\
The machine answered HTTP 503: its WinRM service is stopped, starting or overloaded. Nothing was changed. The provider
tries again for a minute. If it stays, run `Get-Service WinRM` and `winrm quickconfig` on the machine.""",
    errors.CertificateNotTrusted: """\
The certificate of the listener has an issuer that is not trusted here, is for another name, or has expired. Set
`caCert` to the certificate of the issuer, or connect by a name in the certificate. After you renew a certificate, set
its thumbprint in the listener. `insecure: true` accepts any certificate, so anyone between you and the machine can
read the account. Use it in laboratories only.""",
    errors.LogonRefused: """\
The machine refused the account (401), or does not offer the kind of logon. The error tells which. With https
and the right password, something in between may open TLS (channel binding). Kerberos errors name the KDC, the
ticket or the clock. Windows locks an account after some failed sign-ins, and a domain counts those on all of its
machines. So a rejected account is not tried again on the same machine in that run. Until one machine of the domain
has accepted a domain account (`DOMAIN\\user`, `user@domain`), the provider tries it on two machines at most.""",
    errors.AccessDenied: """\
Windows accepted the sign-in, and the account has no right to the operation. Licensing needs an administrator of the
machine. Over the network, UAC takes the rights of an administrator from a local account other than the built-in
Administrator, unless the registry value `LocalAccountTokenFilterPolicy` is 1 (Microsoft Learn, "User Account Control
and remote restrictions"). It does not do that to a domain account in the group Administrators.""",
    errors.EmptyAnswer: """\
Windows returns no error and no rows to an account without rights, and for a service that is not running. The
provider asks only for listings in which one row is always present: a Hyper-V host lists itself, and the licensing
service, the operating system and the cluster have one row each. If that row is missing, the answer says nothing:
the VMs are not gone, and the machine is not unlicensed. Nothing was changed, and the state stays as it is. Hyper-V
lists its VMs to administrators and to members of the local group Hyper-V Administrators (SID S-1-5-32-578). The
services are `vmms` (Hyper-V), `sppsvc` (licensing), `winmgmt` (WMI) and `ClusSvc` (failover cluster).""",
    errors.UnexpectedAnswer: """\
The answer is not WS-Management, or its values are not of the documented types. Often another web service or the login
page of a proxy is on that port. If it is WinRM, run `avma doctor HOST --record FILE`. It writes the answers without
names and secrets, so you can attach the file to a report.""",
    errors.ScriptFailed: """\
A script on the host returned no answer, or an answer that is not its own. The error quotes PowerShell. The script may
have run, so run again. Application control, antivirus and a restricted language mode are usual causes.
`avma doctor` runs the script for guests with an empty list of guests.""",
    errors.WsmanFault: """\
The machine rejected the request. The error contains the number or the CIM status, and Windows' own text if the number
is not in the table. Read the event logs of the machine (Windows Remote Management, WMI-Activity and Application). For a
return value of a method, see the documentation of its WMI class.""",
    errors.Refused: """\
The state of the machine does not allow the operation. The provider changed nothing. Usual reasons are the edition (a
host needs Datacenter), several installed keys, and a VM that is on no declared host. The error names the reason and
the way out.""",
    errors.KeyConflict: """\
Two resources of the program want different product keys on one machine. One of them may name the machine by its DNS
name and the other by its address, or one is a `HostLicense` and the other a `ClusterLicense`. The error names both
resources, the machine and the last five characters of each key. Each run would install the other key and use another
activation. Remove one of the two resources, or declare the same key in both.""",
    errors.NotReady: """\
The VM or the node is off or still starting. Start it, or wait. `guest.readyTimeout` sets how long `pulumi up`
waits.""",
    errors.LogonUncertain: """\
Windows returns the same error for wrong credentials and for a guest that is still starting. If the guest has been up
for a while, check `guest.username` and `guest.password`.""",
    errors.NotFound: """\
The machine answered and does not have the requested VM, cluster or key. Check the name and the host.""",
    errors.TimedOut: """\
The operation took longer than the resource allows. Set the resource option `customTimeouts` to a longer time.""",
    errors.Evaluation: """\
The machine runs an evaluation edition. An evaluation takes no product key and activates no guests. Convert it to a
full edition first; the error has the command.""",
    errors.NewerThanHost: """\
A host activates guests up to its own release of Windows Server, and this guest is of a later release. Upgrade the
host, move the VM to a newer host, or give the guest another kind of key (KMS, MAK).""",
    errors.DataExchangeOff: """\
A guest learns from its host through the integration service Data Exchange that the host can activate it. The service
is off for this VM. Turn it on with the command in the error, or set `manageDataExchange: true`.""",
    errors.Cancelled: """\
You stopped the run, or Pulumi stopped it. A change that had begun may have taken effect. Run `pulumi up` again: the
provider reads the machine and continues from its current state.""",
    errors.NodesFailed: """\
Some nodes of the cluster failed, each for its own reason. The error names them. The other nodes are licensed. Fix the
named nodes and run `pulumi up` again.""",
}


_ADMIN_CENTER: Mapping[str, str] = {
    "The key you entered didn't work": """\
The key is mistyped, for another edition, or used up. See [0xC004F050](#0xc004f050) and [0xC004C020](#0xc004c020). The
machine keeps its previous key.""",
    "Some servers use keys for an older version of Windows Server": """\
The provider reports [refused](#refused) and applies no key, because a guest would lose its activation by moving. Give
all machines of the cluster keys of one release (`productKey`, or `productKeys` by machine).""",
    "Server is down": """\
The cluster reports that the node is down: [not-ready](#not-ready). `ClusterLicense` licenses the other nodes and names
this one. Start it and run `pulumi up` again.""",
    "Couldn't check the status on this server": """\
The cmdlet that sets the key is not on that machine yet: [refused](#refused). Update the machine, which is what
Windows Admin Center asks for as well.""",
    "One or more servers in the cluster does not have the latest changes to this setting": """\
The subscription was bought or cancelled, and the machine has not heard of it: [refused](#refused) with `licenseSource:
subscription`. It asks Azure twice a day, or at once by `Sync-AzureStackHCI`, but not right after a restart.""",
}


def kinds() -> Iterator[Section]:
    """Yield a section for each kind of error, and for each other topic."""
    for kind, text in _KINDS.items():
        yield Section(errors.topic_of(kind), text)
    for topic, text in topics.TEXTS.items():
        yield Section(topic, text)


def admin_center() -> Iterator[Section]:
    """Yield a section for each Windows Admin Center message on Azure Local."""
    for title, text in _ADMIN_CENTER.items():
        yield Section(title, text)


def codes() -> Iterator[Section]:
    """Yield a section for each HRESULT, in ascending order."""
    for code in sorted(hresult.codes(), key=lambda code: code.value):
        yield _code(code)


def find(word: str) -> Section | None:
    """Return the section with that title, symbolic name or number, or None.

    Case, separators and surrounding punctuation do not matter. Numbers may be signed, unsigned or hexadecimal. If the
    text has several words, such as part of an error message, return the first section that one of them has.
    """
    return next(filter(None, map(_named, (word, *word.split()))), None)


def number_in(word: str) -> int | None:
    """Return the number in a word as an unsigned HRESULT, or None if it is not a 32-bit number.

    Eight digits without a prefix can be decimal or hexadecimal. A number in the table comes first, then hexadecimal.
    """
    found = _NUMBER.fullmatch(word.strip(_MEANINGLESS))
    if found is None:
        return None
    signed = [-value if found["sign"] else value for value in _values(found["digits"])]
    candidates = [value for value in signed if _has_32_bits(value)]
    known = next(filter(hresult.known, candidates), None)
    return hresult.canonical(candidates[0] if known is None else known) if candidates else None


def similar(word: str) -> list[str]:
    """Return up to three titles and symbolic names that resemble or contain a word."""
    wanted = _plain(word)
    names = {_plain(name): name for each in _all() for name in (each.title, each.name) if name}
    containing = [name for name in names if len(wanted) >= _LEAST_CONTAINED and wanted in name]
    found = dict.fromkeys([*get_close_matches(wanted, names), *containing])
    return [names[name] for name in list(found)[:_MOST_SIMILAR]]


def names() -> list[str]:
    """Return all titles and symbolic names."""
    return [name for each in _all() for name in (each.title, each.name) if name]


def _named(word: str) -> Section | None:
    """Return the section of one title, symbolic name or number, or None."""
    number = number_in(word)
    if number is not None:
        return _code(hresult.lookup(number)) if hresult.known(number) else None
    wanted = _plain(word)
    return next((each for each in _all() if wanted and wanted in (_plain(each.title), _plain(each.name))), None)


def _has_32_bits(value: int) -> bool:
    """Return True for a 32-bit number, signed or unsigned, or sign-extended to 64 bits."""
    return -(1 << 31) <= value < 1 << 32 or value >> 31 == (1 << 33) - 1


def _all() -> Iterator[Section]:
    yield from kinds()
    yield from admin_center()
    yield from codes()


def _code(code: hresult.HResult) -> Section:
    text = f"`{code.name}`: {code.meaning}.\n\nWhat to do: {code.remedy}."
    return Section(f"0x{code.value:08X}", text, code.name)


def _values(digits: str) -> Iterator[int]:
    if digits[:2].lower() == "0x":
        yield int(digits, 16)
        return
    if len(digits) == _HEX_DIGITS:
        yield int(digits, 16)
    if digits.isdecimal():
        yield int(digits)


def _plain(name: str) -> str:
    return _SEPARATORS.sub("-", _CAPITAL.sub("-", name.strip(_MEANINGLESS))).lower()
