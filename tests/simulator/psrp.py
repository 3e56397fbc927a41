"""A client for runspace pools and pipelines, with pypsrp."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

from avma_simulator import EstateServer

POWERSHELL = "http://schemas.microsoft.com/powershell"
RESOURCE = f"{POWERSHELL}/Microsoft.PowerShell"
OPENED, STOPPED, COMPLETED, FAILED = 2, 3, 4, 5


@contextmanager
def connected(estate: EstateServer, name: str = "hv01", **options: Any) -> Iterator[WSMan]:
    host, port = estate.address(name)
    account: dict[str, Any] = {"username": "Administrator", "password": "Pa55w.rd", "auth": "ntlm"}
    with WSMan(host, port=port, ssl=False, no_proxy=True, **account, **options) as client:
        yield client


def invoke(pool: RunspacePool, script: str, **parameters: Any) -> tuple[list[Any], PowerShell]:
    shell = PowerShell(pool).add_script(script).add_parameters(parameters)
    output = shell.invoke()
    shell.close()
    return output, shell


def errors(shell: PowerShell) -> list[tuple[str, Any, Any, Any]]:
    return [(str(record), record.fq_error, record.reason, record.message) for record in shell.streams.error]
