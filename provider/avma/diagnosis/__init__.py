"""The diagnosis of a Hyper-V host: checks from name resolution to the other nodes of its cluster.

The diagnosis changes no machine. A failed check skips only the checks that depend on it.
"""
