"""The random run with the real engine."""

from __future__ import annotations

from pathlib import Path

from soak.estate_machine import EstateMachine
from soak.program import Engine
from soak.real_engine import RealEngine


class RealEngineMachine(EstateMachine):
    """See `EstateMachine`."""

    def new_engine(self, folder: Path) -> Engine:
        """See `EstateMachine.new_engine`."""
        return RealEngine(folder, self.world.requests)
