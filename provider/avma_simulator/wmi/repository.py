"""The WMI repository of one machine: its classes, their current instances, and their methods.

Class and property names are Microsoft's: learn.microsoft.com, "Win32_OperatingSystem", "SoftwareLicensingProduct",
"SoftwareLicensingService" and "Hyper-V WMI provider (V2)".
"""

from __future__ import annotations

from collections.abc import Callable

from avma_simulator.state.cluster import Cluster
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Guest, Machine
from avma_simulator.wmi import (
    events,
    hyperv,
    hyperv_management,
    identity,
    mscluster,
    operating_system,
    rights,
    software_licensing,
)
from avma_simulator.wmi.cim import CimClass, Instance
from avma_simulator.wmi.methods import Method


class ClassNotFound(Exception):
    """The namespace or the class does not exist on the machine."""


class MethodNotFound(Exception):
    """The class does not have the method."""


class Repository:
    """The WMI classes of one machine."""

    def __init__(self, machine: Machine, state: EstateState) -> None:
        self._machine = machine
        self._state = state
        self._sources: dict[CimClass, Callable[[], list[Instance]]] = {
            operating_system.OPERATING_SYSTEM: lambda: [operating_system.operating_system(machine)],
            operating_system.COMPUTER_SYSTEM: lambda: [operating_system.computer_system(machine)],
            identity.PRODUCT: lambda: [identity.product(machine)],
            software_licensing.service_class(machine): lambda: [software_licensing.service(machine)],
            events.EVENT: lambda: events.rows(machine.log, machine.computer_name, machine.spec.language),
            software_licensing.PRODUCT: lambda: software_licensing.products(machine),
        }
        self._methods = dict(software_licensing.METHODS)
        if not isinstance(machine, Guest) or machine.spec.vms:
            self._methods[hyperv_management.SERVICE.name] = hyperv_management.methods(self._guests)
            self._sources |= {
                hyperv.COMPUTER_SYSTEM: lambda: hyperv.computer_systems(machine, self._guests()),
                identity.SETTING: lambda: identity.settings(self._guests()),
                hyperv.KVP_COMPONENT: lambda: hyperv.kvp_components(self._guests()),
                hyperv.KVP_SETTING: lambda: hyperv.kvp_settings(machine, self._guests()),
                hyperv_management.SERVICE: lambda: hyperv_management.services(machine),
                mscluster.CLUSTER: lambda: mscluster.clusters(self._cluster()),
                mscluster.NODE: lambda: mscluster.nodes(self._cluster()),
                mscluster.NETWORK: lambda: mscluster.networks(self._cluster()),
                mscluster.NETWORK_INTERFACE: lambda: mscluster.network_interfaces(self._cluster()),
            }

    def find_class(self, namespace: str, name: str) -> CimClass:
        """Return a class. Case is ignored.

        Raises:
            ClassNotFound: the machine does not have the namespace or class.
        """
        wanted = (namespace.lower(), name.lower())
        for cim_class in self._classes():
            if wanted == (cim_class.namespace.lower(), cim_class.name.lower()):
                return cim_class
        raise ClassNotFound(f"{namespace}:{name}")

    def has_namespace(self, name: str) -> bool:
        """Return True if the machine has classes in a namespace. Case is ignored."""
        return any(cim_class.namespace.lower() == name.lower() for cim_class in self._classes())

    def instances(self, cim_class: CimClass) -> list[Instance]:
        """Return the current instances of a class and of its derived classes, as the account sees them."""
        if self.hides(cim_class):
            return []
        kinds = [one for one in self._sources if cim_class in (one, one.base)]
        return [row for kind in kinds for row in self._sources[kind]()]

    def hides(self, cim_class: CimClass) -> bool:
        """Return True if the account sees no instances of the class, even if there are some."""
        return rights.access(self._machine, cim_class.namespace) == "empty"

    def method(self, cim_class: CimClass, name: str) -> tuple[str, Method]:
        """Return a method with its declared name. Case is ignored.

        Raises:
            MethodNotFound: the class does not have the method.
        """
        for declared, method in self._methods.get(cim_class.name, {}).items():
            if declared.lower() == name.lower():
                return declared, method
        raise MethodNotFound(name)

    def _classes(self) -> list[CimClass]:
        """Return the current classes. A host has cluster classes only while it is a node."""
        node = self._state.cluster_of(self._machine) is not None
        own = [one for one in self._sources if node or one.namespace != mscluster.NAMESPACE]
        return [*own, *(one.base for one in own if one.base is not None)]

    def _cluster(self) -> Cluster:
        found = self._state.cluster_of(self._machine)
        if found is None:
            raise ClassNotFound(mscluster.NAMESPACE)
        return found

    def _guests(self) -> list[Guest]:
        return self._state.guests_of(self._machine)
