"""An inventory as tables on a terminal, and the progress display."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table
from rich.text import Text

from avma.inventory import collect
from avma.inventory.inventory import Inventory, Seen
from avma_cli.report import rows

_STYLES = {"good": "green", "bad": "bold red", "open": "yellow", "idle": "dim"}


def show(inventory: Inventory, console: Console) -> None:
    """Print the tables of hosts and VMs, and a summary."""
    hosts = Table("Cluster", "Host", "System", "License", "Key", "Channel", "Note", box=None, pad_edge=False)
    for host in inventory.hosts:
        hosts.add_row(
            *map(Text, (host.cluster or "", host.host, rows.system(host.os_version, host.edition))),
            _verdict(host),
            *map(Text, (rows.key(host), rows.channel(host), rows.note(host))),
        )
    vms = Table(
        "Host",
        "VM",
        "System",
        "License",
        "Key",
        "Activated by",
        "Last activated (UTC)",
        "Note",
        box=None,
        pad_edge=False,
    )
    for host, vm in inventory.vms:
        vms.add_row(
            *map(Text, (host.host, vm.vm_name, rows.guest_system(vm))),
            _verdict(vm),
            *map(Text, (rows.key(vm), vm.activated_by_host or "", rows.time(vm.last_activation_time), rows.note(vm))),
        )
    for table in (hosts, vms):
        if table.row_count:
            console.print(table)
            console.print()
    for cluster in inventory.clusters:
        if cluster.problem:
            console.print(Text(f"{cluster.cluster}: {rows.sentences(cluster.problem, cluster.remedy)}"))
    console.print(Text(conclusion(inventory)))


def conclusion(inventory: Inventory) -> str:
    """Return a summary in one line."""
    found = rows.summary(inventory)
    return (
        f"{found.hosts_licensed} of {found.hosts} hosts licensed, {found.hosts - found.hosts_answered} not read. "
        f"{found.vms_licensed} of {found.vms} VMs licensed, {found.vms_unlicensed} not licensed, "
        f"{found.vms_off} off, {found.vms_unread} not read."
    )


@contextmanager
def progress(console: Console) -> Iterator[Callable[[collect.Progress], None]]:
    """Yield a function that shows the progress: a bar on a terminal, nothing elsewhere."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("connecting", total=None)

        def show(now: collect.Progress) -> None:
            bar.update(task, total=now.known, completed=now.done, description=now.machine)

        yield show


def _verdict(seen: Seen) -> Text:
    found = rows.verdict(seen)
    return Text(f"{found.sign} {found.word}", style=_STYLES[found.kind])
