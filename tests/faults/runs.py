"""The parts of a run: an operation in process, over sockets, or with crashes. Each part can run in its own process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
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

ONE_OF_SOCKETS = 13
"""One of so many cases runs over sockets, because these cases take much longer."""


@dataclass(frozen=True)
class Part:
    """A part of a run: its name, its function, and whether it spends most of its time in waits."""

    name: str
    run: Callable[[], Row]
    waits: bool = True


def parts(only: str, every: int, every_crash: int) -> Iterator[Part]:
    """Yield all parts whose names contain `only`. They run one of `every` faults, and one of `every_crash` crashes."""
    return (part for part in _all_parts(every, every_crash) if only in part.name)


def _all_parts(every: int, every_crash: int) -> Iterator[Part]:
    for number, scenario in enumerate(SCENARIOS):
        yield Part(scenario.name, partial(run, number, every), waits=False)
    for name in SAMPLED:
        for https in (False, True):
            title = f"{'https' if https else 'http'}, {name}"
            yield Part(title, partial(run_over_sockets, name, https, title, every * ONE_OF_SOCKETS))
    for number, command in enumerate(COMMANDS):
        title = f"crashes, {command.name}"
        yield Part(title, partial(run_crashes, number, title, every_crash))


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
