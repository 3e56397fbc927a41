"""The plugin process: arguments, port line and exit."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty

from contract.harness import FakeEngine
from pulumi_resource_avma import __version__, server
from pulumi_resource_avma.__main__ import engine_address
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.protocol import provider_pb2_grpc
from pulumi_resource_avma.server import watch_engine
from waiting import PATIENCE, wait_until

PLUGIN = [sys.executable, "-m", "pulumi_resource_avma"]


@pytest.mark.parametrize(
    ("arguments", "address"),
    [
        ([], ""),
        (["127.0.0.1:1"], "127.0.0.1:1"),
        (["--logtostderr", "-v=9", "127.0.0.1:1"], "127.0.0.1:1"),
        (["--tracing", "http://tracer:9411", "127.0.0.1:1"], "127.0.0.1:1"),
        (["--tracing", "http://tracer:9411"], ""),
        (["--tracing=http://tracer:9411", "127.0.0.1:1"], "127.0.0.1:1"),
        (["--of-the-future", "-x", "127.0.0.1:1"], "127.0.0.1:1"),
    ],
)
def test_engine_address(arguments: list[str], address: str) -> None:
    assert engine_address(arguments) == address


@pytest.mark.parametrize(
    ("words", "code"), [(["not-ready"], 0), (["0xC004F050"], 0), ([], 0), (["0xC004FFFF"], 1), (["not-redy"], 2)]
)
def test_it_explains_errors_as_the_avma_command_does(words: list[str], code: int) -> None:
    ours = subprocess.run([*PLUGIN, "explain", *words], capture_output=True, text=True, check=False)
    command = [sys.executable, "-m", "avma_cli", "explain", *words]
    theirs = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ours.returncode, ours.stdout, ours.stderr) == (code, theirs.stdout, theirs.stderr)
    assert theirs.returncode == code


@pytest.fixture
def plugin(engine: FakeEngine) -> Iterator[subprocess.Popen[str]]:
    arguments = [*PLUGIN, "--logtostderr", "-v=3", "--tracing", "http://tracer:9411", engine.address]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as plugin:
        yield plugin
        plugin.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of another kind")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_a_signal(plugin: subprocess.Popen[str], engine: FakeEngine, number: int) -> None:
    assert plugin.stdout is not None
    port = plugin.stdout.readline()
    assert port.strip().isdigit()
    with grpc.insecure_channel(f"127.0.0.1:{port.strip()}") as channel:
        stub = provider_pb2_grpc.ResourceProviderStub(channel)
        stub.Handshake(
            pb.ProviderHandshakeRequest(engine_address=engine.address), wait_for_ready=True, timeout=PATIENCE
        )
        assert stub.GetPluginInfo(Empty()).version == __version__
        stub.Cancel(Empty())
        assert plugin.poll() is None
    plugin.send_signal(number)
    rest, log = plugin.communicate(timeout=PATIENCE)
    assert (plugin.returncode, rest, log) == (0, "", "")


def test_the_log_on_standard_error_holds_no_secret() -> None:
    program = """
import logging
from avma.redaction import Redactor
from avma.logs import to_stderr
redact = Redactor()
redact.learn(["shelf-pass"])
to_stderr(redact)
try:
    raise ValueError("shelf-pass")
except ValueError:
    logging.getLogger("x").exception("shelf-pass and YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[secret] and …VCH67" in done.stderr
    assert "ValueError: [secret]" in done.stderr
    assert "shelf-pass'" not in done.stderr


def test_it_does_not_outlive_the_engine(engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    checks: list[bool] = []
    alive = server._alive

    async def counted(channel: grpc.aio.Channel) -> bool:
        checks.append(await alive(channel))
        return checks[-1]

    monkeypatch.setattr(server, "_alive", counted)

    async def watch() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(watch_engine(engine.address, stop, asyncio.Event(), interval=0.02, doubt=0.02))
        await asyncio.to_thread(wait_until, lambda: len(checks) > 2)
        assert not stop.is_set(), "an engine without a health service is alive"
        await asyncio.to_thread(engine.stop)
        await asyncio.wait_for(task, PATIENCE)
        assert stop.is_set()

    asyncio.run(watch())


def test_it_checks_the_engine_as_soon_as_a_call_is_lost(engine: FakeEngine) -> None:
    engine.stop()

    async def watch() -> None:
        stop, call_lost = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(watch_engine(engine.address, stop, call_lost, interval=2 * PATIENCE, doubt=0.02))
        call_lost.set()
        await asyncio.wait_for(task, PATIENCE)
        assert stop.is_set()

    asyncio.run(watch())
