"""What is licensed on many hosts and in their VMs, at one moment: what to ask, what was seen, and the asking."""
