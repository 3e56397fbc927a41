"""The words of Pulumi for the parts in the texts of the core (`avma.wording`)."""

from __future__ import annotations

from avma import wording
from avma.wording import Wording, camel_case


def external_path(path: str) -> str:
    """Return a path of Python names in Pulumi's names: `guest.readyTimeout` for `guest.ready_timeout`."""
    return ".".join(map(camel_case, path.split(".")))


def _setting(path: str, value: str | None) -> str:
    name = external_path(path)
    return f"`{name}`" if value is None else f"`{name}: {value}`"


PULUMI = Wording(
    phrases={
        wording.INSTALL_EXTRA: "run `pip install 'pulumi-resource-avma[{}]'`",
        wording.RUN_AGAIN: "run the same `pulumi` command again",
        wording.APPLY: "run `pulumi up`",
        wording.NEXT_RUN: "`pulumi up`",
        wording.REFRESH: "run `pulumi refresh`",
        wording.RUN_OTHERS: "run `pulumi up` for the other resources only, with `--target`",
        wording.REPLACE: "run `pulumi up --replace` with this resource's URN",
        wording.ALLOW_MORE_TIME: "allow more time with the resource option `customTimeouts`",
        wording.TIME_LIMIT: "the resource option `customTimeouts`",
        wording.WHERE_TO_SET: " in the provider's configuration, in `{}` of the resource, or in the environment ({})",
        wording.ONLY_FORGETS: "Pulumi only removes the resource from its state",
        wording.DEPEND_ON_IT: "list it in `dependsOn` of this resource",
        wording.CONFIGURATION: "`pulumi config set avma:NAME`",
        wording.SHOW_VERSIONS: "run `pulumi plugin ls`",
        wording.STACK_OUTPUTS: "the outputs of a stack (`pulumi stack output --json`)",
        wording.STACK_EXPORT: "an export (`pulumi stack export`)",
    },
    setting=_setting,
    function=camel_case,
)
