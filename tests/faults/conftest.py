"""The fixture of a Kerberos realm, for a sample of the faults."""

from core.test_kerberos import lab as realm

__all__ = ["realm"]
