"""Scripts and commands in PowerShell pipelines over PSRP, with pypsrp."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pypsrp.complex_objects import GenericComplexObject, ObjectMeta, PSCredential
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool

from avma_simulator import EstateServer
from avma_simulator.shells.pipeline import Pipeline
from avma_simulator.shells.psvalues import Credential, SecureString
from simulator.psrp import COMPLETED, FAILED, STOPPED, connected, errors, invoke
from simulator.test_shells import HOST

DEMO = "# avma-script: demo 1\n'the rest is not looked at'\n"


Serve = Callable[[Callable[[Mapping[str, Any], Pipeline], None]], None]


@pytest.fixture
def serve_demo(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Return a function that serves the script `demo 1`, with parameters and pipeline as its arguments."""

    def serve(function: Callable[[Mapping[str, Any], Pipeline], None]) -> None:
        async def script(state: object, machine: object, parameters: Mapping[str, Any], pipeline: Pipeline) -> None:
            function(parameters, pipeline)

        monkeypatch.setattr("avma_simulator.shells.remote_shells.SCRIPTS", {("demo", "1"): script})

    return serve


def test_script_writes_its_parameters(pool: RunspacePool) -> None:
    pool.exchange_keys()
    secret = pool.serialize("BCDFG", ObjectMeta("SS"))
    output, shell = invoke(pool, "param($Key, $Names)\n$key; $Names\n$Nothing", Key=secret, Names=["a", 1])
    assert output == ["BCDFG", "a", 1]
    assert [error for _, error, _, _ in errors(shell)] == ["CommandNotFoundException"]


def test_script_with_an_open_brace_runs_nothing(pool: RunspacePool) -> None:
    output, shell = invoke(pool, "Write-Output 'a } quote'\n& { Write-Output 'b'")
    assert (output, shell.state) == ([], FAILED)
    assert [error for _, error, _, _ in errors(shell)] == ["MissingEndCurlyBrace"]


def test_parameters_reach_a_script_as_plain_values(pool: RunspacePool, serve_demo: Serve) -> None:
    given: dict[str, Any] = {}
    serve_demo(lambda parameters, pipeline: given.update(parameters))
    pool.exchange_keys()
    guest = GenericComplexObject()
    guest.extended_properties = {"id": "1", "tries": [1, 2], "on": True}
    parameters = {
        "Key": pool.serialize("BCDFG", ObjectMeta("SS")),
        "Guest": PSCredential(
            username=r"WEB\jürgen", password="p\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")
        ),
        "Names": ["ä", "日本", "_x0041_", "a\r\n\tb\0"],
        "Numbers": {"small": 1, "large": 1 << 30, "half": 0.5},
        "On": True,
        "Nothing": None,
        "Object": guest,
    }
    invoke(pool, DEMO, **parameters)
    assert given == {
        "Key": SecureString("BCDFG"),
        "Guest": Credential(r"WEB\jürgen", "p😀"),
        "Names": ["ä", "日本", "_x0041_", "a\r\n\tb\0"],
        "Numbers": {"small": 1, "large": 1 << 30, "half": 0.5},
        "On": True,
        "Nothing": None,
        "Object": {"id": "1", "tries": [1, 2], "on": True},
    }


def test_no_secret_appears_in_a_record_of_what_ran(estate: EstateServer, pool: RunspacePool, serve_demo: Serve) -> None:
    serve_demo(lambda parameters, pipeline: None)
    pool.exchange_keys()
    invoke(pool, DEMO, Key=pool.serialize("BCDFG", ObjectMeta("SS")), Name="web01")
    PowerShell(pool).add_cmdlet("Invoke-Expression").add_parameter("Command", "hostname").invoke()
    assert estate.script_blocks("hv01") == [
        {"text": DEMO, "parameters": ["Key", "Name"]},
        {"text": "Invoke-Expression", "parameters": ["Command"]},
        {"text": "hostname", "parameters": []},
    ]


def test_the_module_log_shows_types_instead_of_secrets(
    estate: EstateServer, pool: RunspacePool, serve_demo: Serve
) -> None:
    serve_demo(lambda parameters, pipeline: None)
    pool.exchange_keys()
    key = pool.serialize("BCDFG", ObjectMeta("SS"))
    invoke(
        pool, DEMO, Key=key, Account=PSCredential(username="a", password="HUSH"), Names=["x", 1], Table={"p": "HUSH"}
    )
    invoke(pool, DEMO, Guests=[{"p": "HUSH"}, ["HUSH"]])
    PowerShell(pool).add_cmdlet("Write-Output").add_parameter("InputObject", "shown").invoke()
    assert [(record["parameter"], record["value"]) for record in estate.module_log("hv01")] == [
        ("Key", "System.Security.SecureString"),
        ("Account", "System.Management.Automation.PSCredential"),
        ("Names", "x, 1"),
        ("Table", "System.Collections.Hashtable"),
        ("Guests", "System.Collections.Hashtable, System.Object[]"),
        ("inputobject", "shown"),
    ]


