"""Run the measures, or print the table of the last results."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace

import posix_only
from benchmarks import (
    activation,
    calls,
    cluster,
    engine,
    environment,
    host,
    page,
    refresh,
    report,
    rows,
    startup,
    thousand,
)
from benchmarks.environment import say
from benchmarks.rows import Group, Results, Row

MEASURES: dict[str, Callable[[], Iterable[Row]]] = {
    "startup": startup.measure,
    "calls": calls.measure,
    "preview": engine.preview,
    "activation": activation.measure,
    "refresh": refresh.measure,
    "host": host.measure,
    "cluster": cluster.measure,
    "thousand": thousand.measure,
    "report": report.measure,
    "engine": engine.refresh,
}
_LONGEST = 600
"""Seconds until a measure is ended."""
_TERMINATED = 128 + signal.SIGTERM


def main() -> int:
    """Return 0 if all measures ran, whether they reach their targets or not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the speed of the provider.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(MEASURES)} (all)")
    parser.add_argument("--table", action="store_true", help="only print the table of the committed results")
    parser.add_argument("--save", action="store_true", help="update the committed results, and the page in docs")
    options = parser.parse_args()
    if options.table:
        print(rows.latest().table())
        return 0
    unknown = set(options.names) - set(MEASURES)
    if unknown:
        parser.error(f"no measure {', '.join(sorted(unknown))}. There are {', '.join(MEASURES)}")
    _clean_environment()
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(posix_only.signal.SIGALRM, _give_up)
    return run(options.names or list(MEASURES), options.save)


def _exit(*_: object) -> None:
    sys.exit(_TERMINATED)  # an exception, so that each block ends its processes


def _give_up(*_: object) -> None:
    raise TimeoutError(f"the measure took longer than {_LONGEST} s")


def _clean_environment() -> None:
    """Remove settings of the provider, and keep the compiled modules of each program, as an installation does."""
    for name in tuple(os.environ):
        if name.startswith(("AVMA_", "HYPERV_", "PULUMI_")) or name == "PYTHONDONTWRITEBYTECODE":
            del os.environ[name]


def run(names: list[str], save: bool) -> int:
    """Run measures one after the other, and print their table."""
    results = Results(environment.describe())
    failed = []
    for name in names:
        group = _group(name)
        if group is None:
            failed.append(name)
        else:
            results = replace(results, groups={**results.groups, name: group})
    print(results.table())
    if save:
        merged = _merged(results)
        merged.save()
        page.PAGE.write_text(page.page(merged))
    if failed:
        say(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _group(name: str) -> Group | None:
    say(f"== {name}")
    load, began, found = environment.load(), time.monotonic(), list[Row]()
    posix_only.signal.alarm(_LONGEST)
    try:
        for row in MEASURES[name]():
            found.append(row)
            say(f"   {' | '.join(cell for cell in row.cells() if cell)}")
    except Exception:
        traceback.print_exc()
        return None
    finally:
        posix_only.signal.alarm(0)
    seconds = round(time.monotonic() - began, 1)
    say(f"   {seconds:.0f} s")
    return Group(load, seconds, tuple(found))


def _merged(new: Results) -> Results:
    """Return the results with those of the last run for the other measures, in the usual order."""
    old = rows.latest().groups if rows.LATEST.exists() else {}
    merged = {**old, **new.groups}
    return Results(new.machine, {name: merged[name] for name in MEASURES if name in merged})


if __name__ == "__main__":
    sys.exit(main())
