"""getClusterGuests: the guests on the nodes of a cluster, or on some hosts, with the activation of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from avma.configuration import GuestDefaults
from avma.functions.function import Function
from avma.properties import InvalidProperty, Values, build, declare, dump, redeclare
from avma.resources.cluster_activation.activation_properties import (
    ActivationState,
    ClusterActivationInputs,
    ClusterActivationOutputs,
    GuestActivation,
    GuestSettings,
)
from avma.resources.cluster_activation.activation_resource import ClusterActivationResource
from avma.resources.resource import Operation
from avma.settings import AddressedSettings
from avma.windows.licensing import LicenseChannel, LicenseStatus


@dataclass(frozen=True)
class GetClusterGuestsInputs:
    """The inputs of getClusterGuests."""

    cluster: str | None = redeclare(ClusterActivationInputs, "cluster")
    hosts: list[str] | None = redeclare(ClusterActivationInputs, "hosts")
    include: list[str] | None = redeclare(ClusterActivationInputs, "include")
    exclude: list[str] | None = redeclare(ClusterActivationInputs, "exclude")
    guest: GuestDefaults | None = redeclare(ClusterActivationInputs, "guest")
    guests: dict[str, GuestSettings] | None = redeclare(ClusterActivationInputs, "guests")
    connection: AddressedSettings | None = redeclare(ClusterActivationInputs, "connection")


@dataclass(frozen=True, kw_only=True)
class ClusterGuest:
    """One guest. Properties that the provider could not read are absent."""

    vm_name: str = redeclare(GuestActivation, "vm_name")
    vm_id: str = redeclare(GuestActivation, "vm_id")
    host: str = redeclare(GuestActivation, "host")
    state: ActivationState = redeclare(GuestActivation, "state")
    reason: str | None = redeclare(GuestActivation, "reason")
    guest_version: str | None = redeclare(GuestActivation, "guest_version")
    guest_edition: str | None = redeclare(GuestActivation, "guest_edition")
    license_status: LicenseStatus | None = redeclare(GuestActivation, "license_status")
    license_channel: LicenseChannel | None = redeclare(GuestActivation, "license_channel")
    partial_product_key: str | None = redeclare(GuestActivation, "partial_product_key")
    activated_by_host: str | None = redeclare(GuestActivation, "activated_by_host")


@dataclass(frozen=True, kw_only=True)
class GetClusterGuestsOutputs:
    """The outputs of getClusterGuests."""

    guests: list[ClusterGuest] = declare("The guests, sorted by the names of the VMs.")
    activated: int = redeclare(ClusterActivationOutputs, "activated")
    not_activated: int = redeclare(ClusterActivationOutputs, "not_activated")
    not_applicable: int = redeclare(ClusterActivationOutputs, "not_applicable")


class GetClusterGuests(Function):
    """List the guests of a cluster with the activation of each."""

    name = "get_cluster_guests"
    description = (
        "Lists the guests on the nodes of a failover cluster, or on the listed hosts, with the activation of each. It "
        "reads what a new ClusterActivation with the same inputs reads, and changes nothing. It has no state, so names "
        "in `guests` mean the VMs that have them now, and no VM while a host does not answer."
    )
    inputs = GetClusterGuestsInputs
    outputs = GetClusterGuestsOutputs
    timeout = 600.0

    def check(self, values: Values) -> list[InvalidProperty]:
        """See `Function.check`."""
        return ClusterActivationResource().check(values)

    def call(self, values: Values, operation: Callable[[], Operation]) -> GetClusterGuestsOutputs:
        """See `Function.call`."""
        found = ClusterActivationResource().look(build(ClusterActivationInputs, values), None, operation())
        guests = [build(ClusterGuest, dump(guest)) for guest in found.guest_activations]
        return GetClusterGuestsOutputs(
            guests=guests,
            activated=found.activated,
            not_activated=found.not_activated,
            not_applicable=found.not_applicable,
        )
