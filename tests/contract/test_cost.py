"""The cost of the plugin in counts: imported modules, the functions of a comparison, and the calls that wait."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from avma.redaction import Redactor
from avma.resources import RESOURCES
from contract.harness import FakeEngine, Provider, secret, struct
from pulumi_resource_avma.file_locks import locked
from pulumi_resource_avma.lifecycle import Lifecycle
from pulumi_resource_avma.operations import Operations
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.protocol import provider_pb2_grpc
from pulumi_resource_avma.session import Session
from pulumi_resource_avma.wording import PULUMI
from waiting import PATIENCE

MOST_MODULES = 85
"""The maximum number of modules at the port line, without those of gRPC."""
MOST_CALLS = 480
"""The maximum number of Python functions that one Check and one Diff call."""

OF_REQUESTS = {"requests", "urllib3", "spnego", "cryptography", "winrm", "pypsrp", "defusedxml", "certifi"}
"""Libraries for requests to machines."""
OF_CALLS = {"avma.configuration", "avma.errors", "avma.keys", "avma.resources", "json", "pathlib", "urllib.parse"}
"""Modules that only calls need."""

TYPE = "avma:index:VmActivation"
INPUTS = {
    "host": "hv01.example.com",
    "vmName": "web01",
    "guest": {"username": "Administrator", "password": secret("guest-pass")},
}
OUTPUTS = {
    "licenseStatus": "Licensed",
    "licenseChannel": "VIRTUAL_MACHINE_ACTIVATION",
    "partialProductKey": "78VHK",
    "vmId": "9b1c0f9e-4f4d-4c0b-8a55-0d4b6a4a7c11",
    "vmName": "web01",
    "guestVersion": "2022",
    "guestEdition": "Standard",
}


def check_request(number: int = 1) -> pb.CheckRequest:
    return pb.CheckRequest(urn=f"urn:pulumi:dev::test::{TYPE}::web{number}", type=TYPE, news=struct(INPUTS))


def diff_request(number: int = 1, **changed: Any) -> pb.DiffRequest:
    return pb.DiffRequest(
        id="hv01.example.com/9b1c0f9e-4f4d-4c0b-8a55-0d4b6a4a7c11",
        urn=f"urn:pulumi:dev::test::{TYPE}::web{number}",
        type=TYPE,
        olds=struct({**INPUTS, **OUTPUTS, "vmId": f"9b1c0f9e-4f4d-4c0b-8a55-{number:012}"}),
        old_inputs=struct(INPUTS),
        news=struct({**INPUTS, **changed}),
    )


class Plugin:
    """A plugin process that records each import."""

    def __init__(self, process: subprocess.Popen[str], imports: Path) -> None:
        assert process.stdout is not None
        self.port = process.stdout.readline().strip()
        self._imports = imports

    def modules(self) -> set[str]:
        """Return the modules that the process has tried to import so far."""
        return imported(self._imports.read_text("utf-8"))


def imported(text: str) -> set[str]:
    """Return the modules in the output of `python -X importtime`."""
    lines = (line for line in text.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines} - {"imported package"}


@pytest.fixture
def plugin(engine: FakeEngine, tmp_path: Path) -> Iterator[Plugin]:
    arguments = [sys.executable, "-X", "importtime", "-m", "pulumi_resource_avma", engine.address]
    imports = tmp_path / "imports"
    with (
        imports.open("w") as errors,
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        yield Plugin(process, imports)
        process.kill()


def test_the_plugin_starts_without_the_modules_of_its_calls(plugin: Plugin) -> None:
    program = [sys.executable, "-X", "importtime", "-c", "import grpc.aio"]
    of_grpc = imported(subprocess.run(program, capture_output=True, text=True, check=True).stderr)
    own = plugin.modules() - of_grpc
    assert "pulumi_resource_avma.servicer" in own
    assert not own & (OF_CALLS | OF_REQUESTS)
    assert len(own) <= MOST_MODULES


def test_a_run_without_changes_imports_no_library_for_requests(plugin: Plugin, engine: FakeEngine) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{plugin.port}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        stub.Handshake(
            pb.ProviderHandshakeRequest(engine_address=engine.address), wait_for_ready=True, timeout=PATIENCE
        )
        configuration = struct({"username": "Administrator", "password": "provider-pass"})
        stub.CheckConfig(pb.CheckRequest(news=configuration))
        stub.DiffConfig(pb.DiffRequest(olds=configuration, old_inputs=configuration, news=configuration))
        stub.Configure(pb.ConfigureRequest(args=configuration))
        assert not stub.Check(check_request()).failures
        assert stub.Diff(diff_request()).changes == pb.DiffResponse.DIFF_NONE
        assert stub.Diff(diff_request(manageDataExchange=True)).diffs == ["manageDataExchange"]
    modules = plugin.modules()
    assert "avma.resources.vm_activation.vm_resource" in modules
    assert not {module.partition(".")[0] for module in modules} & OF_REQUESTS
    assert not modules & {"http.client", "urllib.request", "xml.sax"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.stop()


def test_a_comparison_that_must_wait_for_the_claims_delays_no_other_call(
    provider: Provider, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    stub = provider.stub
    stub.Handshake(pb.ProviderHandshakeRequest(engine_address=engine.address))
    stub.Configure(pb.ConfigureRequest(args=struct({"username": "Administrator"})))
    for number in range(2):
        stub.Check(check_request(number))
        stub.Diff(diff_request(number))
    (file,) = tmp_path.glob("*/*.jsonl")
    stub.Check(check_request(2))
    with locked(file, wait=True):
        waiting = stub.Diff.future(diff_request(2))
        assert stub.GetPluginInfo(Empty(), timeout=PATIENCE).version
        assert not waiting.done()
    assert waiting.result(timeout=PATIENCE).changes == pb.DiffResponse.DIFF_NONE
    assert len(file.read_text("utf-8").splitlines()) == 3


def calls_of(call: Callable[[Any], object], request: Any) -> int:
    """Return how many Python functions a call runs, itself included. A generator counts for each of its values."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        call(request)
    finally:
        sys.setprofile(None)
    return count


def test_one_comparison_calls_few_functions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    session = Session(Redactor(PULUMI))
    session.begin("127.0.0.1:4711")
    lifecycle = Lifecycle(session, Operations(session), RESOURCES)
    for number in range(10):
        lifecycle.check(check_request(number))
        lifecycle.diff(diff_request(number))
    counts = calls_of(lifecycle.check, check_request(10)), calls_of(lifecycle.diff, diff_request(10))
    assert sum(counts) <= MOST_CALLS, counts
