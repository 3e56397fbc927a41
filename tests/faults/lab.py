"""A simulated estate in this process: its state, its WS-Management services, and a record of its changes.

There are no sockets and no sign-ins. The clock of the estate stands still, except for the pauses of the provider. So a
pause of a minute takes no time.
"""

from __future__ import annotations

import copy
from collections.abc import Coroutine
from typing import Any

from avma.connection import Connection
from avma_simulator.estate import Estate, FaultRule
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.fault_injection import InjectedFaults
from avma_simulator.state.machine import Machine
from avma_simulator.winrm.wsman_service import Reply, Service
from faults.effects import Effect, Effects
from faults.simulation import Pauses, Simulation

_LONGEST_EVENT = 600.0
"""Seconds after which the last event is over."""


class Lab:
    """An estate at one moment. `copy` returns another one in the same state."""

    def __init__(self, simulation: Simulation, declared: Estate, state: EstateState | None = None) -> None:
        self.simulation = simulation
        self.pauses = Pauses(simulation.clock.monotonic, simulation.advance)
        self._declared = declared
        self.state = state or EstateState(declared, simulation.clock)
        self._services: dict[Machine, Service] = {}
        self._down: dict[Machine, float] = {}
        self._homes = {guest.identifier: guest.host.name for guest in self.state.guests}
        self.effects = Effects(self.state)

    def copy(self) -> Lab:
        """Return a lab in the same state, with its own services, its own time, and without effects."""
        shared = [self.state.clock, self._declared, *(one.spec for one in self.state.machines)]
        memo: dict[int, Any] = {id(each): each for each in shared}
        for machine in self.state.machines:
            machine.injected_faults = InjectedFaults(())
        return Lab(self.simulation, self._declared, copy.deepcopy(self.state, memo))

    def machine_of(self, connection: Connection) -> Machine | None:
        """Return the machine at the address of a connection. None if nothing listens there."""
        wanted = connection.address.lower()
        for machine in self.state.machines:
            if wanted in (machine.name.lower(), *machine.spec.addresses):
                return machine
        for cluster in self.state.clusters:
            if wanted in (cluster.name.lower(), *cluster.spec.addresses):
                return cluster.owner
        return None

    def answer(self, machine: Machine, message: bytes, rule: FaultRule | None = None) -> Reply:
        """Return the answer of a machine, possibly with a fault rule for this message alone."""
        answering = self._service(machine).reply(message)
        return self.simulation.run(answering if rule is None else _with_fault(machine, rule, answering))

    @property
    def open_shells(self) -> int:
        """The number of remote shells on all machines."""
        return sum(service.shells.open for service in self._services.values())

    def end_shells(self, machine: Machine) -> None:
        """End the remote shells of a machine."""
        self.simulation.run(self._service(machine).shells.close())

    def restart(self, machine: Machine, seconds: float) -> None:
        """Turn a machine off. Its connections and shells are lost. It is on again after some seconds."""
        self.state.power(machine, "off")
        self._close_service(machine)
        self._down[machine] = self.pauses.clock() + seconds

    def is_reachable(self, machine: Machine) -> bool:
        """Return True if a machine accepts connections now."""
        until = self._down.get(machine)
        # Several threads ask, and each of them can move the clock forward in the meantime.
        if until is not None and until < self.pauses.clock() and self._down.pop(machine, None) is not None:
            self.state.power(machine, "running")
        return machine.ready

    def recover(self) -> None:
        """Let the time pass after which all machines run again."""
        self.pauses.wait(_LONGEST_EVENT)
        for machine in list(self._down):
            self.is_reachable(machine)

    def move_back(self) -> None:
        """Move all VMs to their hosts at the start."""
        for guest in self.state.guests:
            guest.move(self.state.host(self._homes[guest.identifier]))

    def _close_service(self, machine: Machine) -> None:
        """Drop the service of a machine with its shells and its running methods."""
        service = self._services.pop(machine, None)
        if service is not None:
            self.simulation.run(service.close())

    def close(self) -> None:
        """End all services."""
        for machine in list(self._services):
            self._close_service(machine)

    def note_data_exchange(self, machine: Machine) -> None:
        """Record a change of Data Exchange that took effect."""
        self.effects.noted.append(Effect(machine.name, "data exchange"))

    def _service(self, machine: Machine) -> Service:
        if machine not in self._services:
            self._services[machine] = Service(machine, self.state)
        return self._services[machine]


async def _with_fault(machine: Machine, rule: FaultRule, answering: Coroutine[Any, Any, Reply]) -> Reply:
    others, machine.injected_faults = machine.injected_faults, _Next(rule)
    try:
        return await answering
    finally:
        machine.injected_faults = others


class _Next(InjectedFaults):
    """The fault rule for the next operation of a machine, whatever its name."""

    def __init__(self, rule: FaultRule) -> None:
        super().__init__(())
        self._rule: FaultRule | None = rule

    def take(self, operation: str, cim_class: str = "", also: str = "") -> FaultRule | None:
        """See `InjectedFaults.take`."""
        rule, self._rule = self._rule, None
        return rule
