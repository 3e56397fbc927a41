"""The replay of a recording: machines with recorded answers only.

Listeners, authentication and message encryption are those of all simulated machines. Only the service differs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from avma_simulator import recording, server
from avma_simulator.estate import Estate
from avma_simulator.estate_file.yaml_source import FileError, Mistake
from avma_simulator.recording import Recording
from avma_simulator.server import EstateServer, OnReady
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine
from avma_simulator.winrm.wsman_service import Reply, Service
from avma_simulator.wsman import soap, wsman_faults


class ReplayService(Service):
    """A service that answers the requests to one machine from a recording."""

    def __init__(self, recorded: Recording, machine: Machine, state: EstateState) -> None:
        super().__init__(machine, state)
        self._recording = recorded
        self._address = machine.spec.address

    async def reply(self, message: str | bytes) -> Reply:
        """Return the recorded answer. A request without one gets a fault with an explanation."""
        try:
            request = soap.parse(message)
            answer = self._recording.answer(self._address, request)
        except wsman_faults.Fault as fault:
            return self._fault(fault, message)
        if answer is None:
            return self._fault(not_recorded(request), message)
        return Reply(500 if answer.is_fault else 200, answer.to(request.message_id))


def serve_recording(path: Path, username: str, password: str, port: int, on_ready: OnReady) -> None:
    """Serve a recording until SIGINT or SIGTERM, for the account `username` or the account of the recording.

    Raises:
        FileError: the file is not a recording.
        CannotListen: a listener cannot be opened.
    """
    recorded, estate = _loaded(path, username, password, port)
    server.serve(estate, on_ready, partial(ReplayService, recorded))


@contextmanager
def running_recording(path: Path, username: str, password: str, port: int) -> Iterator[EstateServer]:
    """Serve a recording in a thread until the block ends. Arguments and errors are those of `serve_recording`."""
    recorded, estate = _loaded(path, username, password, port)
    with server.running(estate, partial(ReplayService, recorded)) as running:
        yield running


def _loaded(path: Path, username: str, password: str, port: int) -> tuple[Recording, Estate]:
    recorded = recording.load(path)
    try:
        return recorded, estate_of(recorded, username, password, port)
    except ValidationError:
        text = "contains a machine, an address or an account that the simulator cannot serve"
        raise FileError(path, [Mistake(1, "", text)]) from None


def not_recorded(request: soap.Request) -> wsman_faults.Fault:
    """Return the fault for a request without a recorded answer."""
    asked = request.text("w:Filter") or request.resource
    text = f"The recording has no answer to this request: {request.operation} {asked}"
    return wsman_faults.Fault("s:Receiver", "w:InternalError", wsman_faults.INTERNAL_ERROR, text)


def estate_of(recorded: Recording, username: str, password: str, port: int) -> Estate:
    """Return the estate for the listeners of a recording: its machines at their addresses, over HTTP.

    The replay never reads the Windows version, so it is an arbitrary one.
    """
    hosts = [
        {
            "name": _computer_name(machine.name, number),
            "address": machine.address,
            "http": {"port": port},
            "version": "2025",
            "edition": "Datacenter",
            "username": username or machine.username.rpartition("\\")[2],
            "password": password,
        }
        for number, machine in enumerate(recorded.machines, 1)
    ]
    return Estate.model_validate({"hosts": hosts})


def _computer_name(name: str, number: int) -> str:
    return f"machine{number}" if ":" in name or name.replace(".", "").isdecimal() else name.partition(".")[0]
