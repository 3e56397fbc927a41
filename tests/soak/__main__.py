"""Random runs for a number of minutes: `python -m soak MINUTES [SEED]`.

Half of the time is for the plugin alone, which reaches more states, and half for the real engine. It prints the number
of steps of each kind. A counterexample ends the program, with its steps and the seed that finds it again.
"""

from __future__ import annotations

import random
import sys
import time

from soak.estate_machine import EstateMachine
from soak.judging import COUNTED
from soak.real_machine import RealEngineMachine
from soak.runs import run

_BATCHES = ((EstateMachine, 6, 30), (RealEngineMachine, 3, 12))
"""The machines, with the runs and steps of a batch. A batch takes some minutes."""


def main(arguments: list[str]) -> int:
    """Run until the time is over."""
    minutes = float(arguments[0])
    first = int(arguments[1]) if len(arguments) > 1 else random.SystemRandom().randrange(1 << 32)
    for machine, examples, steps in _BATCHES:
        runs, end = 0, time.monotonic() + minutes * 30
        COUNTED.clear()
        while time.monotonic() < end:
            print(f"{machine.__name__}: seed {first + runs}", flush=True)
            run(machine, first + runs, examples, steps)
            runs += 1
        counted = ", ".join(f"{count} {name}" for name, count in COUNTED.items())
        print(f"{machine.__name__}: {runs * examples} runs with {counted}. Nothing found", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
