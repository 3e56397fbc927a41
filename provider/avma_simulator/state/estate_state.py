"""The current state of the estate: its machines, the location of VMs, the clusters, and the keys."""

from __future__ import annotations

import uuid
from dataclasses import replace

from avma_simulator import estate, fields
from avma_simulator.clock import Clock
from avma_simulator.state.cluster import Cluster
from avma_simulator.state.domains import Domains
from avma_simulator.state.keys import KeyStore, ProductKey, declared_keys
from avma_simulator.state.licensing import LicenseStatus, evaluation_key
from avma_simulator.state.lockout import Lockout
from avma_simulator.state.machine import Guest, Machine, Replication


class UnknownMachine(Exception):
    """No machine has that name, or several machines share it."""


class EstateState:
    """All machines of an estate."""

    def __init__(self, declared: estate.Estate, clock: Clock) -> None:
        self.clock = clock
        self.keys = KeyStore(declared_keys(declared), declared.kms)
        self.hosts: list[Machine] = []
        self.guests: list[Guest] = []
        self.replicas: list[Guest] = []
        for host in declared.hosts:
            self.hosts.append(Machine(host.name, host.name.lower(), host, self.keys, self.clock))
        for machine in tuple(self.hosts):
            self._add_vms(machine)
        self.clusters = [Cluster(cluster, [self.host(name) for name in cluster.nodes]) for cluster in declared.clusters]
        self._domains = Domains(declared)
        self.lockout = Lockout(declared.lockout_threshold)
        for machine in self.machines:
            self._set_up(machine)

    @property
    def machines(self) -> list[Machine]:
        """Every machine, hosts first."""
        return [*self.hosts, *self.guests]

    def guests_of(self, host: Machine) -> list[Guest]:
        """Return the VMs on the host, including replicas of VMs from other hosts."""
        return [guest for guest in (*self.guests, *self.replicas) if guest.host is host]

    def machine(self, name: str) -> Machine:
        """Return the machine with that name or VM GUID.

        Raises:
            UnknownMachine: no machine has that name, or several do.
        """
        wanted = name.lower()
        found = [m for m in self.machines if wanted in (m.name.lower(), m.identifier.lower())]
        if not found:
            raise UnknownMachine(f"no machine has the name {name}")
        if len(found) > 1:
            raise UnknownMachine(f"{len(found)} machines have the name {name}. Use the id of the VM")
        return found[0]

    def guest(self, name: str) -> Guest:
        """Return the VM with that name or GUID.

        Raises:
            UnknownMachine: no machine has that name, several do, or the machine is a host.
        """
        machine = self.machine(name)
        if not isinstance(machine, Guest):
            raise UnknownMachine(f"{name} is a host, not a VM")
        return machine

    def host(self, name: str) -> Machine:
        """Return the host with that name.

        Raises:
            UnknownMachine: there is no such host.
        """
        found = next((host for host in self.hosts if host.name.lower() == name.lower()), None)
        if found is None:
            raise UnknownMachine(f"no host has the name {name}")
        return found

    def cluster(self, name: str) -> Cluster:
        """Return the cluster with that name.

        Raises:
            UnknownMachine: there is no such cluster.
        """
        found = next((cluster for cluster in self.clusters if cluster.name.lower() == name.lower()), None)
        if found is None:
            raise UnknownMachine(f"no cluster has the name {name}")
        return found

    def cluster_of(self, machine: Machine) -> Cluster | None:
        """Return the cluster of a host, or None."""
        return next((cluster for cluster in self.clusters if machine in cluster.nodes), None)

    def power(self, machine: Machine, state: fields.VmState) -> None:
        """Set the state of a machine. VMs of a host follow, and restart with it if they were on."""
        affected = [machine, *self._all_guests_of(machine)]
        before = {one: one.windows_loaded for one in affected}
        machine.set_power_state(state)
        for one in affected:
            if one.running and not before[one]:
                one.boot()

    def create(self, host: Machine, declared: estate.Vm) -> Guest:
        """Create a VM on a host. The ID is new unless it is declared."""
        guest = Guest(declared, declared.id or str(uuid.uuid4()).upper(), host, self.keys, self.clock)
        self.guests.append(guest)
        self._set_up(guest)
        return guest

    def _set_up(self, machine: Machine) -> None:
        machine.join(self._domains.domain_of(machine.spec), self._domains.accounts_of(machine.spec), self.lockout)
        self._restore(machine)

    def fail_over(self, guest: Guest) -> None:
        """Fail a VM over to the host of its replica, as in a planned failover. A running VM restarts.

        The replica becomes the primary.

        Raises:
            UnknownMachine: the VM has no replica.
        """
        replica = next((one for one in self.replicas if one.identifier == guest.identifier), None)
        if replica is None:
            raise UnknownMachine(f"{guest.name} has no replica")
        runs = guest.running
        guest.host, replica.host = replica.host, guest.host
        if runs and guest.running:
            guest.boot()

    def _all_guests_of(self, host: Machine) -> list[Guest]:
        """Return the VMs on the host, including nested VMs."""
        return [one for guest in self.guests_of(host) for one in (guest, *self._all_guests_of(guest))]

    def _add_vms(self, host: Machine) -> None:
        for index, vm in enumerate(host.spec.vms):
            guest = Guest(vm, host.spec.vm_id(index), host, self.keys, self.clock)
            self.guests.append(guest)
            if vm.replica is not None:
                off = vm.model_copy(update={"state": "off"})
                replica = Guest(off, guest.identifier, self.host(vm.replica), self.keys, self.clock)
                replica.replication = Replication.RECOVERY
                self.replicas.append(replica)
            self._add_vms(guest)

    def _declared(self, key: str) -> ProductKey:
        found = self.keys.find(key)
        if found is None:
            raise ValueError("the estate contains an unknown key and was not validated")
        return found

    def _restore(self, machine: Machine) -> None:
        if isinstance(machine, Guest) and machine.linux is not None:
            return
        machine.licensing.extended_security_updates = machine.spec.extended_security_updates
        if machine.spec.leftover_key is not None:
            machine.licensing.leftover = self._declared(machine.spec.leftover_key)
        elif machine.spec.leftover_evaluation:
            machine.licensing.leftover = evaluation_key(replace(machine.windows, evaluation=True))
        declared = machine.spec.license
        if declared is None:
            machine.licensing.install_media()
        elif declared.key is not None:
            product_key = self._declared(declared.key)
            host = machine.host.computer_name if isinstance(machine, Guest) else ""
            machine.licensing.restore(product_key, LicenseStatus[declared.status], host, declared.reason)
