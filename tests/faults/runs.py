"""The run of one operation with its faults. Each process can run it: its argument and its result can be pickled."""

from __future__ import annotations

from contextlib import closing
from itertools import islice

from faults.matrix import Prepared
from faults.scenarios import SCENARIOS
from faults.simulation import Simulation
from faults.table import Row


def run(number: int, every: int = 1) -> Row:
    """Run one operation with all faults, or with one of `every` cases."""
    row = Row(SCENARIOS[number].name)
    with closing(Simulation()) as simulation:
        prepared = Prepared(SCENARIOS[number], simulation)
        for case in islice(prepared.cases(), number % every, None, every):
            row.add(prepared.run(case))
    return row
