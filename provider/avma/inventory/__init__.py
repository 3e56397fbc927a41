"""The licenses of many hosts and their VMs at one moment: the request, the result, and its collection."""
