"""The errors of the Software Protection Platform: an HRESULT by its symbolic name."""

from __future__ import annotations

from avma import hresult


class SlError(Exception):
    """Windows rejected a licensing method."""

    def __init__(self, name: str) -> None:
        self.hresult = hresult.by_name(name)
        super().__init__(str(self.hresult))
