"""The error with which the Software Protection Platform refuses: an HRESULT, by its symbolic name."""

from __future__ import annotations

from avma import hresult


class Refusal(Exception):
    """A licensing method was refused."""

    def __init__(self, name: str) -> None:
        self.hresult = hresult.by_name(name)
        super().__init__(str(self.hresult))
