"""The failed sign-ins of each account and its lockout.

After a number of consecutive failures, an account is locked even for the right password (Windows' account lockout
policy). All machines of a domain share the count of a domain account. Simplified: a lockout does not end here.
"""

from __future__ import annotations

from collections import Counter
from typing import Any


class Lockout:
    """The failed sign-ins of all accounts of an estate. A `threshold` of None locks no account."""

    def __init__(self, threshold: int | None) -> None:
        self._threshold = threshold
        self._in_a_row: Counter[str] = Counter()
        self._all: Counter[str] = Counter()

    def failed(self, account: str) -> None:
        """Count a failed sign-in of an account."""
        self._in_a_row[account] += 1
        self._all[account] += 1

    def succeeded(self, account: str) -> None:
        """Reset the consecutive failures of an account."""
        self._in_a_row[account] = 0

    def is_locked(self, account: str) -> bool:
        """Return True if the account is locked."""
        return self._threshold is not None and self._in_a_row[account] >= self._threshold

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return the number of failures of each account and its lockout state."""
        return {name: {"failed": count, "locked": self.is_locked(name)} for name, count in sorted(self._all.items())}
