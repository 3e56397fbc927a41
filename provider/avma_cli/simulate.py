"""`avma simulate`: run simulated Hyper-V hosts and VMs until stopped.

The module contains the options of the command and the table of addresses. It imports heavy modules when the command
runs. So help is instant, and the other commands work without the packages of the simulator.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avma import topics
from avma_cli.exits import Exit, fail

if TYPE_CHECKING:
    from avma_simulator import Ready

_MISSING = "the package {} is missing. Run: pip install 'pulumi-resource-avma[simulator]'"


def simulate(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="The estate file: YAML with hosts, VMs and product keys.")
    ] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="Write the addresses to this file, as JSON, as soon as all listeners are open.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the addresses as one line of JSON instead of a table.")
    ] = False,
    replay: Annotated[
        Path | None, typer.Option(help="Serve a recording of `avma doctor --record` instead of an estate file.")
    ] = None,
    username: Annotated[
        str,
        typer.Option(
            help="With --replay: the account that clients sign in with (default: the account in the recording)."
        ),
    ] = "",
    port: Annotated[int, typer.Option(help="With --replay: the port of all machines.", min=0, max=65535)] = 5985,
) -> None:
    """Run simulated Hyper-V hosts and VMs.

    Every machine with an account gets its own WinRM endpoint on loopback.
    Other computers cannot reach it. Stop with Ctrl+C. An estate file:

    \b
      hosts:
      - name: hv01
        version: "2025"
        edition: Datacenter
        username: Administrator
        password: Pa55w.rd
        vms:
        - {name: web01, version: "2022", edition: Standard,
           username: Administrator, password: Pa55w.rd}

    The command prints the URL of the control endpoint. Use it to change
    machines while the simulator runs:

    \b
      curl CONTROL/machines/hv01
      curl -d '{"status": "Notification"}' CONTROL/machines/hv01/set-license
      curl -d '{"state": "off"}' CONTROL/machines/web01/power
      curl -d '{"faults": [{"operation": "Enumerate", "answer": "drop"}]}' \\
        CONTROL/machines/hv01/faults
      curl CONTROL/counts

    With --replay, the command serves a recording over http on its own
    loopback addresses. The password is AVMA_PASSWORD, or "replay".
    """
    try:
        from avma_simulator import CannotListen, FileError, load_estate, serve, serve_recording
    except ImportError as error:
        fail(_MISSING.format(error.name), Exit.WRONG, topics.SIMULATOR)
    if (file is None) == (replay is None):
        fail("pass either an estate file, or a recording with --replay")

    def announce(ready: Ready, machines: list[dict[str, Any]]) -> None:
        _announce(ready, machines, ready_file, as_json)

    try:
        if replay is not None:
            # A recording contains nothing to protect, so any known password will do.
            serve_recording(replay, username, os.environ.get("AVMA_PASSWORD") or "replay", port, announce)
        elif file is not None:
            serve(load_estate(file), announce)
    except FileError as error:
        fail(str(error), Exit.USAGE, topics.SIMULATOR)
    except CannotListen as error:
        fail(str(error), Exit.WRONG, topics.SIMULATOR)


def _announce(ready: Ready, machines: list[dict[str, Any]], ready_file: Path | None, as_json: bool) -> None:
    summary = json.dumps(
        {
            "machines": machines,
            "clusters": ready.clusters,
            "control": ready.control_url,
            "caCertificate": str(ready.ca_certificate),
        }
    )
    if as_json:
        typer.echo(summary)
    else:
        _print_table(ready, machines)
    if ready_file is not None:
        _write_at_once(ready_file, summary)


def _print_table(ready: Ready, machines: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("Machine", "Runs on", "WinRM", box=None, pad_edge=False)
    for machine in machines:
        addresses = "\n".join(machine["urls"]) or "no listener (no account or no network)"
        table.add_row(machine["name"], machine.get("host", ""), addresses)
    for cluster in ready.clusters:
        table.add_row(cluster["name"], "a cluster", "\n".join(cluster["urls"]))
    console = Console(soft_wrap=True)
    console.print(table)
    console.print(f"\nControl         {ready.control_url}", highlight=False)
    console.print(f"CA certificate  {ready.ca_certificate}", highlight=False)
    console.print("\nServing. Stop with Ctrl+C.", highlight=False)


def _write_at_once(path: Path, text: str) -> None:
    """Write a file in one step, so that a process that waits for it never reads a part of it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(f"{text}\n", encoding="utf-8")
    os.replace(partial, path)