def test_each_stream_of_a_script(pool: RunspacePool, serve_demo: Serve) -> None:
    def script(parameters: Mapping[str, Any], pipeline: Pipeline) -> None:
        pipeline.write({"id": 1, "names": ["ä"], "key": SecureString("secret")})
        pipeline.write(None)
        pipeline.warning("careful")
        pipeline.verbose("in detail")
        pipeline.progress("Working", "half", 50)
        pipeline.error(
            "It is off.", "InvalidVMState", exception_type="System.ArgumentException", category="InvalidData"
        )
        pipeline.write("last 😀")

    serve_demo(script)
    pool.exchange_keys()
    (found, nothing, last), shell = invoke(pool, DEMO)
    assert found.adapted_properties | found.extended_properties == {"id": 1, "names": ["ä"], "key": "secret"}
    assert (nothing, last, shell.state) == (None, "last 😀", COMPLETED)
    assert [record.message for record in shell.streams.warning] == ["careful"]
    assert [record.message for record in shell.streams.verbose] == ["in detail"]
    assert [(record.activity, record.percent_complete) for record in shell.streams.progress] == [("Working", 50)]
    category = "InvalidData: (:) [], ArgumentException"
    assert errors(shell) == [("It is off.", "InvalidVMState", "ArgumentException", category)]
    exception = shell.streams.error[0].exception
    assert exception is not None
    assert exception.types[0] == "System.ArgumentException"


