"""Runspace pools over PSRP, with pypsrp and with single messages."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from psrpcore import ClientRunspacePool
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool

from avma_simulator import EstateServer
from simulator.client import NS, TRANSFER, Client, envelope
from simulator.psrp import COMPLETED, POWERSHELL, RESOURCE, STOPPED, connected, invoke
from simulator.test_shells import HOST, SHELL, fault
from waiting import advance_until


def test_several_pools_and_pipelines_are_counted(estate: EstateServer) -> None:
    with connected(estate) as first, connected(estate) as second:
        with RunspacePool(first) as one, RunspacePool(second) as other:
            for pool in (one, other, one):
                assert invoke(pool, "hostname")[0] == ["HV01"]
            counts = estate.counts()["hv01"]
            assert [counts[name] for name in ("pools", "shells", "openShells", "pipelines")] == [2, 2, 2, 3]
        assert estate.counts()["hv01"]["openShells"] == 0


def test_pipelines_wait_for_a_free_runspace(pool: RunspacePool) -> None:
    assert pool.get_available_runspaces() == 1
    first = PowerShell(pool).add_script("Start-Sleep 600")
    first.begin_invoke()
    assert pool.get_available_runspaces() == 0
    second = PowerShell(pool).add_script("hostname")
    second.begin_invoke()
    third = PowerShell(pool).add_script("hostname")
    third.begin_invoke()
    third.stop()
    first.stop()
    assert second.end_invoke() == ["HV01"]
    assert [shell.state for shell in (first, second, third)] == [STOPPED, COMPLETED, STOPPED]


def test_a_pool_can_get_more_runspaces(pool: RunspacePool) -> None:
    first, second = (PowerShell(pool).add_script(script) for script in ("Start-Sleep 600", "hostname"))
    first.begin_invoke()
    second.begin_invoke()
    pool.max_runspaces = 2
    assert second.end_invoke() == ["HV01"]
    assert (pool.max_runspaces, pool.get_available_runspaces()) == (2, 1)
    pool.reset_runspace_state()
    first.stop()


def test_deleting_a_pool_ends_its_pipelines(estate: EstateServer) -> None:
    with connected(estate) as client, RunspacePool(client) as pool:
        shell = PowerShell(pool).add_script("Start-Sleep 600")
        shell.begin_invoke()
        pool.close()
        with pytest.raises(WSManFaultError) as gone:
            shell.poll_invoke()
        assert gone.value.code == 0x8033805B
        assert not pool.is_alive()


def test_whether_a_pool_is_alive(pool: RunspacePool) -> None:
    assert pool.is_alive()


def test_a_new_pool_is_described_as_windows_describes_it(estate: EstateServer) -> None:
    with Client(estate.url("hv01")) as client:
        created = client.send(envelope(f"{TRANSFER}/Create", RESOURCE, creation(opening())))
        (described,) = created.iter(f"{{{SHELL}}}Shell")
    fields = {child.tag.rpartition("}")[2]: child.text for child in described}
    assert list(fields) == [
        "ShellId",
        "ResourceUri",
        "Owner",
        "ClientIP",
        "ProcessId",
        "IdleTimeOut",
        "MaxIdleTimeOut",
        "Locale",
        "DataLocale",
        "CompressionMode",
        "ProfileLoaded",
        "Encoding",
        "BufferMode",
        "State",
        "ShellRunTime",
        "ShellInactivity",
    ]
    assert (fields["State"], fields["MaxIdleTimeOut"]) == ("Connected", "PT2147483.647S")


@pytest.mark.parametrize(("seconds", "accepted"), [(59, False), (60, True)])
def test_shortest_idle_timeout_is_a_minute(shared: EstateServer, seconds: int, accepted: bool) -> None:
    with connected(shared) as client:
        pool = RunspacePool(client, idle_timeout=seconds)
        if accepted:
            pool.open()
            pool.close()
            return
        with pytest.raises(WSManFaultError) as refused:
            pool.open()
    assert refused.value.code == 0x803381F2


def test_a_session_configuration_that_is_not_registered(shared: EstateServer) -> None:
    with connected(shared) as client, pytest.raises(WSManFaultError) as refused:
        RunspacePool(client, configuration_name="Nobody.Registered").open()
    assert refused.value.code == 0x8033803B
    assert f"The resource URI ({POWERSHELL}/Nobody.Registered) was not found" in refused.value.reason


def test_a_pool_is_a_shell_of_the_quota(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(HOST.format(", quotas: {shells: 1}"))
    with connected(estate, "h") as client, RunspacePool(client), pytest.raises(WSManFaultError) as refused:
        RunspacePool(client).open()
    assert "maximum number of 1 concurrent shells" in refused.value.reason


def test_a_shell_has_at_most_so_many_commands_that_were_not_closed(
    pool: RunspacePool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("avma_simulator.shells.runspace._MOST_COMMANDS", 2)
    for _ in range(3):
        invoke(pool, "hostname")
    left = [PowerShell(pool).add_script("hostname") for _ in range(2)]
    for shell in left:
        shell.invoke()
    with pytest.raises(WSManFaultError) as refused:
        PowerShell(pool).add_script("hostname").invoke()
    assert "The maximum number of concurrent commands per shell has been exceeded" in refused.value.reason
    left[0].close()
    assert invoke(pool, "hostname")[0] == ["HV01"]


@pytest.mark.parametrize("fields", [", remotePowerShell: false", ", rights: wmi", ", rights: none"])
def test_who_may_open_no_pool(serve: Callable[[str], EstateServer], fields: str) -> None:
    estate = serve(HOST.format(fields))
    with connected(estate, "h") as client, pytest.raises(WSManFaultError) as refused:
        RunspacePool(client).open()
    assert refused.value.code in (5, 0x803381AC)
    assert estate.counts()["h"]["pools"] == 0


def test_opening_a_pool_takes_the_time_that_powershell_needs(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(HOST.format(", delays: {powershell: 3600}"))
    with connected(estate, "h", operation_timeout=20) as client, ThreadPoolExecutor(1) as threads:
        opening = threads.submit(RunspacePool(client).open)
        advance_until(estate, 21, opening.done)
        with pytest.raises(WSManFaultError) as late:
            opening.result()
    assert late.value.code == 0x80338029
    assert estate.counts()["h"]["openShells"] == 0


@pytest.mark.parametrize("operation", ["Shell/Create", "RunspacePool/Create"])
def test_a_pool_can_go_wrong_on_demand(estate: EstateServer, operation: str) -> None:
    estate.faults("hv01", [{"operation": operation, "answer": "accessDenied", "times": 1}])
    with connected(estate) as client, pytest.raises(WSManFaultError) as refused:
        RunspacePool(client).open()
    assert refused.value.code == 5


@pytest.mark.parametrize(
    ("operation", "text"),
    [
        ("RunspacePool/Create", "This user is allowed a maximum number of 30 concurrent shells"),
        ("Pipeline/Command", "The maximum number of concurrent commands per shell has been exceeded"),
        ("Pipeline/Receive", "The maximum number of concurrent operations for this user has been exceeded"),
    ],
)
def test_a_quota_can_be_used_up_on_demand(estate: EstateServer, operation: str, text: str) -> None:
    estate.faults("hv01", [{"operation": operation, "answer": "quota"}])
    with pytest.raises(WSManFaultError) as refused, connected(estate) as client, RunspacePool(client) as pool:
        PowerShell(pool).add_script("hostname").invoke()
    assert text in refused.value.reason


def test_a_plugin_can_fail_on_demand(estate: EstateServer) -> None:
    estate.faults("hv01", [{"operation": "Shell/Create", "hresult": 2}])
    with connected(estate) as client, pytest.raises(WSManFaultError) as refused:
        RunspacePool(client).open()
    assert (refused.value.code, refused.value.provider) == (2, "microsoft.powershell")


def test_the_shells_of_a_machine_can_end_on_demand(estate: EstateServer, pool: RunspacePool) -> None:
    estate.close_shells("hv01")
    with pytest.raises(WSManFaultError) as gone:
        PowerShell(pool).add_script("hostname").invoke()
    assert gone.value.code == 0x8033805B
    assert not pool.is_alive()


def creation(text: str) -> str:
    return f"<r:Shell xmlns:r='{SHELL}'><creationXml xmlns='{POWERSHELL}'>{text}</creationXml></r:Shell>"


def opening() -> str:
    client = ClientRunspacePool()
    client.open()
    payload = client.data_to_send()
    assert payload is not None
    return base64.b64encode(payload.data).decode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (f"<r:Shell xmlns:r='{SHELL}'/>", 0x80540FA0),
        (creation("no base64!"), 0x80338041),
        (creation(base64.b64encode(b"no fragment").decode()), 87),
        (creation(base64.b64encode(bytes(16) + b"\3" + bytes(4)).decode()), 87),
        (creation(opening()[:-8]), 87),
    ],
)
def test_a_pool_whose_first_messages_are_wrong(estate: EstateServer, body: str, code: int) -> None:
    with Client(estate.url("hv01")) as client:
        refused = fault(lambda: client.send(envelope(f"{TRANSFER}/Create", RESOURCE, body)))
        assert refused.wsman_fault_code == code
    assert estate.counts()["hv01"]["openShells"] == 0


def test_messages_that_a_pool_does_not_take(estate: EstateServer) -> None:
    with Client(estate.url("hv01")) as client:
        created = client.send(envelope(f"{TRANSFER}/Create", RESOURCE, creation(opening())))
        shell = str(created.findtext(".//w:Selector[@Name='ShellId']", None, NS))

        def refused(action: str, body: str) -> int | None:
            message = envelope(f"{SHELL}/{action}", RESOURCE, body, {"ShellId": shell})
            return fault(lambda: client.send(message)).wsman_fault_code

        declared = f"xmlns:r='{SHELL}'"
        nobody = str(uuid.uuid4())
        line = "<r:Command/><r:Arguments>AAAA</r:Arguments>"
        assert refused("Command", f"<r:CommandLine {declared}>{line}</r:CommandLine>") == 87
        assert refused("Command", f"<r:CommandLine {declared}><r:Argument/></r:CommandLine>") == 0x80338041
        assert refused("Send", f"<r:Send {declared}><r:Stream Name='stdout'/></r:Send>") == 0x80338041
        assert (
            refused("Send", f"<r:Send {declared}><r:Stream Name='stdin' CommandId='{nobody}'/></r:Send>") == 0x8033805B
        )
        wanted = f"<r:DesiredStream CommandId='{nobody}'>stdout</r:DesiredStream>"
        assert refused("Receive", f"<r:Receive {declared}>{wanted}</r:Receive>") == 0x8033805B
        assert refused("Signal", f"<r:Signal {declared}><r:Code/></r:Signal>") == 87
        client.send(envelope(f"{TRANSFER}/Delete", RESOURCE, selectors={"ShellId": shell}))


def test_a_pipeline_whose_message_is_not_complete_can_be_stopped(pool: RunspacePool) -> None:
    client = ClientRunspacePool()
    client.open()
    first = client.data_to_send(100)
    assert first is not None
    name = str(uuid.uuid4()).upper()
    pool.shell.command("", [base64.b64encode(first.data).decode()], command_id=name)
    pool.shell.signal("powershell/signal/ctrl_c", name)
    assert pool.shell.receive("stdout", name)[0].endswith("/Done")
