"""WMI of one machine: its classes, their instances and methods, and WQL."""
