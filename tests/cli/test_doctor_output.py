"""`avma doctor`: its output, its log, its options, and its work on a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from avma_simulator import EstateServer, load_estate, running
from cli.conftest import diagnosed, doctor
from cli.estate import HEALTHY, PASSWORD, PLAIN
from loopback import address
from terminals import on_terminal

AVMA = [sys.executable, "-W", "error", "-m", "avma_cli", "doctor"]


@pytest.mark.parametrize(("option", "logged"), [("-v", "avma.diagnosis"), ("-vv", "avma.wsman")])
def test_verbose_logs_decisions_and_requests_to_standard_error(shared: EstateServer, option: str, logged: str) -> None:
    command = [*AVMA[:-1], option, "doctor", HEALTHY, PLAIN]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f" {logged}: " in done.stderr
    assert ("DEBUG" in done.stderr) is (option == "-vv")
    assert PASSWORD not in done.stderr


def test_remedies_name_the_options_of_the_command(shared: EstateServer) -> None:
    document = diagnosed(HEALTHY)
    assert (
        "set `--ca-cert` to the authority's pem file. in a lab only, you can set `--insecure` instead"
        in str(document).lower()
    )
    assert "enable `basic` on the machine" in str(diagnosed(address(2), "--insecure", "--auth", "basic"))
    assert "set `--auth` to `ntlm`" in str(diagnosed(address(2), "--insecure", "--auth", "basic")).lower()


def test_quiet_prints_the_cause_and_the_next_command_alone(shared: EstateServer) -> None:
    lines = doctor(address(10), PLAIN, "--quiet").stdout.splitlines()
    assert [line.partition(":")[0] for line in lines if line] == ["Cause", "Next"]


def test_a_recording_is_never_overwritten(shared: EstateServer, tmp_path: Path) -> None:
    (tmp_path / "old.jsonl").write_text("worth keeping")
    result = doctor(HEALTHY, PLAIN, "--record", tmp_path / "old.jsonl")
    assert result.exit_code == 2
    assert "old.jsonl already exists" in result.stderr
    assert (tmp_path / "old.jsonl").read_text() == "worth keeping"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["not a host", PLAIN], "is not a host name"),
        (["127.0.0.011", PLAIN], "HOST: `127.0.0.011` is not a valid IP address: you probably mean `127.0.0.11`"),
        ([HEALTHY, PLAIN, "--address", "127.1"], "--address: `127.1` is not a valid IP address"),
        ([HEALTHY, "--port", "0"], "port: must be from 1 to 65535"),
        ([HEALTHY, "--auth", "magic"], "'magic' is not one of 'ntlm', 'negotiate'"),
        ([HEALTHY, "--guest-transport", "pigeon"], "'pigeon' is not one of 'powershellDirect', 'winrm'"),
        ([HEALTHY, PLAIN, "--auth", "basic"], "Basic authentication over http would send the password"),
        ([HEALTHY, PLAIN, "--record", "/nosuchfolder/file"], "--record: cannot write /nosuchfolder/file"),
        ([], "HOST"),
    ],
)
def test_what_cannot_be_run_is_a_usage_error(shared: EstateServer, arguments: list[str], message: str) -> None:
    result = doctor(*arguments)
    assert result.exit_code == 2
    assert message in unwrapped(result.stderr)
    assert result.stdout == ""


def unwrapped(text: str) -> str:
    """Return an error without line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("AVMA_PASSWORD", "no password is set. Set AVMA_PASSWORD"),
        ("AVMA_USERNAME", "Set --username or AVMA_USERNAME, and set its password in AVMA_PASSWORD"),
    ],
)
def test_without_an_account_the_error_names_the_options(
    monkeypatch: pytest.MonkeyPatch, missing: str, words: str
) -> None:
    monkeypatch.delenv(missing)
    result = doctor(HEALTHY, PLAIN)
    assert result.exit_code == 2
    assert words in result.stderr


def test_plain_lines_where_there_is_no_terminal(shared: EstateServer) -> None:
    result = doctor(address(10), PLAIN)
    assert "\x1b" not in result.stdout
    lines = result.stdout.splitlines()
    assert lines[0] == f"pass  Name: {address(10)}"
    assert any(line.startswith("fail  License: VOLUME_KMSCLIENT, key …6VM33: OOBGrace. The host ") for line in lines)
    assert lines[-2].startswith(f"Cause: {address(10)}: the host is not licensed for its guests: its license status")
    assert lines[-1] == f"Next: pulumi up, with a HostLicense for {address(10)}"


def test_the_page_shows_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs" / "doctor.md").read_text(encoding="utf-8")
    found = re.search(r"^\$ avma doctor (.*)\n((?:.*\n)*?)```", page, re.MULTILINE)
    assert found is not None
    monkeypatch.setenv("AVMA_PASSWORD", "Quickstart-Host-1")
    with running(load_estate(root / "examples" / "quickstart" / "estate.yaml")):
        assert doctor(*found[1].split()).stdout == found[2]


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """Run the command on a terminal, type the password at the prompt, and return the output."""
    variables = {**os.environ, "TERM": "xterm", **environment}
    return on_terminal([*AVMA, *arguments], variables, 0, {"Password of Oberon: ": PASSWORD})


def test_progress_and_colour_on_a_terminal(shared: EstateServer) -> None:
    seen = on_a_terminal(HEALTHY, PLAIN, NO_COLOR="")
    assert "\x1b[32mpass" in seen
    assert f"Rights for scripts {HEALTHY}" in seen
    assert PASSWORD not in seen


def test_no_colour_where_none_is_wanted(shared: EstateServer) -> None:
    seen = on_a_terminal(HEALTHY, PLAIN, NO_COLOR="1")
    assert "\x1b[32m" not in seen
    assert "pass  License: VOLUME_MAK" in seen


def test_the_password_is_asked_for_on_a_terminal(shared: EstateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AVMA_PASSWORD")
    seen = on_a_terminal(HEALTHY, PLAIN)
    assert "No problem found" in seen
    assert PASSWORD not in seen
