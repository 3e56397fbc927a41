"""The local groups that give an account rights."""

from __future__ import annotations

ADMINISTRATORS, REMOTE_MANAGEMENT, HYPER_V = "Administrators", "Remote Management Users", "Hyper-V Administrators"
Groups = frozenset[str]
"""The groups of an account."""
