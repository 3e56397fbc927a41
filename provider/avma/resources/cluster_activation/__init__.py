"""The ClusterActivation resource."""
