"""The lifecycle of each resource, for all front ends."""

from avma.resources.cluster_activation.activation_resource import ClusterActivationResource
from avma.resources.cluster_license.cluster_resource import ClusterLicenseResource
from avma.resources.host_license.host_resource import HostLicenseResource
from avma.resources.resource import Resource
from avma.resources.vm_activation.vm_resource import VmActivationResource

RESOURCES: tuple[Resource, ...] = (
    ClusterActivationResource(),
    ClusterLicenseResource(),
    HostLicenseResource(),
    VmActivationResource(),
)
"""All resources."""
