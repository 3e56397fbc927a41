"""VmActivation resources as the engine stores them, the calls about them, and the configuration of the provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.struct_pb2 import Struct

from benchmarks.run_ps import PASSWORD, USER
from pulumi_resource_avma.protocol import provider_pb2 as pb

PROVIDER_URN = "urn:pulumi:dev::speed::pulumi:providers:avma::default"


@dataclass(frozen=True)
class Stored:
    """One resource in the state of the stack `dev` of the project `speed`."""

    name: str
    identifier: str
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    type: str = "avma:index:VmActivation"

    @property
    def urn(self) -> str:
        """The URN of the resource."""
        return f"urn:pulumi:dev::speed::{self.type}::{self.name}"

    def check(self) -> pb.CheckRequest:
        """Return the call that validates the inputs."""
        return pb.CheckRequest(urn=self.urn, type=self.type, olds=struct(self.inputs), news=struct(self.inputs))

    def diff(self) -> pb.DiffRequest:
        """Return the call that compares equal inputs."""
        inputs = struct(self.inputs)
        return pb.DiffRequest(
            id=self.identifier, urn=self.urn, type=self.type, olds=struct(self.outputs), old_inputs=inputs, news=inputs
        )

    def read(self) -> pb.ReadRequest:
        """Return the call of a refresh."""
        return pb.ReadRequest(
            id=self.identifier,
            urn=self.urn,
            type=self.type,
            inputs=struct(self.inputs),
            properties=struct(self.outputs),
        )

    def create(self) -> pb.CreateRequest:
        """Return the call of an `up`."""
        return pb.CreateRequest(urn=self.urn, type=self.type, properties=struct(self.inputs))


def struct(values: Mapping[str, Any]) -> Struct:
    """Convert values to a Struct."""
    message = Struct()
    message.update(values)
    return message


def configuration(transport: str = "powershellDirect", **more: Any) -> dict[str, Any]:
    """Return the configuration of the provider for an estate."""
    account = {"https": False, "username": USER, "password": PASSWORD}
    return {**account, "guest": {"transport": transport, **account}, **more}


def configure(**more: Any) -> pb.ConfigureRequest:
    """Return the call that begins a run."""
    return pb.ConfigureRequest(args=struct(configuration(**more)), urn=PROVIDER_URN)


def activated(vm: str, vm_id: str, computer: str, **inputs: Any) -> Stored:
    """Return a VM with Windows Server 2022 Standard that its host has activated."""
    declared = {**inputs, "vmName": vm}
    hosts = inputs.get("hosts") or [inputs["host"]]
    outputs = {
        "licenseStatus": "Licensed",
        "licenseChannel": "VIRTUAL_MACHINE_ACTIVATION",
        "partialProductKey": "78VHK",
        "vmId": vm_id,
        "guestVersion": "2022",
        "guestEdition": "Standard",
        "activatedByHost": computer,
    }
    return Stored(vm, f"{','.join(hosts)}/{vm_id}", declared, {**declared, **outputs})


def some_vm(number: int) -> Stored:
    """Return a resource of no estate."""
    return activated(f"vm{number}", f"00000001-0000-4000-8000-{number:012x}", "HV01", host="hv01.example.com")
