"""The steps of Pulumi's engine, driven here, with the real plugin in a process of its own for each command.

The engine itself takes seconds for a command. This one takes a fraction, so a run sees far more states. It follows the
documented lifecycle: Check, Diff, then Create, Update, or Delete and Create. It keeps partial states, as they arrive in
ErrorResourceInitFailed, and continues with other resources after an error, like `--continue-on-error`.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import grpc
from google.protobuf.struct_pb2 import Struct

from contract.harness import PROVIDER_URN, FakeEngine, detail, plain, struct
from pulumi_resource_avma.protocol import provider_pb2 as pb
from pulumi_resource_avma.protocol import provider_pb2_grpc
from soak.program import CONFIGURATION, Declared, Kept, Outcome
from waiting import PATIENCE
from workspace import PLUGIN

_AT_ONCE = 8
"""Calls under way, as with the engine's default on two cores."""


@dataclass(frozen=True)
class _Entry:
    """A resource in the state, as the protocol has it."""

    declared: Declared
    identifier: str
    inputs: Struct
    outputs: Struct
    failed: bool = False
    """Whether its initialization failed. The engine then updates it in the next run."""


class PluginEngine:
    """See `soak.program.Engine`. `requests` returns the number of requests to the machines so far."""

    def __init__(self, requests: Callable[[], int]) -> None:
        self.program: dict[str, Declared] = {}
        self._requests = requests
        self._state: dict[str, _Entry] = {}

    def up(self, after: int | None = None) -> Outcome:
        with self._run(after) as run:
            run.check(self.program)
            hosts = [name for name in run.checked if self.program[name].licenses_hosts]
            guests = [name for name in run.checked if name not in hosts]
            for names in (hosts, guests):
                run.parallel(names, lambda name: self._step(run, name))
            gone = [name for name in self._state if name not in self.program]
            run.parallel(gone, lambda name: self._delete(run, name))
        return run.outcome

    def preview(self) -> Outcome:
        with self._run(None) as run:
            run.check(self.program)
            run.parallel(list(run.checked), lambda name: self._expect_no_change(run, name))
            for name in self._state.keys() ^ self.program.keys():
                run.outcome.fail(f"{name} is only in the state or only in the program")
        return run.outcome

    def refresh(self, after: int | None = None) -> Outcome:
        with self._run(after) as run:
            run.parallel(list(self._state), lambda name: self._read(run, name))
        return run.outcome

    def destroy(self, after: int | None = None) -> Outcome:
        with self._run(after) as run:
            guests = [name for name, entry in self._state.items() if not entry.declared.licenses_hosts]
            for names in (guests, [name for name in self._state if name not in guests]):
                run.parallel(names, lambda name: self._delete(run, name))
        return run.outcome

    def adopt(self, name: str, identifier: str, after: int | None = None) -> Outcome:
        declared = self.program[name]
        with self._run(after) as run, run.guarded(name):
            found = run.stub.Read(pb.ReadRequest(id=identifier, urn=_urn(name, declared), type=declared.token))
            if found.id:
                self._state[name] = _Entry(declared, found.id, found.inputs, found.properties)
            else:
                run.outcome.fail("")
        return run.outcome

    def state(self) -> dict[str, Kept]:
        return {
            name: Kept(entry.declared.kind, entry.identifier, plain(entry.inputs), plain(entry.outputs))
            for name, entry in self._state.items()
        }

    @contextlib.contextmanager
    def _run(self, after: int | None) -> Iterator[_Run]:
        with _Run(self._requests, after) as run:
            yield run

    def _step(self, run: _Run, name: str) -> None:
        declared, news = self.program[name], run.checked[name]
        entry = self._state.get(name)
        if entry is None:
            self._create(run, name)
            return
        found = run.stub.Diff(_diff(name, entry, news))
        if found.replaces:
            self._delete(run, name)
            self._create(run, name)
        elif found.changes == pb.DiffResponse.DIFF_SOME or entry.failed:
            request = pb.UpdateRequest(
                id=entry.identifier,
                urn=_urn(name, declared),
                type=declared.token,
                olds=entry.outputs,
                old_inputs=entry.inputs,
                news=news,
            )
            with self._kept(name, declared):
                updated = run.stub.Update(request)
                self._state[name] = _Entry(declared, entry.identifier, news, updated.properties)

    def _create(self, run: _Run, name: str) -> None:
        declared, news = self.program[name], run.checked[name]
        with self._kept(name, declared):
            created = run.stub.Create(pb.CreateRequest(urn=_urn(name, declared), type=declared.token, properties=news))
            self._state[name] = _Entry(declared, created.id, news, created.properties)

    def _delete(self, run: _Run, name: str) -> None:
        entry = self._state[name]
        run.stub.Delete(
            pb.DeleteRequest(
                id=entry.identifier,
                urn=_urn(name, entry.declared),
                type=entry.declared.token,
                properties=entry.outputs,
                old_inputs=entry.inputs,
            )
        )
        del self._state[name]

    def _read(self, run: _Run, name: str) -> None:
        entry = self._state[name]
        request = pb.ReadRequest(
            id=entry.identifier,
            urn=_urn(name, entry.declared),
            type=entry.declared.token,
            properties=entry.outputs,
            inputs=entry.inputs,
        )
        with self._kept(name, entry.declared):
            found = run.stub.Read(request)
            if not found.id:
                del self._state[name]
                return
            self._state[name] = replace(
                entry, identifier=found.id, inputs=found.inputs, outputs=found.properties, failed=False
            )

    def _expect_no_change(self, run: _Run, name: str) -> None:
        entry = self._state.get(name)
        if entry is not None:
            found = run.stub.Diff(_diff(name, entry, run.checked[name]))
            if entry.failed or found.changes != pb.DiffResponse.DIFF_NONE:
                run.outcome.fail(f"{name} changes: {list(found.detailedDiff) or 'its initialization failed'}")

    @contextlib.contextmanager
    def _kept(self, name: str, declared: Declared) -> Iterator[None]:
        """Keep the partial state of a failed call."""
        try:
            yield
        except grpc.RpcError as error:
            if any(entry.key == "grpc-status-details-bin" for entry in error.trailing_metadata() or ()):
                failed = detail(error, pb.ErrorResourceInitFailed())
                self._state[name] = _Entry(declared, failed.id, failed.inputs, failed.properties, failed=True)
            raise


