"""Runs each fault at each request of each operation, and prints a table by operation.

The faults below the messages also run over real sockets, and crashes run with the real engine, both as a sample.
`--only TEXT` runs the operations whose names contain the text. `--every N` runs one of N cases.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from faults.runs import parts
from faults.table import Row, table


def main(arguments: list[str]) -> int:
    """Run the operations in parallel. Return 1 if a promise is broken."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__)
    parser.add_argument("--only", default="", metavar="TEXT")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    options = parser.parse_args(arguments)
    # One process more than processors: each waits a third of its time, because its threads hand over to each other.
    with ProcessPoolExecutor((os.cpu_count() or 1) + 1, mp_context=get_context("spawn")) as processes:
        running = [processes.submit(part) for _, part in parts(options.only, options.every)]
        rows = [_shown(each.result()) for each in running]
    print(table(rows))
    return int(any(row.details for row in rows))


def _shown(row: Row) -> Row:
    print(f"{row.name}: {row.tried} tried, {row.missed} not reached", *row.details, sep="\n  ", flush=True)
    return row


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
