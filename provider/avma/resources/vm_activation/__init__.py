"""The VmActivation resource."""
