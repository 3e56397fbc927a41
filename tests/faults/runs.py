"""The parts of a run: an operation in process, over sockets, or with crashes. Each part can run in its own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from faults.crashes import COMMANDS, VICTIMS, Crash, Crashes
from faults.matrix import Prepared
from faults.scenarios import SCENARIOS
from faults.simulation import Simulation
from faults.sockets import SAMPLED, Sample
from faults.table import Row

ONE_OF_SOCKETS, ONE_OF_CRASHES = 13, 7
"""One of so many cases runs over sockets and with the real engine, because these cases take much longer."""


def parts(only: str, every: int) -> Iterator[tuple[str, Callable[[], Row]]]:
    """Yield the names and functions of all parts whose names contain `only`. Each runs one of `every` cases."""
    for number, scenario in enumerate(SCENARIOS):
        yield from _wanted(only, scenario.name, partial(run, number, every))
    for name in SAMPLED:
        for https in (False, True):
            title = f"{'https' if https else 'http'}, {name}"
            yield from _wanted(only, title, partial(run_over_sockets, name, https, title, every * ONE_OF_SOCKETS))
    for number, command in enumerate(COMMANDS):
        title = f"crashes, {command.name}"
        yield from _wanted(only, title, partial(run_crashes, number, title, every * ONE_OF_CRASHES))


def _wanted(only: str, name: str, part: Callable[[], Row]) -> Iterator[tuple[str, Callable[[], Row]]]:
    if only in name:
        yield name, part


def run(number: int, every: int = 1) -> Row:
    """Run one operation in process."""
    row = Row(SCENARIOS[number].name)
    with closing(Simulation()) as simulation:
        prepared = Prepared(SCENARIOS[number], simulation)
        for case in islice(prepared.cases(), number % every, None, every):
            row.add(prepared.run(case))
    return row


def run_over_sockets(name: str, https: bool, title: str, every: int) -> Row:
    """Run one operation over real sockets."""
    sample, row = Sample(next(each for each in SCENARIOS if each.name == name), https), Row(title)
    for case in islice(sample.cases(), every // 2, None, every):
        row.add(sample.run(case))
    return row


def run_crashes(number: int, title: str, every: int) -> Row:
    """Run one command of the real engine with crashes."""
    row = Row(title)
    with TemporaryDirectory() as folder:
        crashes = Crashes(Path(folder), COMMANDS[number])
        cases = [Crash(COMMANDS[number], victim, at + 1) for at in range(crashes.requests) for victim in VICTIMS]
        # The number of the command alternates the victims, also if one case of each command runs.
        for crash in cases[(every // 2 + number) % len(cases) :: every]:
            row.count(str(crash), crashes.run(crash))
    return row
