"""The ClusterLicense resource."""
