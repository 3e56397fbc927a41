"""Runs pypsrp with runspace pools and prints the results as one line of JSON.

Arguments: host, port, scheme, authority, auth.
"""

import json
import sys
from contextlib import ExitStack
from typing import Any

from pypsrp.client import Client
from pypsrp.complex_objects import ObjectMeta
from pypsrp.exceptions import WSManFaultError
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

HOST, PORT, SCHEME, AUTHORITY, AUTH = sys.argv[1:]
OPTIONS: dict[str, Any] = {
    "port": int(PORT),
    "ssl": SCHEME == "https",
    "username": "Administrator",
    "password": "Pa55w.rd",
    "auth": AUTH,
    "cert_validation": AUTHORITY,
    "no_proxy": True,
}
SECRET = "Pä55w.rd 😀"


def invoked(pool: RunspacePool, script: str) -> PowerShell:
    shell = PowerShell(pool).add_script(script)
    shell.invoke()
    shell.close()
    return shell


def streams(pool: RunspacePool) -> dict[str, list[str]]:
    script = (
        "'a'; Write-Error wrong; Write-Warning careful; Write-Verbose -Verbose 'in detail'\n"
        "Write-Progress Working half; Write-Output 'ä 日本 😀 _x0041_'"
    )
    shell = invoked(pool, script)
    return {
        "output": shell.output,
        "error": [str(shell.streams.error[0]), shell.streams.error[0].fq_error],
        "warning": [record.message for record in shell.streams.warning],
        "verbose": [record.message for record in shell.streams.verbose],
        "progress": [record.activity for record in shell.streams.progress],
    }


def unknown(pool: RunspacePool) -> list[Any]:
    shell = invoked(pool, "Get-Nothing")
    return [shell.state, shell.streams.error[0].fq_error, str(shell.streams.error[0])]


def failed(pool: RunspacePool) -> list[Any]:
    shell = invoked(pool, "throw 'enough'")
    return [shell.state, str(shell.streams.error[0])]


def echoed(pool: RunspacePool, value: Any) -> Any:
    return PowerShell(pool).add_cmdlet("Write-Output").add_parameter("InputObject", value).invoke()[0]


def secure(pool: RunspacePool) -> str:
    pool.exchange_keys()
    return str(echoed(pool, pool.serialize(SECRET, ObjectMeta("SS"))))


def stopped(pool: RunspacePool) -> int:
    shell = PowerShell(pool).add_script("Start-Sleep 600")
    shell.begin_invoke()
    shell.stop()
    return int(shell.state)


def two_pools() -> list[str]:
    with ExitStack() as stack:
        clients = [stack.enter_context(WSMan(HOST, **OPTIONS)) for _ in range(2)]
        pools = [stack.enter_context(RunspacePool(client)) for client in clients]
        return [echoed(pool, name) for pool, name in zip(pools, ("first", "second"), strict=True)]


def configuration(client: WSMan) -> int | None:
    try:
        RunspacePool(client, configuration_name="Nobody.Registered").open()
    except WSManFaultError as fault:
        code: int | None = fault.code
        return code
    return None


def over_quota(client: WSMan) -> str:
    """Open further pools until the quota is exceeded."""
    with ExitStack() as stack:
        try:
            while True:
                stack.enter_context(RunspacePool(client))
        except WSManFaultError as fault:
            return str(fault.reason)


def by_client() -> dict[str, list[Any]]:
    with Client(HOST, **OPTIONS) as client:
        output, _, had_errors = client.execute_ps("hostname")
        _, found, complained = client.execute_ps("Get-Nothing")
    return {"client": [output, had_errors], "clientErrors": [complained, len(found.error)]}


with WSMan(HOST, **OPTIONS) as made, RunspacePool(made) as opened:
    large = "0123456789ä😀" * 100_000
    told = {
        "versions": [opened.protocol_version, opened.ps_version, opened.serialization_version],
        "several": [invoked(opened, f"'{number}'").output[0] for number in range(3)],
        "streams": streams(opened),
        "unknown": unknown(opened),
        "failed": failed(opened),
        "secure": secure(opened),
        "large": echoed(opened, large) == large,
        "stopped": stopped(opened),
        "afterStop": invoked(opened, "hostname").output,
        "configuration": configuration(made),
        "overQuota": over_quota(made),
    }
print(json.dumps({**told, "twoPools": two_pools(), **by_client()}))
