"""The explanations of errors: a section for each kind of error, each HRESULT, and each Windows Admin Center message.

docs/troubleshooting.md and `avma explain` contain the same sections. The text is Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from avma import errors, hresult, topics
from avma.topics import AGAIN
from avma.wording import CONFIGURATION, NEXT_RUN, RUN_AGAIN, TIME_LIMIT, setting

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
    errors.InvalidInput: f"""\
A setting or property has a value that cannot work. The provider changed nothing. The error names the
setting. Correct it, then {RUN_AGAIN}.

Write durations as text: `30s`, `2m` or `1h30m`. In a program, write numbers, `true` and `false` without quotes. In
{CONFIGURATION} and environment variables, all values are text.""",
    errors.Unreachable: f"""\
The provider could not connect to WinRM on the machine. Possible causes:

- DNS does not resolve the name.
- Nothing listens on the port. `winrm quickconfig` sets up WinRM on the machine (http, port 5985), and `winrm enumerate
  winrm/config/listener` lists its listeners.
- A firewall drops the packets.
- Another service uses the port.
- The machine has no https listener. Https needs a listener with a certificate. If you set {setting("https", False)},
  the provider uses http and encrypts the messages.""",
    errors.AnswerLost: f"""\
The provider sent the request and received no answer, so the machine may have acted on it. To be safe, the provider does
not send it twice. {AGAIN}. It reads the current state and continues from there.""",
    errors.OperationTimedOut: f"""\
The operation takes longer than one request may take, and the machine may still be working on it. {AGAIN}.
It reads the current state and continues from there.""",
    errors.ServiceBusy: """\
The machine returned HTTP 503, because its WinRM service is stopped, starting or overloaded. Nothing was changed, and
the provider retried for a minute. If the error persists, run `Get-Service WinRM` and `winrm quickconfig` on the
machine.""",
    errors.CertificateNotTrusted: f"""\
The provider does not trust the certificate of the WinRM listener. The error contains the reason:

- The issuer is unknown. Set {setting("ca_cert")} to the certificate of the issuer.
- The certificate is for another name. Set {setting("connection.address")} to a name from the certificate.
- The certificate has expired. Renew it, and set its new thumbprint in the listener.

In a lab, you can set {setting("insecure", True)} to accept any certificate. Do not use it elsewhere, because anyone
between you and the machine can then read the account.""",
    errors.LogonRefused: f"""\
The sign-in failed. The error contains the reason:

- The machine rejected the account (401). Check {setting("username")} and {setting("password")}.
- The machine does not offer the authentication method. Set {setting("auth")} to one of its methods, or enable yours
  there.
- Kerberos failed. The error names the KDC, the ticket or the clock.
- With https and a correct password, a proxy may decrypt TLS. Windows then rejects the sign-in, because it is bound to
  the TLS channel.

Windows locks accounts after failed sign-ins, and a domain adds up the failures on all its machines. Therefore, the
provider does not retry a rejected account on the same machine in the same run. It tries a domain account
(`DOMAIN\\user`, `user@domain`) on at most two machines until one of them accepts it. Through
PowerShell Direct, it tries up to four guests, because a guest that is still starting returns the same error.""",
    errors.AccessDenied: f"""\
The sign-in succeeded, but the account has no right to the operation. To change a license, use an administrator of the
machine. To read, less is enough: docs/rights.md lists the rights for each operation, and docs/how-to/hardening.md the
commands that grant them.

Over the network, UAC removes the administrator rights of local accounts other than the built-in Administrator. To
prevent this, use a domain account in the Administrators group, or run in PowerShell on the machine:
`{hresult.REMOTE_ADMINISTRATORS}`. See "User Account Control and remote restrictions" on Microsoft Learn.""",
    errors.EmptyAnswer: """\
The answer lacks a row that Windows always returns, so the provider cannot rely on it. Nothing was changed, and the
stored state is still the same. The VMs are not gone, and the machine is not necessarily unlicensed.

Windows returns an empty list instead of an error in two cases:

- The account has no rights. Hyper-V lists its VMs to administrators and to members of the local group Hyper-V
  Administrators (SID S-1-5-32-578).
- A service is not running. Check `vmms` (Hyper-V), `sppsvc` (licensing), `winmgmt` (WMI) and `ClusSvc` (failover
  cluster).""",
    errors.UnexpectedAnswer: """\
The answer is not WS-Management, or its values do not have the documented types. Often, another web service or the login
page of a proxy uses the port. Check the address and the port.

If the service is WinRM, run `avma doctor HOST --record FILE` and attach the file to a bug report. The file contains the
answers without names and secrets.""",
    errors.ScriptFailed: f"""\
