"""The HostLicense resource."""
