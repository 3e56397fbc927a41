from __future__ import annotations

import asyncio
import uuid
import xml.etree.ElementTree as ET
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from defusedxml.ElementTree import fromstring
from winrm.exceptions import WinRMOperationTimeoutError, WSManFaultError

from avma_simulator import EstateServer
from avma_simulator.clock import Clock
from avma_simulator.estate import Estate
from avma_simulator.shells.open_shells import OpenShells
from avma_simulator.state.estate_state import EstateState
from avma_simulator.wsman.soap import Request
from simulator.client import NS, TRANSFER, Client, envelope
from simulator.shell import encoded, run
from waiting import PATIENCE, advance_until

RESOURCE = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell/cmd"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
HOST = "hosts:\n- {{name: h, version: '2025', edition: Datacenter, username: Administrator, password: Pa55w.rd{}}}\n"


def fault(call: Callable[[], object]) -> WSManFaultError:
    with pytest.raises(WSManFaultError) as caught:
        call()
    return caught.value


UNKNOWN = "The term 'Get-Process' is not recognized as the name of a cmdlet"


@pytest.mark.parametrize(
    ("arguments", "out", "records", "code"),
    [
        (encoded("hostname"), "HV01\r\n", [], 0),
        (["-Command", "hostname"], "HV01\r\n", [], 0),
        (["-NoProfile", "hostname"], "HV01\r\n", [], 0),
        (["-ec", encoded("'ä 😀'")[-1]], "ä 😀\r\n", [], 0),
        (
            encoded("Get-Process"),
            "",
            [f'<S S="Error">{UNKNOWN}', "FullyQualifiedErrorId : CommandNotFoundException"],
            1,
        ),
        (encoded("Get-Process; 'on'"), "on\r\n", [f'<S S="Error">{UNKNOWN}'], 0),
        (encoded("'a'; throw 'enough'; 'b'"), "a\r\n", ['<S S="Error">enough_x000D__x000A_</S>'], 1),
        (encoded("Write-Warning 'a<b'"), "", ['<S S="warning">a&lt;b_x000D__x000A_</S>'], 0),
        (encoded("Write-Verbose -Verbose v; Write-Progress p s"), "", ['<S S="verbose">v_x000D__x000A_</S>'], 0),
        (encoded("Write-Host hello; Write-Error oops"), "hello\r\n", ['<S S="Error">oops'], 1),
    ],
)
def test_powershell_as_a_program(
    shared: EstateServer, arguments: list[str], out: str, records: list[str], code: int
) -> None:
    with Client(shared.url("hv01")) as client:
        found, err, ended = run(client.protocol, "powershell.exe", arguments)
    assert (found, ended) == (out, code)
    assert err.startswith("#< CLIXML\r\n<Objs ") == bool(records)
    assert all(record in err for record in records)


def test_powershell_reads_its_script_from_stdin(shared: EstateServer) -> None:
    with Client(shared.url("hv01")) as client:
        assert run(client.protocol, "powershell", [], b"hostname\r\n") == ("HV01\r\n", "", 0)


def test_powershell_with_a_script_that_is_not_encoded(shared: EstateServer) -> None:
    with Client(shared.url("hv01")) as client:
        out, err, code = run(client.protocol, "powershell.exe", ["-EncodedCommand", "no-base64!"])
    assert (out, code) == ("", 1)
    assert "the value specified with -EncodedCommand is not properly encoded" in err


@pytest.mark.parametrize("skips", [True, False])
def test_cmd_stands_between_a_shell_and_its_programs(shared: EstateServer, skips: bool) -> None:
    """Windows Server 2012 R2 and later ignore WINRS_SKIP_CMD_SHELL."""
    longest = "hostname ".ljust(8191, "x")
    ended = {}
    with Client(shared.url("hv01")) as client:
        shell = client.protocol.open_shell()
        for line in ("hostname", "whoami", longest, f"{longest}x"):
            command = client.protocol.run_command(shell, line, skip_cmd_shell=skips)
            ended[line] = client.protocol.get_command_output(shell, command)
        client.protocol.close_shell(shell, close_session=False)
    unknown = b"'whoami' is not recognized as an internal or external command,\r\noperable program or batch file.\r\n"
    assert ended == {
        "hostname": (b"HV01\r\n", b"", 0),
        "whoami": (b"", unknown, 1),
        longest: (b"HV01\r\n", b"", 0),
        f"{longest}x": (b"", b"The command line is too long.\r\n", 1),
    }