class _Run:
    """A plugin process for one command. It is killed when the machines have received `after` requests."""

    def __init__(self, requests: Callable[[], int], after: int | None) -> None:
        self.outcome = Outcome()
        self.checked: dict[str, Struct] = {}
        self._requests = requests
        self._after = after
        self._ended = threading.Event()

    def __enter__(self) -> _Run:
        self._engine = FakeEngine()
        # The plugin identifies a run by the port and the socket of its engine, but gRPC's socket is not in the list of
        # IPv4. A later run can have the same port, so each run has its own folder for the claims.
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [PLUGIN],
            env={**os.environ, "TMPDIR": self._folder.name},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self._process.stdout.readline().strip()}")
        self.stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self.stub.Handshake(pb.ProviderHandshakeRequest(engine_address=self._engine.address), timeout=PATIENCE)
        guest = json.dumps(CONFIGURATION["guest"])
        values = {**CONFIGURATION, "https": "false", "guest": guest}
        self.stub.Configure(pb.ConfigureRequest(args=struct(values), urn=PROVIDER_URN), timeout=PATIENCE)
        self._killer = threading.Thread(target=self._kill, args=(self._requests(),))
        self._killer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._killer.join()
        self._channel.close()
        self._process.terminate()  # like the engine. The plugin then ends its remote PowerShell
        self._process.communicate()
        self._engine.stop()
        self._folder.cleanup()

    def check(self, program: dict[str, Declared]) -> None:
        """Check the inputs of all resources."""
        for name, declared in program.items():
            news = struct(declared.properties)
            found = self.stub.Check(
                pb.CheckRequest(urn=_urn(name, declared), type=declared.token, news=news), timeout=PATIENCE
            )
            assert not found.failures, found.failures
            self.checked[name] = found.inputs

    def parallel(self, names: list[str], step: Callable[[str], None]) -> None:
        """Perform a step for each resource, several at a time."""

        def guarded(name: str) -> None:
            with self.guarded(name):
                step(name)

        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(guarded, names))

    @contextlib.contextmanager
    def guarded(self, name: str) -> Iterator[None]:
        """Record a failed call. The loss of a killed plugin is no message of the provider."""
        try:
            yield
        except grpc.RpcError as error:
            text = error.details() or ""
            killed = self._after is not None and error.code() is grpc.StatusCode.UNAVAILABLE
            self.outcome.fail("" if killed and "avma explain" not in text else f"{name}: {text}")

    def _kill(self, before: int) -> None:
        while self._after is not None and not self._ended.wait(0.005):
            if self._requests() - before >= self._after:
                self._process.kill()
                return


def _urn(name: str, declared: Declared) -> str:
    return f"urn:pulumi:dev::soak::{declared.token}::{name}"


def _diff(name: str, entry: _Entry, news: Any) -> pb.DiffRequest:
    return pb.DiffRequest(
        id=entry.identifier,
        urn=_urn(name, entry.declared),
        type=entry.declared.token,
        olds=entry.outputs,
        old_inputs=entry.inputs,
        news=news,
    )
