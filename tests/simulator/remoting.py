"""Runs scripts of the provider through pypsrp."""

from __future__ import annotations

import json
from typing import Any

from pypsrp.complex_objects import PSCredential
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.serializer import TaggedValue

from avma_simulator import EstateServer
from simulator.psrp import connected


def secret(text: str) -> TaggedValue:
    return TaggedValue("SS", text)


def guest(identifier: str, *operations: dict[str, Any], account: tuple[str, str], **fields: Any) -> dict[str, Any]:
    """Return a guest in the form of the script. Method arguments are passed as secrets."""
    secrets: list[TaggedValue] = []
    given = []
    for operation in operations:
        arguments = operation.get("arguments", {})
        given.append({**operation, "arguments": {name: len(secrets) + at for at, name in enumerate(arguments)}})
        secrets += [secret(value) for value in arguments.values()]
    credential = PSCredential(username=account[0], password=account[1])
    values = {"id": identifier, "credential": credential, "operations": json.dumps(given), "secrets": secrets}
    return {**values, "seconds": 60.0, **fields}


def run(estate: EstateServer, host: str, script: str, **parameters: Any) -> tuple[list[Any], list[str]]:
    """Return the output and the IDs of the errors."""
    with connected(estate, host) as client, RunspacePool(client) as pool:
        pool.exchange_keys()
        shell = PowerShell(pool).add_script(f"# avma-script: {script}\n'the rest is not looked at'\n")
        output = shell.add_parameters(parameters).invoke()
        shell.close()
    return output, [str(record.fq_error) for record in shell.streams.error]


def answers(estate: EstateServer, host: str, script: str, **parameters: Any) -> list[dict[str, Any]]:
    """Return the JSON objects of a successful script."""
    output, failed = run(estate, host, script, **parameters)
    assert failed == []
    return [json.loads(text) for text in output]


def in_guests(estate: EstateServer, host: str, guests: list[Any], throttle: int = 8) -> list[dict[str, Any]]:
    """Return the answers of guests."""
    parameters = {"Guests": guests, "ThrottleLimit": throttle, "Timeout": 20.0}
    return [answer for answer in answers(estate, host, "cim-in-guest 4", **parameters) if "starting" not in answer]