def test_shells_and_processes_are_counted(estate: EstateServer) -> None:
    def shells() -> tuple[int, int, int]:
        counts = estate.counts()["hv01"]
        return counts["shells"], counts["processes"], counts["openShells"]

    with Client(estate.url("hv01")) as client:
        run(client.protocol, "hostname")
        assert shells() == (1, 1, 0)
        left = client.protocol.open_shell()
        assert shells() == (2, 1, 1)
        client.protocol.close_shell(left, close_session=False)
        assert shells() == (2, 1, 0)
        assert estate.counts()["hv01"]["operations"] == {}
        client.protocol.open_shell()
    estate.power("hv01", "off")
    assert shells() == (3, 1, 0)


def test_nothing_to_receive_is_a_timeout(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(HOST.format(", delays: {powershell: 3600}"))
    with Client(estate.url("h"), operation_timeout_sec=20, read_timeout_sec=PATIENCE) as client:
        shell = client.protocol.open_shell()
        command = client.protocol.run_command(shell, "powershell.exe", encoded("1"))
        client.protocol.send_command_input(shell, command, b"{}", end=True)
        with ThreadPoolExecutor(1) as threads:
            output = threads.submit(client.protocol.get_command_output_raw, shell, command)
            advance_until(estate, 21, output.done)
            with pytest.raises(WinRMOperationTimeoutError):
                output.result()
    estate.advance_clock(3600)
    with Client(estate.url("h")) as client:  # the first connection was idle for too long
        assert client.protocol.get_command_output(shell, command)[2] == 1


def test_a_signal_ends_a_process(shared: EstateServer) -> None:
    with Client(shared.url("hv01")) as client:
        shell = client.protocol.open_shell()
        command = client.protocol.run_command(shell, "powershell.exe", encoded("Start-Sleep 600"))
        code = f"<r:Signal xmlns:r='{SHELL}' CommandId='{command}'><r:Code>{SHELL}/signal/ctrl_c</r:Code></r:Signal>"
        client.send(envelope(f"{SHELL}/Signal", RESOURCE, code, {"ShellId": shell}))
        assert client.protocol.get_command_output(shell, command)[2] == 1
        client.protocol.cleanup_command(shell, command)
        gone = fault(lambda: client.protocol.get_command_output_raw(shell, command))
        assert (gone.fault_subcode, gone.wsman_fault_code) == ("w:InvalidSelectors", 2150858843)
        client.protocol.close_shell(shell, close_session=False)


def test_a_shell_that_is_not_there(shared: EstateServer) -> None:
    with Client(shared.url("hv01")) as client:
        nobody = str(uuid.uuid4())
        assert fault(lambda: client.protocol.run_command(nobody, "whoami")).wsman_fault_code == 2150858843
        shell = client.protocol.open_shell()
        bare = envelope(f"{SHELL}/Receive", RESOURCE, "", {"ShellId": shell})
        assert fault(lambda: client.send(bare)).wsman_fault_code == 2150858817
        unknown = fault(lambda: client.send(envelope(f"{SHELL}/Sing", RESOURCE, "", {"ShellId": shell})))
        assert unknown.fault_subcode == "a:ActionNotSupported"
        wrong = fault(lambda: client.send(envelope(f"{TRANSFER}/Create", f"{SHELL}/sing")))
        assert wrong.fault_subcode == "a:DestinationUnreachable"
        client.protocol.close_shell(shell)


def shell_body(name: str, content: str = "", **attributes: str) -> str:
    given = "".join(f" {attribute}='{value}'" for attribute, value in attributes.items())
    return f"<r:{name} xmlns:r='{SHELL}'{given}>{content}</r:{name}>"


def test_a_new_shell_is_described_as_windows_describes_it(shared: EstateServer) -> None:
    streams = "<r:InputStreams>stdin</r:InputStreams><r:OutputStreams>stdout stderr</r:OutputStreams>"
    with Client(shared.url("hv01")) as client:
        body = client.send(envelope(f"{TRANSFER}/Create", RESOURCE, shell_body("Shell", streams))).find("s:Body", NS)
        assert body is not None
        created, described = body
        to = fromstring(envelope("x", RESOURCE)).findtext("s:Header/a:To", None, NS)
        assert created.findtext("a:Address", None, NS) == to
        name = created.findtext(".//w:Selector[@Name='ShellId']", None, NS)
        fields = {child.tag.rpartition("}")[2]: child.text for child in described}
        assert described.tag == f"{{{SHELL}}}Shell"
        assert list(fields.items()) == [
            ("ShellId", name),
            ("ResourceUri", RESOURCE),
            ("Owner", "Administrator"),
            ("ClientIP", "127.0.0.1"),
            ("IdleTimeOut", "PT7200.000S"),
            ("InputStreams", "stdin"),
            ("OutputStreams", "stdout stderr"),
            ("ShellRunTime", fields["ShellRunTime"]),
            ("ShellInactivity", fields["ShellInactivity"]),
        ]
        got = client.send(envelope(f"{TRANSFER}/Get", SHELL, selectors={"ShellId": str(name)}))
        assert got.findtext(f".//{{{SHELL}}}ShellId") == name
        assert (
            fault(
                lambda: client.send(envelope(f"{SHELL}/Receive", SHELL, selectors={"ShellId": str(name)}))
            ).fault_subcode
            == "a:ActionNotSupported"
        )
        client.protocol.close_shell(str(name), close_session=False)


@pytest.mark.parametrize("operation", ["Receive", "Signal"])
def test_a_message_about_no_command(shared: EstateServer, operation: str) -> None:
    with Client(shared.url("hv01")) as client:
        shell = client.protocol.open_shell()
        message = envelope(f"{SHELL}/{operation}", RESOURCE, shell_body(operation), {"ShellId": shell})
        wrong = fault(lambda: client.send(message))
        client.protocol.close_shell(shell, close_session=False)
    assert (wrong.fault_code, wrong.fault_subcode, wrong.wsman_fault_code) == ("s:Sender", "w:InvalidParameter", 87)
    assert "faultDetail/InvalidValue" in str(wrong.response)
    assert 'provider="Shell cmd plugin"' in str(wrong.response)


def test_a_command_line_with_an_unknown_element(shared: EstateServer) -> None:
    line = "<r:Command>hostname</r:Command><r:Argument>now</r:Argument>"
    with Client(shared.url("hv01")) as client:
        shell = client.protocol.open_shell()
        message = envelope(f"{SHELL}/Command", RESOURCE, shell_body("CommandLine", line), {"ShellId": shell})
        assert fault(lambda: client.send(message)).fault_subcode == "w:SchemaValidationError"
        client.protocol.close_shell(shell, close_session=False)


def test_the_fault_of_a_command_that_is_not_there_says_so_in_its_detail(shared: EstateServer) -> None:
    with Client(shared.url("hv01")) as client:
        shell = client.protocol.open_shell()
        gone = fault(lambda: client.protocol.get_command_output_raw(shell, str(uuid.uuid4())))
        client.protocol.close_shell(shell, close_session=False)
    root = fromstring(str(gone.response))
    assert "invalid selectors for the resource" in str(root.findtext(".//s:Reason/s:Text", None, NS))
    (detail,) = root.iter("{http://schemas.microsoft.com/wbem/wsman/1/wsmanfault}WSManFault")
    assert "a command identifier that does not exist" in (detail[0].text or "")
    assert detail.get("Machine") == "windows-host"  # the host in pywinrm's To header


def test_the_fault_of_a_shell_nests_that_of_the_shell_provider(shared: EstateServer) -> None:
    with Client(shared.url("hv01")) as client:
        gone = fault(lambda: client.protocol.run_command(str(uuid.uuid4()), "hostname"))
    root = fromstring(str(gone.response))
    nested = root.find(".//f:ProviderFault/f:WSManFault", {"f": "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault"})
    assert nested is not None
    assert nested.get("Code") == "2150858843"
    assert 'provider="Shell provider" path="%systemroot%\\system32\\WsmSvc.dll"' in str(gone.response)


def test_the_fault_of_a_shell_on_2012_r2_names_no_provider(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(HOST.replace("2025", "2012 R2").format(""))
    with Client(estate.url("h")) as client:
        gone = fault(lambda: client.protocol.run_command(str(uuid.uuid4()), "hostname"))
    assert (gone.fault_subcode, gone.wsman_fault_code) == ("w:InvalidSelectors", 2150858843)
    assert "ProviderFault" not in str(gone.response)


def test_quotas(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(HOST.format(", delays: {powershell: 60}, quotas: {shells: 1, processes: 1}"))
    with Client(estate.url("h")) as client:
        shell = client.protocol.open_shell()
        full = fault(client.protocol.open_shell)
        assert (full.fault_subcode, full.wmierror_code) == ("w:QuotaLimit", 2150859173)
        script = encoded("Start-Sleep 600")
        client.protocol.run_command(shell, "powershell.exe", script)
        assert fault(lambda: client.protocol.run_command(shell, "powershell.exe", script)).fault_code == "s:Receiver"
        client.protocol.close_shell(shell, close_session=False)
        client.protocol.close_shell(client.protocol.open_shell())


def test_a_shell_runs_and_is_given_so_much(shared: EstateServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avma_simulator.shells.winrs._MOST_COMMANDS", 2)
    monkeypatch.setattr("avma_simulator.shells.winrs._LARGEST_INPUT", 10)
    with Client(shared.url("hv01")) as client:
        shell = client.protocol.open_shell()
        started = [client.protocol.run_command(str(shell), "hostname") for _ in range(2)]
        assert fault(lambda: client.protocol.run_command(str(shell), "hostname")).wmierror_code == 0x803381E9
        client.protocol.send_command_input(shell, started[0], b"12345678")
        refused = fault(lambda: client.protocol.send_command_input(shell, started[0], b"901"))
        assert refused.wsman_fault_code == 0x80070718
        client.protocol.cleanup_command(shell, started[1])
        client.protocol.run_command(str(shell), "hostname")
        client.protocol.close_shell(shell)


@pytest.mark.parametrize(("declared", "idle"), [("<r:IdleTimeOut>PT300S</r:IdleTimeOut>", 300), ("", 7200)])
def test_a_shell_that_nobody_asks_ends(estate: EstateServer, declared: str, idle: int) -> None:
    def run_after(seconds: int) -> None:
        estate.advance_clock(seconds)
        with Client(estate.url("hv01")) as client:
            client.protocol.run_command(str(shell), "hostname")

    with Client(estate.url("hv01")) as client:
        body = f"<r:Shell xmlns:r='{SHELL}'>{declared}</r:Shell>"
        created = client.send(envelope(f"{TRANSFER}/Create", RESOURCE, body))
        shell = created.findtext(".//w:Selector[@Name='ShellId']", None, NS)
    run_after(idle // 2)
    run_after(idle // 2)
    run_after(idle // 2)
    assert estate.counts()["hv01"]["openShells"] == 1
    assert fault(lambda: run_after(idle + 1)).fault_subcode == "w:InvalidSelectors"
    assert estate.counts()["hv01"]["openShells"] == 0


class Waiting:
    """A shell without output."""

    async def receive(self, request: Request) -> ET.Element:
        await asyncio.Event().wait()
        return ET.Element("never")

    command = send = signal = receive

    async def close(self) -> None:
        """Do nothing."""


def test_a_shell_is_not_idle_while_a_client_waits_for_its_output() -> None:
    clock = Clock()
    host = {"name": "h", "version": "2025", "edition": "Datacenter", "username": "u", "password": "p"}
    declared = Estate.model_validate({"hosts": [host]})
    body = fromstring(shell_body("Shell", "<r:IdleTimeOut>PT60S</r:IdleTimeOut>"))
    create = Request(f"{TRANSFER}/Create", RESOURCE, "", {}, 512_000, 60.0, body)

    async def run() -> int:
        shells = OpenShells(EstateState(declared, clock).hosts[0], {RESOURCE: lambda request: Waiting()})
        _, (created, _) = await shells.answer(create)
        name = str(next(created.iter("w:Selector")).text)
        receive = Request(f"{SHELL}/Receive", RESOURCE, "", {"ShellId": name}, 512_000, 60.0, None)
        waiting = asyncio.ensure_future(shells.answer(receive))
        await asyncio.sleep(0)
        clock.advance(100)
        await shells.answer(create)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return shells.open

    assert asyncio.run(run()) == 2


@pytest.mark.parametrize(
    ("fields", "number"), [(", remotePowerShell: false", 0x803381AC), (", rights: wmi", 5), (", rights: none", 5)]
)
def test_who_may_open_no_shell(serve: Callable[[str], EstateServer], fields: str, number: int) -> None:
    estate = serve(HOST.format(fields))
    with Client(estate.url("h")) as client:
        denied = fault(client.protocol.open_shell)
        assert (denied.fault_subcode, denied.wsman_fault_code) == ("w:AccessDenied", number)
        if "none" not in fields:
            assert client.installed()
    assert estate.counts()["h"]["shells"] == 0


def test_shells_can_go_wrong_on_demand(estate: EstateServer) -> None:
    with Client(estate.url("hv01")) as client:
        estate.faults("hv01", [{"operation": "Shell/Create", "answer": "quota"}])
        assert fault(client.protocol.open_shell).wmierror_code == 2150859173
        estate.faults("hv01", [{"operation": "Shell/Receive", "answer": "drop", "times": 1}])
        shell = client.protocol.open_shell()
        command = client.protocol.run_command(shell, "whoami")
        with pytest.raises(requests.ConnectionError):
            client.protocol.get_command_output_raw(shell, command)
