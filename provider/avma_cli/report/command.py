"""`avma report`: list the licenses and keys of all hosts and VMs.

The module contains options and exit codes. `avma.inventory` reads the machines. Each output format has its own module
in this package.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from avma import topics
from avma_cli import options
from avma_cli.exits import Exit, fail, guarded
from avma_cli.files import write_file

if TYPE_CHECKING:
    from rich.console import Console

    from avma.inventory.inventory import Inventory
    from avma.inventory.request import ClusterRequest, HostRequest, InventoryRequest
    from avma.redaction import Redactor
    from avma.settings import Settings
    from avma_cli.report.source import Source


@options.connecting("username", "transport")
def report(
    estate: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A host list (YAML), stack outputs or a stack export. Use - for stdin."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of tables.")] = False,
    html: Annotated[Path | None, typer.Option(help="Write a self-contained HTML page to this file.")] = None,
    import_file: Annotated[Path | None, typer.Option(help="Write a file for `pulumi import --file`.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False,
    parallel: Annotated[int, typer.Option(min=1, max=256, help="How many hosts to read in parallel.")] = 16,
    timeout: Annotated[str, typer.Option(help="Time limit for one host with its guests.")] = "5m",
    *,
    given: options.Given,
) -> None:
    """List the licenses and keys of all hosts and VMs.

    The command changes nothing. A host list is a YAML file:

    \b
      settings: {username: 'LAB\\svc-avma', guest: {username: Administrator}}
      hosts:
      - hv01.example.com
      clusters:
      - cl01.example.com

    \b
      AVMA_PASSWORD=... AVMA_GUEST_PASSWORD=... avma report hosts.yaml
      pulumi stack export | avma report - --html report.html

    The report shows the last five characters of each product key. For guests
    without an account, it shows what they report to their host.

    NO_COLOR=1 turns colors off. Exit codes: 0 all machines answered, 1 cannot
    write a file, 2 wrong usage, 3 some machines did not answer.
    """
    if sum((as_json, as_csv, quiet)) > 1:
        fail("--json, --csv and --quiet cannot be combined")
    seconds = _seconds(timeout)
    source = _source(estate)
    request = _request(source, given)
    with guarded("report"):
        inventory = _collect(request, seconds, parallel, quiet)
        _write(inventory, Path(source.name).name, html, import_file)
        _print(inventory, as_json, as_csv, quiet)
    raise typer.Exit(Exit.WELL if inventory.complete else Exit.INCOMPLETE)


def _seconds(timeout: str) -> float:
    from avma.deadline import duration_error, seconds

    reason = duration_error(timeout)
    if reason:
        fail(f"--timeout: {reason}", Exit.USAGE, topics.of_check(duration_error))
    return seconds(timeout)


def _source(path: Path) -> Source:
    from avma_cli.report.source import SourceError, read

    try:
        return read(path)
    except SourceError as error:
        fail(str(error), Exit.USAGE, *error.topics)


def _request(source: Source, given: options.Given) -> InventoryRequest:
    """Return the request, with settings merged from options, file and environment."""
    from avma.configuration import Configuration
    from avma.inventory.request import InventoryRequest
    from avma.properties import build

    settings = build(Configuration, options.settings(given, source.settings))
    return InventoryRequest(settings, source.hosts, source.clusters)


def _collect(request: InventoryRequest, seconds: float, parallel: int, quiet: bool) -> Inventory:
    from rich.console import Console

    from avma.inventory.collect import Collector
    from avma.windows.machines import Machines
    from avma_cli.report.table import progress

    console = Console(stderr=True, quiet=quiet, highlight=False)
    redact = _redactor(request)
    options.start_log(redact)
    with closing(Machines(request.settings.max_concurrency)) as machines, progress(console) as show_progress:
        collector = Collector(
            request,
            machines,
            seconds=seconds,
            at_once=parallel,
            show_progress=show_progress,
            warn=_Warnings(console, redact),
            redact=redact,
        )
        return collector.collect()


class _Warnings:
    """Prints each warning once, without breaking the progress display."""

    def __init__(self, console: Console, redact: Redactor) -> None:
        self._console = console
        self._redact = redact
        self._said: set[str] = set()

    def __call__(self, text: str) -> None:
        """Print a warning, unless it was printed before."""
        from rich.text import Text

        if text not in self._said:
            self._said.add(text)
            self._console.print(Text(f"warning: {self._redact(text)}"), soft_wrap=True)


def _redactor(request: InventoryRequest) -> Redactor:
    """Return a redactor for the secrets in all settings."""
    from avma.properties import properties
    from avma.redaction import Redactor
    from avma_cli.wording import REPORT

    entries: list[HostRequest | ClusterRequest] = [*request.hosts, *request.clusters]
    layers: list[Settings | None] = [request.settings, request.settings.guest]
    for entry in entries:
        layers += [entry.connection, entry.guest]
    redact = Redactor(REPORT)
    for layer in filter(None, layers):
        secrets = (getattr(layer, prop.name) for prop in properties(type(layer)) if prop.rule.secret)
        redact.learn(secret for secret in secrets if secret)
    return redact


def _print(inventory: Inventory, as_json: bool, as_csv: bool, quiet: bool) -> None:
    from rich.console import Console

    from avma_cli.report import data, table

    if as_json:
        typer.echo(data.json_document(inventory))
    elif as_csv:
        typer.echo(data.csv_table(inventory), nl=False)
    elif not quiet:
        table.show(inventory, Console(highlight=False))


def _write(inventory: Inventory, source: str, html: Path | None, import_file: Path | None) -> None:
    from avma_cli.report import data, page

    if html is not None:
        write_file("--html", html, page.page(inventory, source))
    if import_file is not None:
        write_file("--import-file", import_file, f"{data.import_file(inventory)}\n")
