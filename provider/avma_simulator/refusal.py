"""The error with which the Software Protection Platform refuses: an HRESULT, by its symbolic name."""

from __future__ import annotations

from avma import hresult

# What Windows answers and the project's own table does not explain.
_MORE = {
    entry.name: entry
    for entry in (
        hresult.HResult(
            0xC004F04D,
            "SL_E_CIDIID_INVALID_CHECK_DIGITS",
            "the installation ID or the confirmation ID is invalid",
            "read both IDs again",
        ),
    )
}


class Refusal(Exception):
    """A licensing method was refused."""

    def __init__(self, name: str) -> None:
        self.hresult = _MORE[name] if name in _MORE else hresult.by_name(name)
        super().__init__(str(self.hresult))
