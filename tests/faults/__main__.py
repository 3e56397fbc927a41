"""Runs each fault at each request of each operation, and prints a table by operation.

The faults below the messages also run over real sockets, as a sample. Crashes run with the real engine, one of seven
unless `--every-crash 1` runs all of them. `--only TEXT` runs the operations whose names contain the text. `--every N`
runs one of N faults.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from faults.runs import parts
from faults.table import Row, table


def main(arguments: list[str]) -> int:
    """Run the operations in parallel. Return 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--every-crash", type=int, default=7, metavar="N")
    options = parser.parse_args(arguments)
    processors, context = os.cpu_count() or 1, get_context("spawn")
    # Each process waits a third of its time, because its threads hand over to each other.
    with ProcessPoolExecutor(processors + 1, context) as busy, ProcessPoolExecutor(processors, context) as waiting:
        listed = list(parts(options.only, options.every, options.every_crash))
        # The longest operations are the last ones. They start first, so that no process works alone at the end.
        running = [(waiting if part.waits else busy).submit(part.run) for part in reversed(listed)]
        for each in as_completed(running):
            _show(each.result())
    rows = [each.result() for each in reversed(running)]
    print(table(rows))
    return int(any(row.details for row in rows))


def _show(row: Row) -> None:
    print(f"{row.name}: {row.tried} tried, {row.missed} not reached", *row.details, sep="\n  ", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
