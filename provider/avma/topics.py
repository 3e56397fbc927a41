"""The topics of `avma explain` that are not classes of errors, and the end of every error message.

`avma.errors` defines the topics of errors, and `avma.hresult_table` those of numbers. The texts are Markdown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from avma import wording
from avma.wording import install_extra, setting

C = TypeVar("C", bound=Callable[..., Any])

AGAIN = wording.capitalized(wording.RUN_AGAIN)
"""The start of a sentence."""

INVALID_INPUT = "invalid-input"
INVALID_HOST = "invalid-host"
INVALID_KEY = "invalid-key"
CONFIGURATION = "configuration"
UNSUPPORTED = "unsupported"
INTERNAL_ERROR = "internal-error"
USAGE = "usage"
HOST_LIST = "host-list"
SIMULATOR = "simulator"

TEXTS: Mapping[str, str] = {
    INVALID_HOST: f"""\
A host is a DNS name or an IP address, without scheme, port, path, account or brackets. Set the port with
{setting("port")}. Examples: `hv01`, `hv01.example.com`, `192.0.2.11`, `2001:db8::11`.

- A name contains the letters a to z, digits, hyphens and underscores. Write an international name in its ASCII form,
  which begins with `xn--`.
- An IPv4 address has four decimal numbers without leading zeros. System resolvers read `10.0.0.011` as octal and reach
  10.0.0.9.""",
    INVALID_KEY: f"""\
A product key has five groups of five characters: `BCDFG-HJKMN-PQRTV-WXY23-46789`. It uses the letters
BCDFGHJKMNPQRTVWXY and the digits 2346789, and contains the letter N exactly once. The provider ignores case, white
space and quotes around a key.

A host needs the Datacenter key that you bought for it. The published AVMA and KMS client keys cannot license a host. A
guest needs an AVMA key. If you leave out {setting("product_key")}, the provider uses the AVMA key for the release and
edition of the guest.""",
    CONFIGURATION: f"""\
The provider has no configuration, or a required setting is missing. You can set it in three places. The first one has
precedence:

- the arguments of an explicit provider
- {wording.CONFIGURATION}
- the environment variable of the setting

In a preview, the outputs of other resources may not be known yet. If a setting depends on one, create that
resource first.""",
    UNSUPPORTED: f"""\
This version of the provider does not have the requested resource, function or feature. The error lists the available
ones. Usually, the SDK and the provider have different versions. To find out, {wording.SHOW_VERSIONS}.

The provider has no parameters, components or methods. It lists only some types of resources.""",
    INTERNAL_ERROR: f"""\
The provider or the command failed unexpectedly. This is a bug. Report the message and the version (to find it,
{wording.SHOW_VERSIONS} or `avma --version`). The message contains no names and no secrets.

If a change had already started, it may have taken effect. {AGAIN}. It reads the current state and
continues from there.""",
    USAGE: """\
The command has invalid arguments or options. It did not contact any machine. `avma COMMAND --help` lists the arguments
and options.

- Set passwords in the environment variables `AVMA_PASSWORD` and `AVMA_GUEST_PASSWORD`. There is no option for them.
- Options have precedence over the file, and the file over environment variables.
- To write a file, its folder must exist, and you must have the right to write to it.""",
    HOST_LIST: f"""\
`avma report` reads a host list in YAML, {wording.STACK_OUTPUTS}, or {wording.STACK_EXPORT}.

A host list has `hosts` or `clusters`. It can also have `settings`, with the names of the provider's configuration.
Each entry of `hosts` or `clusters` is a name, or an object with `host` or `cluster`. An example on one line:
`{{settings: {{username: svc-avma}}, hosts: [hv01.example.com, {{host: hv02, connection: {{https: false}}}}]}}`.""",
    SIMULATOR: f"""\
`avma simulate` serves an estate file. If the file has mistakes, the command reports the line and field of each.

The simulator needs extra packages: {install_extra("simulator")}. If it cannot listen, another
process uses the port, or the address does not belong to this computer. The error contains both.""",
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
