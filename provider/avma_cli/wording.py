"""The words of the `avma` commands for the parts in the texts of the core (`avma.wording`).

A setting with an option becomes that option. All other parts have the words of Pulumi, because the commands support a
Pulumi program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from avma import wording
from avma.properties import properties
from avma.settings import AddressedSettings
from pulumi_resource_avma.wording import PULUMI

_OPTIONS = {prop.name: f"--{prop.name.replace('_', '-')}" for prop in properties(AddressedSettings)} | {
    "password": "AVMA_PASSWORD",
    "guest.username": "--guest-username",
    "guest.password": "AVMA_GUEST_PASSWORD",
    "guest.transport": "--guest-transport",
}
"""The option of each setting on a command line, or its environment variable if it has no option."""


_OF_REPORT = {path: option for path, option in _OPTIONS.items() if path != "address"}
"""The options of `avma report`. Its file contains the addresses of the machines."""


def _setting(path: str, value: str | None, options: Mapping[str, str] = _OPTIONS) -> str:
    option = options.get(path.removeprefix("connection."))
    if option is None:
        return PULUMI.setting(path, value)
    if value == "false":
        return f"`--no-{option.removeprefix('--')}`"
    return f"`{option}`" if value in (None, "true") else f"`{option} {value}`"


COMMANDS = replace(
    PULUMI,
    phrases={
        **PULUMI.phrases,
        wording.RUN_AGAIN: "run the command again",
        wording.ALLOW_MORE_TIME: "run the command again",
        wording.WHERE_TO_SET: "",
        wording.DEPEND_ON_IT: "list it in `dependsOn` of each `VmActivation` on this host",
        wording.CONFIGURATION: "the configuration of the provider",
    },
    setting=_setting,
)
"""The words of all commands but `avma report`."""
REPORT = replace(
    COMMANDS,
    phrases={**COMMANDS.phrases, wording.ALLOW_MORE_TIME: "allow more time with `--timeout`"},
    setting=partial(_setting, options=_OF_REPORT),
)
