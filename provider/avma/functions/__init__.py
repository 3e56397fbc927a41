"""The read-only functions. Two of them look up tables and connect to no machine."""

from avma.functions.function import Function
from avma.functions.machines import GetClusterNodes, GetHostLicense, GetHostVms, GetVmActivation
from avma.functions.tables import GetAvmaKey, GetCompatibility

__all__ = ["FUNCTIONS", "Function"]

FUNCTIONS: tuple[Function, ...] = (
    GetAvmaKey(),
    GetClusterNodes(),
    GetCompatibility(),
    GetHostLicense(),
    GetHostVms(),
    GetVmActivation(),
)
"""All functions."""
