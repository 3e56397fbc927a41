"""getVmActivation: the activation of a guest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avma.addresses import host_name_error
from avma.configuration import Guest
from avma.functions.function import Function
from avma.properties import InvalidProperty, Values, build, declare
from avma.resources.guest_access import connect
from avma.resources.placement import require_running, require_vm
from avma.resources.resource import Operation
from avma.resources.vm_activation.vm_properties import (
    VmActivationInputs,
    VmActivationOutputs,
    outputs_of,
    vm_id_error,
    vm_name_error,
)
from avma.resources.vm_activation.vm_resource import VmActivationResource, hosts_of
from avma.settings import AddressedSettings
from avma.wording import setting

_VM_ID = "9b1c0f9e-4f4d-4c0b-8a55-0d4b6a4a7c11"


@dataclass(frozen=True)
class GetVmActivationInputs:
    """The inputs of getVmActivation."""

    host: str | None = declare(
        "The DNS name or IP address of the VM's Hyper-V host. Set either `host` or `hosts`.",
        default=None,
        unset="none",
        example="hv01.example.com",
        check=host_name_error,
    )
    hosts: list[str] | None = declare(
        "All hosts that can run the VM, for example the nodes of a cluster. The provider finds the VM on any of "
        "them. Set either `host` or `hosts`.",
        default=None,
        unset="none",
        example=["hv01.example.com", "hv02.example.com"],
        check=host_name_error,
    )
    vm_name: str | None = declare(
        f"The name of the VM. Set either {setting('vm_name')} or {setting('vm_id')}.",
        default=None,
        unset="none",
        example="web01",
        check=vm_name_error,
    )
    vm_id: str | None = declare(
        f"The GUID of the VM. Set either {setting('vm_name')} or {setting('vm_id')}.",
        default=None,
        unset="none",
        example=_VM_ID,
        check=vm_id_error,
    )
    guest: Guest | None = declare(
        "Connection settings for Windows inside the VM, where they differ from the provider's `guest`.",
        default=None,
        unset="the provider's `guest`",
        example={"transport": "winrm", "address": "192.0.2.21"},
    )
    connection: AddressedSettings | None = declare(
        "Connection settings for the host, where they differ from the provider configuration.",
        default=None,
        unset="the provider configuration",
        example={"address": "192.0.2.11"},
    )


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
        found = connect(placement, asked.guest, now).licensing(now.deadline)
        product = found.product
        return GetVmActivationOutputs(
            **vars(outputs_of(placement.vm, found.system, product)),
            minutes_remaining=product.grace_minutes if product else 0,
            last_activation_time=product.activated_at if product else None,
        )
