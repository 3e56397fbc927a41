"""The scripts are valid PowerShell without values, and their output is parsed."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_powershell

from avma import errors
from avma.context import Context
from avma.deadline import Deadline
from avma.redaction import Redactor
from avma.windows import powershell
from avma.windows.powershell import Answers, PowerShell
from avma.wsman.script import Credential, ErrorRecord, Output, Secret

PS_CREDENTIAL = "System.Management.Automation.PSCredential"
PERMITTED = {"string", "object", "int", "double", "guid", "securestring", "cultureinfo", "datetime", "valuetype"}
"""A part of the types that about_Language_Modes lists for Constrained Language Mode."""
SCRIPTS = sorted((Path(powershell.__file__).parent / "scripts").glob("*.ps1"))
LOCK = "license-lock"
"""The script that needs other types. It ends in any other language mode."""
CHECK = """if ("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage') {"""

PLAIN = (
    "function ConvertTo-Plain($secret) {",
    "$credential.GetNetworkCredential().Password",
    "foreach ($name in @($places.Keys)) { $arguments[$name] = ConvertTo-Plain $secrets[$places[$name]] }",
    "$shown = Set-VMAutomaticActivation -ProductKey (ConvertTo-Plain $ProductKey) -ErrorAction Stop",
)
"""The lines of scripts that have a secret in plain text."""
CHECKED = {
    "cim-in-guest": ("4", "d911530fc22e0edca09359f1e295e29fb6e3409226c9e7bea8b65913053f0735"),
    "license-lock": ("2", "7c2b98292297d0807f60ebbd70dd856a108ec46b1000229a6839f3e7729c05ef"),
    "server-avma-manager": ("2", "0e42f2a84b854c8665a0b7de16963d960abea957135c24fa46ba3e661522a267"),
}
"""The version and the SHA-256 of each script. A changed script needs a new version: the name of its function in a
session for JEA contains the version, and such a session then says that it needs new files. Read a changed script for
secrets that would be arguments of a command, because a module log (event 4103) records arguments in plain text.
"""


def test_a_changed_script_has_a_new_version():
    found = {}
    for file in SCRIPTS:
        text = file.read_text("utf-8")
        found[file.stem] = (text.splitlines()[0].rpartition(" ")[2], hashlib.sha256(text.encode()).hexdigest())
    assert found == CHECKED


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_secret_becomes_plain_text_only_where_a_method_needs_it(script):
    text = script.read_text("utf-8")
    plain = [line.strip() for line in text.splitlines() if "GetNetworkCredential" in line or "ConvertTo-Plain" in line]
    assert [line for line in plain if line not in PLAIN] == []


def test_there_are_scripts():
    assert [script.stem for script in SCRIPTS] == ["cim-in-guest", LOCK, "server-avma-manager"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_names_itself_in_its_first_line(script):
    text = script.read_bytes().decode("ascii")
    assert text == powershell.load(script.stem).text
    assert re.fullmatch(rf"# avma-script: {script.stem} \d+", text.splitlines()[0])
    assert text.endswith("\n")
    assert "\r" not in text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_keeps_to_what_constrained_language_mode_allows(script):
    text = script.read_text()
    if script.stem == LOCK:
        text, _, rest = text.partition(CHECK)
        assert rest.splitlines()[1:4] == ["    Write-State 'unsupported'", "    return", "}"]
    assert not [word for word in ("Add-Type", "[Console]", "Invoke-Expression", "[System.IO", "::new(") if word in text]
    assert {name.lower() for name in re.findall(r"\[([A-Za-z.]+)(?:\[\])?\](?=\s*[$(]|::)", text)} <= PERMITTED
    assert set(re.findall(r"-TypeName (System\.\S+)", text)) <= {"System.Array", PS_CREDENTIAL}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_ends_neither_its_powershell_nor_reads_from_a_console(script):
    text = script.read_text()
    assert not re.search(r"(?m)^\s*exit\b|\$input\b|Read-Host|Write-Host\b", text)


def test_hyper_v_is_recognized_by_its_module():
    text = powershell.load("cim-in-guest").text
    assert set(re.findall(r"(?:\S+\\)?Get-VM\b(?! too)", text)) == {"Hyper-V\\Get-VM"}


def test_each_change_of_a_guest_comes_directly_after_a_check_of_the_time():
    """The guest adds the seconds, as they were before the host connected, to the start of its own process."""
    lines = [line.strip() for line in powershell.load("cim-in-guest").text.splitlines()]
    end = "$end = (Get-Process -Id $PID).StartTime.ToUniversalTime().AddSeconds($seconds)"
    check = "if ((Get-Date).ToUniversalTime() -ge $end) {"
    (change,) = [number for number, line in enumerate(lines) if "Invoke-CimMethod" in line]
    begin = max(number for number, line in enumerate(lines[:change]) if line == check)
    assert [line.partition(" ")[0] for line in lines[begin + 1 : change]] == ["$message", "$results", "break", "}"]
    assert lines.count(end) == 1
    assert "Invoke-Command @given -ArgumentList $guest.operations, @($guest.secrets), $seconds -AsJob" in lines
    (start,) = [number for number, line in enumerate(lines) if "Start-Guest $guest $left" in line]
    (left,) = [number for number, line in enumerate(lines) if line.startswith("$left = ")]
    assert not [line for line in lines[left:start] if "Wait-Job" in line]


def test_the_lock_does_not_depend_on_the_clock():
    text = powershell.load(LOCK).text
    assert "Get-Date" not in text
    assert text.count("$watch.Elapsed.TotalSeconds") == 2


def test_scripts_pipe_no_keys_and_prompt_for_nothing():
    text = next(script.read_text() for script in SCRIPTS if script.stem == "server-avma-manager")
    assert "|" not in text
    assert "$global:ConfirmPreference = 'None'" in text


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_measures_time_in_utc(script):
    text = script.read_text()
    assert text.count("Get-Date") == text.count("(Get-Date).ToUniversalTime()")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_is_powershell(script):
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    assert not parser.parse(script.read_bytes()).root_node.has_error
    assert parser.parse(b"if (").root_node.has_error


def read(*objects: object, records: tuple[ErrorRecord, ...] = (), secrets: tuple[str, ...] = ()) -> Answers:
    redact = Redactor()
    redact.learn(secrets)
    return powershell.OutputReader().read(Output(objects, records, True), redact)


def test_each_text_is_one_answer():
    assert read('{"id": 1}', '{"id": 2, "text": "\u00e9\U0001f600 _x0041_"}') == Answers(
        ({"id": 1}, {"id": 2, "text": "\u00e9\U0001f600 _x0041_"}), ""
    )


@pytest.mark.parametrize("garbage", ['{"id": 2, "res', "WARNING: x", "[1]", "3", '"text"', 5, "[" * 100_000])
def test_invalid_output_is_a_complaint_and_keeps_other_answers(garbage):
    answers = read('{"id": 1}', garbage)
    assert answers.objects == ({"id": 1},)
    assert answers.complaint.startswith(f"unexpected output `{str(garbage)[:200]}")


def test_a_guest_cannot_answer_for_another_one():
    forged = '{"id":"a","results":[],"id":"b","results":[{"rows":[]}]}'
    answers = read(forged)
    assert answers.objects == ()
    assert answers.complaint.startswith("unexpected output")


def test_null_and_empty_texts_have_words():
    assert read(None, " ").complaint == "unexpected output `$null`; empty output"


def test_half_a_surrogate_pair_in_an_answer_is_replaced():
    (answer,) = read('{"id": "a\\ud800", "list": ["\ud83d\ude00", {"\udc00": null}]}').objects
    assert answer == {"id": "a\ufffd", "list": ["\U0001f600", {"\ufffd": None}]}


def test_errors_of_scripts_contain_their_ids_and_no_secrets():
    records = (ErrorRecord("Some.Id,Command", "bad:\r\n Hush-1 BCDFG-HJKMN-PQRTV-WXY23-46789"), ErrorRecord("", "x"))
    assert read(records=records, secrets=("Hush-1",)).complaint == "bad: [secret] …46789 (Some.Id,Command); x"


def test_a_long_complaint_is_cut_after_secrets_were_taken_out():
    complaint = read(records=(ErrorRecord("", "x" * 395 + "Hush-1 and more"),), secrets=("Hush-1",)).complaint
    assert "Hush" not in complaint
    assert len(complaint) == 401


class Saying:
    """Runspaces in which every script has the same output."""

    where = "hv01"
    configuration_name = ""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.asked: list[tuple] = []

    def run(self, *asked):
        self.asked.append(asked)
        return self.output


def powershell_over(runspaces: Any) -> PowerShell:
    return PowerShell(runspaces)


@pytest.mark.parametrize("quote", "'\u2018\u2019\u201a\u201b")
def test_each_quotation_mark_of_powershell_is_doubled_in_a_literal(quote):
    assert powershell.literal(f"a{quote};calc.exe;{quote}") == f"'a{quote}{quote};calc.exe;{quote}{quote}'"


def test_the_text_of_a_script_does_not_depend_on_its_parameters():
    runspaces = Saying(Output(('{"id": 1}',), (), True))
    for password in ("Pässwörd-1", "other"):
        given = {"Guests": [{"credential": Credential("a", password)}], "Key": Secret(password)}
        powershell_over(runspaces).run(Context("try", "hv01", Deadline(5)), "cim-in-guest", given)
    texts = {asked[1] for asked in runspaces.asked}
    assert texts == {powershell.load("cim-in-guest")}


def test_a_secret_among_the_parameters_is_taken_out_of_complaints():
    failing = Saying(Output((), (ErrorRecord("X", "no Hush-1, no Hush-2"),), False))
    given = {"Guests": [{"credential": Credential("a", "Hush-1"), "secrets": [Secret("Hush-2")]}]}
    with pytest.raises(errors.ScriptFailed, match=r"no \[secret\], no \[secret\] \(X\)"):
        powershell_over(failing).run(Context("try", "hv01", Deadline(5)), "cim-in-guest", given)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (
            Output((), (ErrorRecord("Id", "not allowed"),), False),
            "the script returned no valid answer: not allowed (Id). Check",
        ),
        (Output((), (), False), "the script returned no answer. Check"),
        (Output(("half",), (), True), "the script returned no valid answer: unexpected output `half`. Check"),
    ],
)
def test_a_script_without_an_answer_is_an_error_with_its_output(output, text):
    with pytest.raises(errors.ScriptFailed) as caught:
        powershell_over(Saying(output)).run(Context("ask the guest", "hv01", Deadline(5)), "cim-in-guest", {})
    assert str(caught.value).startswith(f"hv01: could not ask the guest: {text} that Windows PowerShell")


def test_a_session_configuration_without_the_function_is_named_with_its_remedy():
    missing = Saying(Output((), (ErrorRecord("CommandNotFoundException", "The term is not recognized"),), False))
    missing.configuration_name = "avma"
    with pytest.raises(errors.Refused, match=r"`avma` does not permit the function Invoke-AvmaCimInGuest\d+.*avma jea"):
        powershell_over(missing).run(Context("ask the guest", "hv01", Deadline(5)), "cim-in-guest", {})
