"""Fuzz targets: each accepts any bytes, and may raise only the errors that it lists.

Parsers of the client get their bytes below a pipe, as in a real connection. The server target is the message handler of
a machine, with state between messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from defusedxml.ElementTree import fromstring

from avma import errors
from avma.configuration import Configuration
from avma.connection import Connection, resolve
from avma.context import Context
from avma.deadline import Deadline
from avma.redaction import Redactor
from avma.windows import hyperv, powershell
from avma.wsman import envelope
from avma.wsman.instance import Instance
from avma.wsman.psrp import Pool
from avma.wsman.script import ErrorRecord, Output
from avma.wsman.wsman_client import WsmanClient
from avma_simulator import load_estate
from avma_simulator.clock import Clock
from avma_simulator.state.estate_state import EstateState
from avma_simulator.winrm.wsman_service import Service
from avma_simulator.wmi import queries, wql
from avma_simulator.wmi.repository import ClassNotFound, Repository
from avma_simulator.wsman import soap, wsman_faults
from fuzz import fragments, recordings, remoting, shell_messages

CONTEXT = Context("ask", "hv01", Deadline(1))
KEY = {"ProductKey": "BCDFG-HJKMN-PQRTV-WXY23-46789"}
ESTATE = Path(__file__).parent / "estate.yaml"
CIMV2, SERVICE, PRODUCT = "root/cimv2", "SoftwareLicensingService", "SoftwareLicensingProduct"
QUERIES = (
    "SELECT ID,Name,PartialProductKey FROM SoftwareLicensingProduct WHERE PartialProductKey IS NOT NULL",
    "SELECT * FROM Win32_OperatingSystem WHERE Caption LIKE '%Server%[0-9_]%' AND NOT (OSLanguage <> 8 OR Name = 'x')",
    "select Version from SoftwareLicensingService",
    "SELECT * FROM Win32_NTLogEvent WHERE TimeGenerated > '20260101000000.000000+000' AND EventCode >= 12309",
    "ASSOCIATORS OF {Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='HV01'} WHERE "
    "AssocClass = Msvm_SettingsDefineState ResultClass = Msvm_VirtualSystemSettingData",
    "SELECT Name FROM CIM_ComputerSystem WHERE 'HV01' = Name OR PartOfDomain = FALSE",
)
EMBEDDED = (
    b'<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Caption" PROPAGATED="true" TYPE="string"/>'
    b'<PROPERTY NAME="Data" TYPE="string"><VALUE>10.0.0.5</VALUE></PROPERTY><PROPERTY NAME="Name" TYPE="string">'
    b"<VALUE>NetworkAddressIPv4</VALUE></PROPERTY></INSTANCE>",
    b'<INSTANCE CLASSNAME="A"><PROPERTY.ARRAY NAME="B" TYPE="string"><VALUE.ARRAY><VALUE>1</VALUE><VALUE>2</VALUE>'
    b"</VALUE.ARRAY></PROPERTY.ARRAY></INSTANCE>",
)
OUTPUTS = (
    b'{"id": "8a1f", "results": [{"rows": [{"Version": "10.0.26100.1", "Tags": ["a", null], "On": true}]}]}',
    b'{"id": "8a1f", "error": {"hresult": -1073422000, "errorId": "HRESULT 0xc004f050,x", "exceptions": ["a.b"]}}',
)


@dataclass(frozen=True)
class Target:
    """One reader: its seed messages, and the function that accepts any bytes."""

    seeds: Sequence[bytes]
    run: Callable[[bytes], object]


class _Given:
    """A pipe that repeats one answer until the deadline."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._left = 3

    def send(self, context: Context, message: bytes) -> bytes:
        if not self._left:
            raise context.error(errors.TimedOut, "the time is over", "wait")
        self._left -= 1
        return self._answer

    def close(self) -> None:
        pass


class _Hurried(Deadline):
    """A deadline without waiting."""

    def wait(self, timeout: float, tried: str, where: str) -> None:
        self.check(tried, where)


class _Keeping(logging.Handler):
    """A handler that collects log lines in a list."""

    def __init__(self, kept: list[str]) -> None:
        super().__init__()
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        self._kept.append(record.getMessage())


