"""getVmActivation: the activation of a guest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avma.configuration import Guest
from avma.functions.function import Function
from avma.properties import InvalidProperty, Values, build, declare, redeclare
from avma.resources.guest_access import connect, read_licensing
from avma.resources.placement import require_running, require_vm
from avma.resources.resource import Operation
from avma.resources.vm_activation.vm_hosts import hosts_of
from avma.resources.vm_activation.vm_properties import VmActivationInputs, VmActivationOutputs, outputs_of
from avma.resources.vm_activation.vm_resource import VmActivationResource
from avma.settings import AddressedSettings


@dataclass(frozen=True)
class GetVmActivationInputs:
    """The inputs of getVmActivation."""

    host: str | None = redeclare(VmActivationInputs, "host", replaces=False)
    hosts: list[str] | None = redeclare(VmActivationInputs, "hosts")
    vm_name: str | None = redeclare(VmActivationInputs, "vm_name", replaces=False)
    vm_id: str | None = redeclare(VmActivationInputs, "vm_id", replaces=False)
    guest: Guest | None = redeclare(VmActivationInputs, "guest")
    connection: AddressedSettings | None = redeclare(VmActivationInputs, "connection")


@dataclass(frozen=True, kw_only=True)
class GetVmActivationOutputs(VmActivationOutputs):
    """The outputs of getVmActivation."""

    minutes_remaining: int = declare(
        "The time until Windows must renew the activation. 0 if the activation does not end.",
        unit="minutes",
        example=10080,
    )
    last_activation_time: str | None = declare(
        "When the host last activated the guest, in ISO 8601. Absent if no host activated it.",
        default=None,
        example="2026-02-03T10:15:00Z",
    )


class GetVmActivation(Function):
    """Read the activation of a guest."""

    name = "get_vm_activation"
    description = "Reads the activation of a guest, with the time of the last activation and the minutes remaining."
    inputs = GetVmActivationInputs
    outputs = GetVmActivationOutputs

    def check(self, values: Values) -> list[InvalidProperty]:
        """See `Function.check`."""
        return VmActivationResource().check(values)

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetVmActivationOutputs:
        """See `Function.call`."""
        asked, now = build(VmActivationInputs, values), operation()
        placement = require_vm(hosts_of(asked, now), asked.vm_name or asked.vm_id or "", now)
        require_running(placement)
        guest = connect(placement, asked.guest, now)
        found = read_licensing(guest, placement, asked.guest, now)
        product = found.product
        return GetVmActivationOutputs(
            **vars(outputs_of(placement.vm, found.system, product)),
            minutes_remaining=product.grace_minutes if product else 0,
            last_activation_time=product.activated_at if product else None,
        )
