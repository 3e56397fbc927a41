"""getHostLicense: the license of a host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avma.functions.function import Function, HostInputs
from avma.properties import Values, build, declare
from avma.resources import host_state
from avma.resources.host_license.host_properties import HostLicenseOutputs, host_outputs
from avma.resources.resource import Operation


@dataclass(frozen=True, kw_only=True)
class GetHostLicenseOutputs(HostLicenseOutputs):
    """The outputs of getHostLicense."""

    automatic_activation: dict[str, str] | None = declare(
        "On Azure Local: the complete output of `Get-VMAutomaticActivation`, with product keys masked. Microsoft "
        "does not document this output.",
        default=None,
        example={"ActivationType": "DatacenterKey"},
    )


class GetHostLicense(Function):
    """Read the license of a host."""

    name = "get_host_license"
    description = "Reads the license of a host."
    inputs = HostInputs
    outputs = GetHostLicenseOutputs

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetHostLicenseOutputs:
        """See `Function.call`."""
        asked, now = build(HostInputs, values), operation()
        state = host_state.read_host_state(now.machine(asked.host, asked.connection, now.configuration), now)
        shown = dict(state.activation.shown) if state.activation else None
        return GetHostLicenseOutputs(**vars(host_outputs(state, now)), automatic_activation=shown)
