"""Scripts: that they are PowerShell and fit a command line, and what is read from their output."""

from __future__ import annotations

from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell

from avma import errors
from avma.deadline import Deadline
from avma.redaction import Redactor
from avma.windows import powershell
from avma.windows.powershell import PowerShell
from avma.wsman.shell import Output

SCRIPTS = sorted((Path(powershell.__file__).parent / "scripts").glob("*.ps1"))
LONGEST_COMMAND_LINE = 32767
HEAD = "#< CLIXML\r\n"
OBJECTS = '<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">{}</Objs>'
PROGRESS = '<Obj S="progress" RefId="0"><MS><PR N="Record"><AV>Preparing modules</AV></PR></MS></Obj>'


def test_there_are_scripts():
    assert [script.stem for script in SCRIPTS] == ["cim-in-guest", "server-avma-manager"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_says_which_it_is_and_fits_a_command_line(script):
    text = script.read_bytes().decode("ascii")
    assert text == powershell.load(script.stem)
    assert text.splitlines()[0] == f"# avma-script: {script.stem} 1"
    assert text.endswith("\n")
    assert "\r" not in text
    assert len(powershell.encoded(text)) < 30_000 < LONGEST_COMMAND_LINE


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_keeps_to_what_constrained_language_mode_allows(script):
    text = script.read_text()
    assert not [word for word in ("Add-Type", "[Console]", "Invoke-Expression", "[System.IO", "::new(") if word in text]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_is_powershell(script):
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    assert not parser.parse(script.read_bytes()).root_node.has_error
    assert parser.parse(b"if (").root_node.has_error


def read(stdout: str = "", stderr: str = "", exit_code: int = 0, *secrets: str) -> powershell.Answers:
    redact = Redactor()
    redact.learn(secrets)
    return powershell.read(Output(stdout.encode(), stderr.encode(), exit_code), redact)


@pytest.mark.parametrize("line", ["[" * 100_000, '{"id": "\\ud800"}', '{"id": ' + "9" * 5000 + "}"])
def test_a_line_that_no_value_can_be_made_of_is_a_complaint(line):
    answers = read(line)
    assert answers.objects == ()
    assert answers.complaint.startswith("unexpected output `")


def test_records_in_utf_16():
    text = '<S S="Error">_xD83D__xDE00_ _xD83D_!</S>'
    assert read("", HEAD + OBJECTS.format(text)).complaint == "\U0001f600 \ufffd!"


def test_much_of_stderr_is_looked_at_and_not_all():
    assert read("", HEAD + '<S S="Error">' * 1_000_000).complaint.startswith("<S S")


@pytest.mark.parametrize("stdout", ['{"id": 1}\r\n{"id": 2}\r\n', '\ufeff{"id": 1}\n\n{"id": 2}'])
def test_answers_are_one_object_a_line(stdout):
    assert read(stdout) == powershell.Answers(({"id": 1}, {"id": 2}), "")


@pytest.mark.parametrize("garbage", ['{"id": 2, "res', "WARNING: x", "[1]", "3", '"text"'])
def test_what_is_no_object_is_a_complaint_and_takes_no_other_line_along(garbage):
    answers = read(f'{{"id": 1}}\r\n{garbage}')
    assert answers.objects == ({"id": 1},)
    assert answers.complaint == f"unexpected output `{garbage}`"


def test_bytes_that_are_no_utf_8_are_a_complaint():
    answers = powershell.read(Output(b"\xff\xfe{}", b"", 0), Redactor())
    assert answers.objects == ()
    assert answers.complaint.startswith("unexpected output")


@pytest.mark.parametrize(
    ("stderr", "text"),
    [
        ("", ""),
        ("'x' is not recognized\r\nas a command.\r\n", "'x' is not recognized as a command."),
        (
            HEAD + OBJECTS.format('<S S="Error">no &lt;x&gt;_x000D__x000A_</S><S S="Error">  + line_x000A_</S>'),
            "no <x> + line",
        ),
        (HEAD + OBJECTS.format(PROGRESS), ""),
        (HEAD + OBJECTS.format(PROGRESS) + HEAD + OBJECTS.format('<S S="Error">late</S>'), "late"),
        (HEAD + OBJECTS.format('<S S="verbose">v</S><S S="Verbose">v</S><S S="Warning">careful</S>'), "careful"),
        (HEAD + OBJECTS.format('<S S="Error">first</S>')[:-7] + "<S S=", "first"),
        ("before " + HEAD + OBJECTS.format('<S S="Error">inside</S>'), "inside before"),
    ],
)
def test_what_powershell_writes_to_stderr_is_read_as_text(stderr, text):
    assert powershell.plain(stderr) == text


def test_a_code_is_a_complaint_and_secrets_are_none():
    stderr = HEAD + OBJECTS.format('<S S="Error">bad: {"password":"Hush-1"} BCDFG-HJKMN-PQRTV-WXY23-46789</S>')
    answers = read("", stderr, 3, "Hush-1")
    assert answers.complaint == 'bad: {"password":"[secret]"} …46789; it ended with code 3'


def test_a_long_complaint_is_cut_after_secrets_were_taken_out():
    complaint = read("", "x" * 395 + "Hush-1 and more", 0, "Hush-1").complaint
    assert "Hush" not in complaint
    assert len(complaint) == 401


class Saying:
    """A shell in which every command says the same."""

    where = "hv01"

    def __init__(self, output: Output) -> None:
        self.output = output
        self.asked: list[tuple] = []

    def run(self, *asked):
        self.asked.append(asked)
        return self.output


def test_a_scripts_input_is_ascii_on_stdin_and_nowhere_else():
    shell = Saying(Output(b'{"id": 1}', b"", 0))
    PowerShell(shell).run("cim-in-guest", {"password": "Pässwörd-1"}, [], Deadline(5), "try")
    ((command, arguments, stdin, _, _),) = shell.asked
    assert command == "powershell.exe"
    assert arguments[-2:] == ("-EncodedCommand", powershell.encoded(powershell.load("cim-in-guest")))
    assert stdin == b'{"password": "P\\u00e4ssw\\u00f6rd-1"}'


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (Output(b"", b"not allowed here", 1), "the script gave no answer: not allowed here; it ended with code 1"),
        (Output(b"", b"", 5), "the script gave no answer: it ended with code 5"),
        (Output(b"half", b"", 0), "the script gave no answer: unexpected output `half`"),
    ],
)
def test_a_script_without_an_answer_is_an_error_that_says_what_was_said(output, text):
    with pytest.raises(errors.ScriptFailed) as caught:
        PowerShell(Saying(output)).run("cim-in-guest", {}, [], Deadline(5), "ask the guest")
    assert str(caught.value).startswith(f"could not ask the guest on hv01: {text}; see that")
