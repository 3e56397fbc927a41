"""`avma conformance`: compare a Windows machine with the facts that this product relies on.

The module contains options and exit codes. `avma_conformance` contains the facts, the run and the reports.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from avma_cli import options
from avma_cli.exits import Exit, end, fail, guarded
from avma_cli.files import distinct, writable, write_files, written_recording
from avma_cli.host_settings import host_settings, secrets_of

if TYPE_CHECKING:
    from avma.redaction import Redactor
    from avma_conformance.fact import Fact
    from avma_conformance.page import Column
    from avma_conformance.report import ConformanceReport
    from avma_conformance.subject import Target
    from avma_conformance.suite import FactResult, Suite

_OF_USER = "AVMA_USER_PASSWORD"
"""The environment variable with the password of `--user`."""


@dataclass(frozen=True)
class _Files:
    """The files to write, and the earlier reports for the page."""

    json: Path | None
    markdown: Path | None
    html: Path | None
    earlier: tuple[Column, ...]


@options.connecting("username")
def conformance(
    host: Annotated[str, typer.Argument(metavar="HOST", help="The machine: a DNS name or an IP address.")],
    only: Annotated[str, typer.Option(metavar="TEXT", help="Observe only facts whose names contain this text.")] = "",
    harmless: Annotated[
        bool, typer.Option("--harmless", help="Also request changes that Windows rejects or that are undone at once.")
    ] = False,
    spend: Annotated[
        list[str] | None, typer.Option(metavar="FACT", help="Also observe this fact, which uses something up.")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help=f"An account without administrator rights. Its password is in {_OF_USER}.")
    ] = None,
    vm: Annotated[
        str | None, typer.Option(metavar="NAME_OR_ID", help="The VM of the guest account. No other VM receives it.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write a JSON report to this file.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write a Markdown report to this file.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with all facts to this file.")] = None,
    earlier: Annotated[
        list[Path] | None, typer.Option("--with", metavar="REPORT", help="Add an earlier JSON report to the page.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Record all messages in this new file, without names and secrets.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Connect to this name or address instead of HOST.")] = None,
    *,
    given: options.Given,
) -> None:
    """Compare a Windows machine with the facts that this product relies on.

    The command only reads, unless you allow more. It prints each fact that
    differs. Reports and recordings contain no names and no secrets. Please
    attach them to an issue of the project.

      AVMA_PASSWORD=... avma conformance hv01.example.com --username Administrator --markdown report.md

    NO_COLOR=1 turns colors off. Exit codes: 0 no difference, 1 at least one
    difference, 2 wrong usage, 3 no difference, but the machine did not answer
    each fact.
    """
    from avma.redaction import Redactor
    from avma_cli.wording import COMMANDS

    if "guest_username" in given and vm is None:
        fail("--guest-username: add --vm with the name or the id of the VM")
    configuration = options.settings(given, {})
    settings = host_settings(host, configuration, address)
    redact = Redactor(COMMANDS)
    redact.learn([*secrets_of(settings), os.environ.get(_OF_USER, "")])
    facts, files = _facts(only, spend or ()), _Files(json_file, markdown, html, tuple(_columns(earlier or ())))
    outputs = {"--json": json_file, "--markdown": markdown, "--html": html}
    distinct({**outputs, "--record": record})
    with guarded("conformance"):
        target = _target(host, settings, configuration, user, vm)
        with writable(outputs):
            report = _run(target, facts, harmless, frozenset(spend or ()), record, redact, files)
    raise typer.Exit(Exit.WRONG if report.differences else Exit.INCOMPLETE if report.unanswered else Exit.WELL)


def _facts(only: str, named: Iterable[str]) -> list[Fact]:
    """Return the facts whose names contain the text."""
    from avma_conformance.facts import FACTS

    found = [each for each in FACTS if only in each.name]
    if not found:
        fail(f"--only: no name of a fact contains {only}")
    known = {each.name: each for each in FACTS}
    for name in named:
        if name not in known:
            fail(f"--spend: there is no fact {name}")
        if known[name].observe is None:
            fail(f"--spend: {name} is a question, which no command can answer")
        if known[name] not in found:
            fail(f"--spend: --only leaves out {name}")
    return found


def _columns(paths: Iterable[Path]) -> Iterator[Column]:
    from avma_conformance.page import NotAReport, column

    for path in paths:
        try:
            yield column(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            fail(f"--with: cannot read {path}: {getattr(error, 'strerror', 'it is not text')}")
        except NotAReport as error:
            fail(f"--with: {path}: {error}")


def _target(host: str, settings: Any, configuration: Mapping[str, Any], user: str | None, vm: str | None) -> Target:
    from avma.configuration import GuestDefaults
    from avma.connection import resolve
    from avma.properties import build
    from avma.wsman.script import Credential
    from avma_conformance.subject import Target

    connection = resolve(host, settings)
    guest = build(GuestDefaults, configuration.get("guest", {}))
    account = Credential(guest.username, guest.password) if guest.username and guest.password else None
    if vm is not None and account is None:
        fail("--vm: there is no account for the VM. Add --guest-username, and set AVMA_GUEST_PASSWORD")
    if user is None:
        return Target(connection, None, account, vm)
    password = os.environ.get(_OF_USER)
    if not password:
        fail(f"--user: no password is set. Set {_OF_USER}")
    return Target(connection, replace(connection, username=user, password=password), account, vm)


def _run(
    target: Target,
    facts: list[Fact],
    harmless: bool,
    named: frozenset[str],
    record: Path | None,
    redact: Redactor,
    files: _Files,
) -> ConformanceReport:
    """Observe the facts, print the differences, write the files, and return the report."""
    from avma import errors
    from avma.wsman.winrm_pipe import WinrmPipe
    from avma_conformance.fact import Effect
    from avma_conformance.suite import Suite

    options.start_log(redact)
    permitted = {Effect.READS, Effect.HARMLESS} if harmless else {Effect.READS}
    with closing(Suite(target, permitted, named, WinrmPipe)) as suite, written_recording(suite.recorder, record):
        try:
            return _observe(suite, facts, redact, files)
        except errors.AvmaError as error:
            end(redact(error.message), Exit.INCOMPLETE)


def _observe(suite: Suite, facts: list[Fact], redact: Redactor, files: _Files) -> ConformanceReport:
    """Write the report also if the user stops the run. Then the facts that did not run are open in it."""
    from rich.console import Console

    from avma_cli.conformance.output import RunOutput
    from avma_conformance.report import report_of
    from avma_conformance.suite import not_run
    from avma_conformance.words import vocabulary
    from pulumi_resource_avma import __version__

    windows = suite.begin()
    results: list[FactResult] = []
    with RunOutput(Console(highlight=False), redact, len(facts)) as output:
        output.windows(windows)
        try:
            for result in suite.run(facts, output.begin):
                output.result(result)
                output.notes(suite.notes)
                results.append(result)
        except KeyboardInterrupt:
            suite.notes.append("The run was stopped. The facts that did not run are open.")
            raise
        finally:
            results += [not_run(fact) for fact in facts[len(results) :]]
            report = report_of(__version__, windows, results, suite.recorder.anonymous(vocabulary()), suite.notes)
            output.end(report)
            _write(report, files)
    return report


def _write(report: ConformanceReport, files: _Files) -> None:
    from avma_conformance.facts import FACTS
    from avma_conformance.page import column, page
    from avma_conformance.report import to_json, to_markdown

    document = to_json(report)
    texts = {}
    if files.json is not None:
        texts["--json"] = (files.json, document)
    if files.markdown is not None:
        texts["--markdown"] = (files.markdown, to_markdown(report))
    if files.html is not None:
        texts["--html"] = (files.html, page(report.product, FACTS, (*files.earlier, column(document))))
    write_files(texts)