class Server:
    """The message handler of a host, and its answers to the client of this project."""

    def __init__(self) -> None:
        # Operations can wait for up to a minute. Here, they do not wait.
        self._longest, soap.LONGEST_OPERATION = soap.LONGEST_OPERATION, 0.02
        self.loop = asyncio.new_event_loop()
        self.complaints: list[str] = []
        self._handler = _Keeping(self.complaints)
        logging.getLogger("avma_simulator").addHandler(self._handler)
        state = EstateState(load_estate(ESTATE), Clock())
        self.machine = state.machines[0]
        self.repository = Repository(self.machine, state)
        self._service = Service(self.machine, state)
        self.requests = self._requests()
        self.answers = tuple(self.reply(request) for request in self.requests)
        self.remote = remoting.conversation(_connection(), self.reply)

    def close(self) -> None:
        """Cancel all tasks of the handler."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
        logging.getLogger("avma_simulator").removeHandler(self._handler)
        soap.LONGEST_OPERATION = self._longest

    def reply(self, message: bytes) -> bytes:
        """Return the answer to any bytes. It must be an envelope, and never the fault of an internal error."""
        reply = self.loop.run_until_complete(asyncio.wait_for(self._service.reply(message), 10))
        assert reply.status in (200, 500)
        fault = fromstring(reply.message).find(f".//{{{soap.NAMESPACES['s']}}}Fault")
        assert (reply.status == 500) == (fault is not None)
        assert self.complaints == []
        assert str(wsman_faults.INTERNAL_ERROR).encode() not in reply.message
        return reply.message

    def _requests(self) -> tuple[bytes, ...]:
        version = {"Version": "10.0.26100.1"}
        shell = _between(self._asked(shell_messages.create()), b'Name="ShellId">', b"<")
        command = _between(self._asked(shell_messages.command(shell, "hostname", ())), b"CommandId>", b"<")
        reference = envelope.enumerate_query(CIMV2, QUERIES[0]).render("http://h/wsman", 1)
        messages = (
            *(envelope.enumerate_query(CIMV2, query) for query in QUERIES),
            envelope.enumerate_query(hyperv.NAMESPACE, QUERIES[4]),
            envelope.enumerate_query(hyperv.NAMESPACE, "SELECT * FROM Msvm_KvpExchangeComponent"),
            envelope.pull(CIMV2, "uuid:1"),
            envelope.release(CIMV2, "uuid:1"),
            envelope.get(CIMV2, SERVICE, version),
            envelope.invoke(envelope.CimMethod(CIMV2, SERVICE, "RefreshLicenseStatus"), version, {}),
            envelope.invoke(envelope.CimMethod(CIMV2, SERVICE, "InstallProductKey"), version, KEY),
            envelope.invoke(envelope.CimMethod(CIMV2, PRODUCT, "Activate"), {"ID": "1"}, {}),
            shell_messages.create(),
            shell_messages.command(shell, "hostname", ["/?"]),
            shell_messages.send(shell, command, b"text\n", True),
            shell_messages.receive(shell, command),
            shell_messages.signal(shell, command),
            shell_messages.delete("8A1F0C52-6A0E-4B3C-9F61-0C2D4C1F0A11"),
        )
        wanted = b"<w:MaxElements>32000</w:MaxElements>"
        mode = b"<w:EnumerationMode>EnumerateObjectAndEPR</w:EnumerationMode>"
        return (*(message.render("http://h/wsman", 0.01) for message in messages), reference.replace(wanted, mode))

    def _asked(self, message: envelope.Message) -> bytes:
        return self.reply(message.render("http://h/wsman", 1))


def _between(text: bytes, before: bytes, after: bytes) -> str:
    return text.partition(before)[2].partition(after)[0].decode()


def _connection() -> Connection:
    return resolve("hv01", Configuration(username="u", password="p"))


def _client(answer: bytes) -> WsmanClient:
    return WsmanClient(_connection(), 1, lambda _: _Given(answer))


def queried(answer: bytes) -> None:
    """Read an answer as that of a query, of a method and of a remote PowerShell."""
    context = Context("ask", "hv01", _Hurried(60))
    with contextlib.suppress(errors.AvmaError):
        _used(_client(answer).invoke(context, envelope.CimMethod(CIMV2, SERVICE, "Go"), {"Version": "1"}, {}))
    with contextlib.suppress(errors.AvmaError):
        _used(_client(answer).get(context, CIMV2, SERVICE, {"Version": "1"}))
    with contextlib.suppress(errors.AvmaError):
        for row in _client(answer).query(context, CIMV2, QUERIES[0]):
            _used(row)
    with contextlib.suppress(errors.AvmaError):
        Pool(_connection(), _Given(answer)).open(context)


def embedded(text: bytes) -> None:
    """Read an embedded instance."""
    with contextlib.suppress(errors.AvmaError):
        _used(Instance.from_embedded(text.decode(errors="replace"), CONTEXT))


def sent(data: bytes) -> None:
    """Read bytes as data from PowerShell."""
    remoting.sent(_connection(), data)


def written(output: bytes) -> None:
    """Read the output of a script, as its output and as its errors. The result must be encodable."""
    text = output.decode("utf-8", "surrogateescape")
    for found in (Output((text,), (), True), Output((), (ErrorRecord(text, text),), False)):
        answers = powershell.OutputReader().read(found, Redactor())
        repr(answers.objects).encode()
        answers.complaint.encode()


def _used(row: Instance) -> None:
    for name in ("ID", "Version", "PartialProductKey", "LicenseStatus", "ReturnValue", "Data", "Name", "B"):
        row.text(name)
        for read in (row.integer, row.boolean, row.embedded):
            with contextlib.suppress(errors.AvmaError):
                read(name)


@contextlib.contextmanager
def targets() -> Iterator[dict[str, Target]]:
    """Yield all targets. Their resources are released at the end of the block."""
    server = Server()

    def select(text: bytes) -> None:
        with contextlib.suppress(wql.WqlError, ClassNotFound):
            query = wql.parse(text.decode(errors="replace"))
            namespace = hyperv.NAMESPACE if isinstance(query, wql.Associators) else CIMV2
            queries.run(server.repository, namespace, query)

    fault_seeds = [answer for answer in server.answers if b":Fault>" in answer]
    lines = recordings.recorded(_connection(), dict(zip(server.requests, server.answers, strict=True)))
    with recordings.replayed(lines) as replayed:
        yield {
            "envelope": Target(server.answers, queried),
            "fault": Target(fault_seeds, queried),
            "CIM-XML": Target(EMBEDDED, embedded),
            "PSRP": Target(tuple(remoting.streamed([answer for _, answer in server.remote])), sent),
            "output": Target(OUTPUTS, written),
            "WQL": Target([query.encode() for query in QUERIES], select),
            "server": Target((*server.requests, *(request for request, _ in server.remote)), server.reply),
            "fragments": Target(fragments.seeds(), fragments.reader(server.machine, server.loop)),
            "recorder": Target((*server.requests, *server.answers, *EMBEDDED), recordings.written),
            "recording": Target((replayed.seed,), replayed.load),
            "replay": Target(server.requests, replayed.reply),
        }
    server.close()
