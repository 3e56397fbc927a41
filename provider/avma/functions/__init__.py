"""The read-only look-ups. Two of them are tables and need no machine; none changes anything."""

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
"""All functions that there are."""
