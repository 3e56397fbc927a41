"""The topics of `avma explain` that are not classes of errors, and the end of every error message.

`avma.errors` defines the topics of errors, and `avma.hresult_table` those of numbers. The texts are Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

C = TypeVar("C", bound=Callable[..., Any])

INVALID_INPUT = "invalid-input"
INVALID_HOST = "invalid-host"
INVALID_KEY = "invalid-key"
CONFIGURATION = "configuration"
UNSUPPORTED = "unsupported"
INTERNAL_ERROR = "internal-error"
USAGE = "usage"
ESTATE_LIST = "estate-list"
SIMULATOR = "simulator"

TEXTS: Mapping[str, str] = {
    INVALID_HOST: """\
A host is a DNS name or an IP address, without scheme, port, path, account or brackets. Set the port with `port`.
Examples: `hv01`, `hv01.example.com`, `192.0.2.11`, `2001:db8::11`. Write an IPv4 address as four decimal numbers
without leading zeros: system resolvers read `10.0.0.011` as octal and reach 10.0.0.9. A name contains the letters a to
z, digits, hyphens and underscores. Write an international name in its ASCII form, which begins with `xn--`.""",
    INVALID_KEY: """\
A product key has five groups of five characters: `BCDFG-HJKMN-PQRTV-WXY23-46789`. It uses the letters
BCDFGHJKMNPQRTVWXY and the digits 2346789, and contains the letter N exactly once. The provider ignores case, white
space and quotes around a key. A host needs the Datacenter key that was bought for it. The published AVMA and KMS client
keys license no host. A guest needs an AVMA key. If you leave `productKey` out, the provider uses the key of the guest's
release and edition.""",
    CONFIGURATION: """\
The provider has no configuration to work with, or a required setting is missing. A setting comes from the arguments of
an explicit provider, from `pulumi config set avma:NAME`, or from its environment variable, in this order. In a preview,
a value that another resource creates is not known yet. Run `pulumi up` to create that resource first.""",
    UNSUPPORTED: """\
The program asks for a resource, a function or a feature that this version of the provider does not have. The error
names the ones that it has. Usually the SDK and the plugin are of different versions. `pulumi plugin ls` lists the
versions of the plugin. The provider takes no parameters and has no components and no methods. `pulumi do` lists only
some types of resources.""",
    INTERNAL_ERROR: """\
The provider or the command failed in a way that it does not expect, which is a bug. Report the message with the
version, which `pulumi plugin ls` and `avma --version` print. The message contains no names and no secrets. A change
that had begun may have taken effect. `pulumi up` reads the machine and continues from its current state.""",
    USAGE: """\
The command cannot run as it was given, so it asked no machine. `avma COMMAND --help` lists the arguments and options
of a command. Passwords come from `AVMA_PASSWORD` and `AVMA_GUEST_PASSWORD`, never from an option. If the same setting
is given in several places, an option has precedence over the file, and the file over the environment. A file that the
command writes must be in a folder that exists and that you may write to.""",
    ESTATE_LIST: """\
`avma report` reads an estate list in YAML, the outputs of a stack (`pulumi stack output --json`), or an export
(`pulumi stack export`). An estate list has `hosts` or `clusters`, and may have `settings`, which are those of the
provider's configuration. An entry is a name, or an object with `host` or `cluster`. An example on one line:
`{settings: {username: svc-avma}, hosts: [hv01.example.com, {host: hv02, connection: {https: false}}]}`.""",
    SIMULATOR: """\
`avma simulate` serves an estate file. Each mistake in the file is reported with its line and field. The packages of the
simulator are an extra: `pip install 'pulumi-resource-avma[simulator]'`. If it cannot listen, another process uses the
port, or the address does not belong to this computer. The error names both.""",
}


def explained_by(topic: str) -> Callable[[C], C]:
    """Return a decorator that sets the topic for the failures of a check."""

    def mark(check: C) -> C:
        vars(check)["topic"] = topic
        return check

    return mark


def of_check(check: Callable[..., Any]) -> str:
    """Return the topic of the failures of a check."""
    topic: str = getattr(check, "topic", INVALID_INPUT)
    return topic


def see(topic: str) -> str:
    """Return the end of every error message: the command that explains it."""
    return f"See: avma explain {topic}"


def explained(message: str, topic: str) -> str:
    """Return a one-line message, followed by the command that explains it."""
    return f"{message if message.endswith(('.', '?', '!')) else f'{message}.'} {see(topic)}"
