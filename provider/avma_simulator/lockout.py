"""Failed sign-ins: how many each account has had, and when it is locked.

An account is locked after so many failures in a row, also for the right password (Windows' account lockout policy). The
machines of a domain count the failures of its accounts together. Inferred: that a lock has no end.
"""

from __future__ import annotations

from collections import Counter
from typing import Any


class Lockout:
    """The failed sign-ins of all accounts of an estate; a `threshold` of None locks no account."""

    def __init__(self, threshold: int | None) -> None:
        self._threshold = threshold
        self._in_a_row: Counter[str] = Counter()
        self._all: Counter[str] = Counter()

    def failed(self, account: str) -> None:
        """Count a failed sign-in of an account."""
        self._in_a_row[account] += 1
        self._all[account] += 1

    def succeeded(self, account: str) -> None:
        """Begin to count the failures of an account again."""
        self._in_a_row[account] = 0

    def is_locked(self, account: str) -> bool:
        """Return True if the account has failed too often."""
        return self._threshold is not None and self._in_a_row[account] >= self._threshold

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return all failures of each account, and whether it is locked."""
        return {name: {"failed": count, "locked": self.is_locked(name)} for name, count in sorted(self._all.items())}
