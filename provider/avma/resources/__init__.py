"""The lifecycle of each resource, for all front ends."""

from avma.resources.cluster_license import ClusterLicense
from avma.resources.host_license import HostLicense
from avma.resources.resource import Resource
from avma.resources.vm_activation import VmActivation

RESOURCES: tuple[Resource, ...] = (ClusterLicense(), HostLicense(), VmActivation())
"""All resources."""
