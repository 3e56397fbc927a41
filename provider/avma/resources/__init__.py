"""The lifecycle of each resource, for all front ends."""

from avma.resources.cluster_license import ClusterLicenseResource
from avma.resources.host_license import HostLicenseResource
from avma.resources.resource import Resource
from avma.resources.vm_activation import VmActivationResource

RESOURCES: tuple[Resource, ...] = (ClusterLicenseResource(), HostLicenseResource(), VmActivationResource())
"""All resources."""
