"""The read-only functions. Two of them look up tables and connect to no machine."""

from avma.functions.function import Function
from avma.functions.get_avma_key import GetAvmaKey
from avma.functions.get_cluster_guests import GetClusterGuests
from avma.functions.get_cluster_nodes import GetClusterNodes
from avma.functions.get_compatibility import GetCompatibility
from avma.functions.get_host_license import GetHostLicense
from avma.functions.get_host_vms import GetHostVms
from avma.functions.get_vm_activation import GetVmActivation

__all__ = ["FUNCTIONS", "Function"]

FUNCTIONS: tuple[Function, ...] = (
    GetAvmaKey(),
    GetClusterGuests(),
    GetClusterNodes(),
    GetCompatibility(),
    GetHostLicense(),
    GetHostVms(),
    GetVmActivation(),
)
"""All functions."""