A PowerShell script on the host returned no answer or an unknown answer. The error quotes PowerShell. The operation
may have taken effect. {AGAIN} to read the current state.

Common causes are application control, antivirus software and a restricted language mode. To test scripts on the host,
run `avma doctor`. It runs the guest script with an empty list of guests.""",
    errors.WsmanFault: """\
The machine rejected the request. The error contains an error number or a CIM status. If the provider does not know the
number, the error also quotes Windows. Check the event logs of the machine: Windows Remote Management, WMI-Activity and
Application. If a method returned the number, see the documentation of its WMI class.""",
    errors.Refused: """\
The machine is in a state that does not allow the operation. Nothing was changed. The error contains the reason and the
next step. Common reasons:

- The edition of a host is not Datacenter.
- Several product keys are installed.
- The VM is not on any of the declared hosts.""",
    errors.KeyConflict: """\
Two resources of the program require different product keys on the same machine. Each run would install the other key
and use up another activation. The error names both resources, the machine and the last five characters of each key.

This happens if one resource uses the DNS name of the machine and the other its IP address, or if a `HostLicense` and a
`ClusterLicense` both contain it. Remove one of the two resources, or declare the same key in both.""",
    errors.NotReady: f"""\
The VM or cluster node is off or still starting. Start it, or wait, then {RUN_AGAIN}. {setting("guest.ready_timeout")}
sets how long {NEXT_RUN} waits for a new `VmActivation`.""",
    errors.LogonUncertain: f"""\
The guest is still starting, or the credentials are wrong. Windows returns the same error in both cases. If the guest
started more than a few minutes ago, check {setting("guest.username")} and {setting("guest.password")}.""",
    errors.NotFound: """\
The machine answered, but does not have the requested VM, cluster or key. Check the name and the host.""",
    errors.TimedOut: f"""\
The operation took longer than its time limit. To allow more time, set {TIME_LIMIT}, or `--timeout` of
`avma report`.""",
    errors.Evaluation: """\
The machine runs an evaluation edition of Windows Server. An evaluation edition accepts no product key and activates no
guests. Convert it to a full edition first. The error contains the command.""",
    errors.NotEligible: """\
The machine runs a system that automatic activation does not cover: another system than Windows Server, or a release or
edition without an AVMA key. Give such a machine another type of key, and leave it out of the program.""",
    errors.NewerThanHost: """\
The guest runs a later release of Windows Server than its host. A host activates guests only up to its own release.
Upgrade the host, move the VM to a newer host, or use another type of key in the guest (KMS or MAK).""",
    errors.DataExchangeOff: f"""\
The integration service Data Exchange is off for this VM. Without it, the host cannot activate the guest. Turn it on
with the command in the error, or set {setting("manage_data_exchange", True)}.""",
    errors.Cancelled: f"""\
The run was stopped before its end. If a change had already started, it may have taken effect. {AGAIN}. It
reads the current state and continues from there.""",
    errors.NodesFailed: f"""\
Nodes of the cluster failed. The error contains the reason for each of them, and says how many other nodes are licensed.
Fix the failed nodes, then {RUN_AGAIN}.""",
    errors.GuestsFailed: f"""\
Guests of a ClusterActivation failed. The error contains the reason for each of them. The other guests are done. Fix the
failed guests, or leave them out with {setting("exclude")}, then {RUN_AGAIN}.""",
}


_ADMIN_CENTER: Mapping[str, str] = {
    "The key you entered didn't work": """\
The key contains a typing error, is for another edition, or has no activations left. See [0xC004F050](#0xc004f050) and
[0xC004C020](#0xc004c020). The machine keeps its previous key.""",
    "Some servers use keys for an older version of Windows Server": f"""\
The provider reports [refused](#refused) and applies no key, because a guest could lose its activation when it moves to
another machine. Use keys of one release for all machines of the cluster ({setting("product_key")}, or
{setting("product_keys")} by machine).""",
    "Server is down": f"""\
The cluster reports that the node is down: [not-ready](#not-ready). `ClusterLicense` licenses the other nodes, and the
error names this one. Start the node, then {RUN_AGAIN}.""",
    "Couldn't check the status on this server": """\
The machine does not have the cmdlet that sets the key: [refused](#refused). Install the latest updates on the machine.
Windows Admin Center recommends the same.""",
    "One or more servers in the cluster does not have the latest changes to this setting": f"""\
You bought or canceled the subscription, but the machine does not report the change yet. The provider reports
[refused](#refused) for {setting("license_source", "subscription")}. The machine fetches changes from Azure twice a
day. To fetch them now, run `Sync-AzureStackHCI` on it, but not directly after a restart.""",
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
    text = f"`{code.name}`: {code.meaning}.\n\n{errors.sentences(code.remedy)}"
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