def test_the_information_stream_came_with_powershell_5(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(
        HOST.format("") + HOST.format("").partition("\n")[2].replace("h,", "old,").replace("2025", "2012 R2")
    )
    found = {}
    for name in ("h", "old"):
        with connected(estate, name) as client, RunspacePool(client) as pool:
            shell = invoke(pool, "Write-Host hello; Write-Information more; 'out'")[1]
            texts = [str(record.message_data) for record in shell.streams.information]
            private = pool.application_private_data
            assert private is not None
            versions = private.data["PSVersionTable"]
            found[name] = (pool.protocol_version, str(versions["PSVersion"]), texts, shell.output)
    assert found == {
        "h": ("2.3", "5.1.26100.1", ["hello", "more"], ["out"]),
        "old": ("2.2", "4.0", [], ["out"]),
    }


def test_a_script_that_fails_ends_its_pipeline_and_not_its_pool(pool: RunspacePool, serve_demo: Serve) -> None:
    def script(parameters: Mapping[str, Any], pipeline: Pipeline) -> None:
        pipeline.write("before")
        pipeline.fail("No.", "Refused,Get-VM", category="PermissionDenied")

    serve_demo(script)
    output, shell = invoke(pool, DEMO)
    assert (output, shell.state, [record[:2] for record in errors(shell)]) == (
        ["before"],
        FAILED,
        [("No.", "Refused,Get-VM")],
    )
    assert invoke(pool, "hostname")[0] == ["HV01"]


def test_a_defect_of_a_script_is_an_error_of_its_pipeline(pool: RunspacePool, serve_demo: Serve) -> None:
    serve_demo(lambda parameters, pipeline: parameters["nothing"])
    shell = invoke(pool, DEMO)[1]
    assert (shell.state, errors(shell)[0][1]) == (FAILED, "SimulatorFailed")


@pytest.mark.parametrize("script", ["sing 1", "demo 99"])
def test_a_script_of_this_project_that_is_not_known(pool: RunspacePool, script: str) -> None:
    shell = invoke(pool, f"# avma-script: {script}\n")[1]
    assert (shell.state, errors(shell)[0][:2]) == (
        FAILED,
        (f"The simulator does not implement the script {script}.", "ScriptUnknown"),
    )


def test_an_unknown_command_in_a_script_is_an_error_after_which_it_goes_on(pool: RunspacePool) -> None:
    output, shell = invoke(pool, "Get-Nothing -Now\n# a comment\nWrite-Output 'it''s'; \"on\"")
    assert (output, shell.state) == (["it's", "on"], COMPLETED)
    (text, error_id, reason, category) = errors(shell)[0]
    assert text.startswith("The term 'Get-Nothing' is not recognized as the name of a cmdlet, function, script file")
    assert (error_id, reason) == ("CommandNotFoundException", "CommandNotFoundException")
    assert category == "ObjectNotFound: (Get-Nothing:String) [], CommandNotFoundException"


def test_an_unknown_cmdlet_fails_its_pipeline(pool: RunspacePool) -> None:
    shell = PowerShell(pool).add_cmdlet("Get-Nothing")
    shell.invoke()
    assert (shell.state, errors(shell)[0][1]) == (FAILED, "CommandNotFoundException")


@pytest.mark.parametrize(
    ("script", "output", "error_ids", "state"),
    [
        ("Write-Error oops", [], ["Microsoft.PowerShell.Commands.WriteErrorException"], COMPLETED),
        ("Write-Error oops -ErrorAction Stop; 'x'", [], ["Microsoft.PowerShell.Commands.WriteErrorException"], FAILED),
        ("'a'; throw 'enough'", ["a"], ["enough"], FAILED),
        ("Write-Verbose -Verbose 'v'; Write-Warning w; Write-Progress p s", [], [], COMPLETED),
        ("$env:COMPUTERNAME", ["HV01"], [], COMPLETED),
        ("Start-Sleep -Milliseconds 1; echo 'slept'", ["slept"], [], COMPLETED),
        (
            "Read-Host 'Name'",
            [],
            ["System.Management.Automation.Host.HostException,Microsoft.PowerShell.Commands.ReadHostCommand"],
            COMPLETED,
        ),
        ("", [], [], COMPLETED),
    ],
)
def test_plain_commands(pool: RunspacePool, script: str, output: list[str], error_ids: list[str], state: int) -> None:
    found, shell = invoke(pool, script)
    assert (found, [record[1] for record in errors(shell)], shell.state) == (output, error_ids, state)


def test_output_of_a_command_goes_into_the_next(pool: RunspacePool) -> None:
    shell = PowerShell(pool).add_script("'a'; 'b'").add_cmdlet("Out-String").add_statement().add_script("'c'")
    assert shell.invoke() == ["a\r\nb\r\n", "c"]
    streamed = PowerShell(pool).add_cmdlet("Write-Output").add_parameter("InputObject", ["a", "b"])
    assert streamed.add_cmdlet("Out-String").add_parameter("Stream").invoke() == ["a", "b"]
    assert PowerShell(pool).add_cmdlet("hostname").add_cmdlet("Out-Null").invoke() == []


@pytest.mark.parametrize("envelope_size", [8192, 153_600, 512_000])
def test_large_messages_travel_in_fragments_both_ways(
    estate: EstateServer, serve_demo: Serve, envelope_size: int
) -> None:
    serve_demo(lambda parameters, pipeline: pipeline.write(parameters["Text"]))
    text = "0123456789ä😀" * 20_000
    with connected(estate, max_envelope_size=envelope_size) as client, RunspacePool(client) as pool:
        client.update_max_payload_size(envelope_size)
        assert invoke(pool, DEMO, Text=text)[0] == [text]


def test_the_client_is_told_that_a_stopped_pipeline_stopped(pool: RunspacePool) -> None:
    shell = PowerShell(pool).add_script("'a'; Start-Sleep 600")
    shell.begin_invoke()
    pool.shell.signal("powershell/signal/ctrl_c", shell.id)
    assert (shell.end_invoke(), shell.state) == (["a"], STOPPED)
    assert errors(shell)[0][:2] == ("The pipeline has been stopped.", "PipelineStopped")
    shell.close()
    assert invoke(pool, "hostname")[0] == ["HV01"]


@pytest.mark.parametrize("operation", ["Pipeline/Command", "Pipeline/Receive", "Pipeline/Signal", "Pipeline/Send"])
def test_a_pipeline_can_go_wrong_on_demand(estate: EstateServer, pool: RunspacePool, operation: str) -> None:
    estate.faults("hv01", [{"operation": operation, "answer": "accessDenied", "times": 1}])
    with pytest.raises(WSManFaultError) as refused:
        invoke(pool, "hostname", Large="x" * 600_000)
    assert refused.value.code == 5


def test_a_receive_that_times_out_loses_no_output(estate: EstateServer, pool: RunspacePool) -> None:
    shell = PowerShell(pool).add_script("'a'; Start-Sleep 600")
    shell.begin_invoke()
    estate.faults("hv01", [{"operation": "Pipeline/Receive", "answer": "timeout", "after": True, "times": 1}])
    with pytest.raises(WSManFaultError) as late:
        pool.shell.receive("stdout", command_id=shell.id)
    assert late.value.code == 0x80338029
    assert pool.shell.receive("stdout", command_id=shell.id)[2]["stdout"]


def test_input_of_a_pipeline_reaches_its_script(pool: RunspacePool, serve_demo: Serve) -> None:
    serve_demo(lambda parameters, pipeline: pipeline.write(list(pipeline.input)))
    running = PowerShell(pool).add_script("Start-Sleep 600")
    running.begin_invoke()
    shell = PowerShell(pool).add_script(DEMO)
    shell.begin_invoke(input=(value for value in ("a", 1)))
    running.stop()
    assert shell.end_invoke() == [["a", 1]]


def test_a_nested_pipeline_does_not_wait_for_a_runspace(pool: RunspacePool) -> None:
    outer = PowerShell(pool).add_script("Start-Sleep 600")
    outer.begin_invoke()
    assert outer.create_nested_power_shell().add_script("hostname").invoke() == ["HV01"]
    outer.stop()


def test_there_is_no_metadata_of_commands(pool: RunspacePool) -> None:
    assert pool.get_command_metadata("Get-*") == []
