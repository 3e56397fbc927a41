"""The lifecycle of each resource, as the front ends offer it. It must not know any front end."""

from avma.resources.host_license import HostLicense
from avma.resources.resource import Resource
from avma.resources.vm_activation import VmActivation

RESOURCES: tuple[Resource, ...] = (HostLicense(), VmActivation())
"""All resources that there are."""
