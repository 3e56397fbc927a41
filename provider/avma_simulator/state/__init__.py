"""The current state of an estate: machines, licenses, keys, accounts, clusters, and the rules of activation."""
