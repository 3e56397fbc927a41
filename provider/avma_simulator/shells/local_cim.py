"""CIM for scripts on a machine: queries and methods without WS-Management, with their errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from avma import hresult
from avma_simulator.estate import FaultRule
from avma_simulator.shells import psvalues
from avma_simulator.state import language
from avma_simulator.state.estate_state import EstateState
from avma_simulator.state.machine import Machine
from avma_simulator.state.sl_errors import SlError
from avma_simulator.wmi import queries, rights, wql
from avma_simulator.wmi.cim import Instance, Value
from avma_simulator.wmi.methods import Arguments, Method
from avma_simulator.wmi.repository import ClassNotFound, MethodNotFound, Repository
from avma_simulator.wsman import instance_xml

WBEM_E_ACCESS_DENIED = 0x80041003
WBEM_E_NOT_FOUND = 0x80041002
WBEM_E_INVALID_CLASS = 0x80041010
WBEM_E_INVALID_QUERY = 0x80041017
WBEM_E_INVALID_METHOD = 0x8004102E
WBEM_E_QUOTA_VIOLATION = 0x8004106C
E_ACCESSDENIED = 0x80070005
_CMDLETS = "Microsoft.Management.Infrastructure.CimCmdlets"
_ANSWERS = {"accessDenied": E_ACCESSDENIED, "quota": WBEM_E_QUOTA_VIOLATION}


@dataclass
class CimFailed(Exception):
    """A query or a method failed with an HRESULT."""

    number: int
    cmdlet: str
    text: str = ""

    def as_json(self, locale: str) -> dict[str, Any]:
        """Return the error in a language, as a script reports it. PowerShell shows an HRESULT as a signed number."""
        signed = self.number - (1 << 32) if self.number >= 1 << 31 else self.number
        error_id = f"HRESULT 0x{self.number:08x},{_CMDLETS}.{self.cmdlet}"
        text = self.text or hresult.lookup(self.number).meaning
        return {"hresult": signed, "errorId": error_id, "message": language.translated(text, locale)}


class SessionLost(Exception):
    """The session on the machine ended during the operation."""


class LocalCim:
    """CIM on one machine."""

    def __init__(self, state: EstateState, machine: Machine) -> None:
        self._machine = machine
        self._repository = Repository(machine, state)

    async def query(self, namespace: str, text: str) -> list[dict[str, Any]]:
        """Return the rows of a query as JSON.

        Raises:
            CimFailed: the query fails.
            SessionLost: a fault rule ends the session.
        """
        self._machine.counts.operations["Enumerate"] += 1
        self._machine.module_log.write("Get-CimInstance", {"Namespace": namespace, "Query": text})
        try:
            query = wql.parse(text)
            rule = self._machine.injected_faults.take("Enumerate", query.class_name)
            lost = self._lost(rule, _QUERY)
            self._require_access(namespace, query.class_name, ("full", "read", "empty"), _QUERY)
            rows, columns = queries.run(self._repository, _slashes(namespace), query)
        except wql.WqlError:
            raise CimFailed(WBEM_E_INVALID_QUERY, _QUERY, "Invalid query") from None
        except ClassNotFound:
            raise CimFailed(WBEM_E_INVALID_CLASS, _QUERY, "Invalid class") from None
        if lost:
            raise SessionLost
        if rule is not None and rule.answer in _WITHOUT_ROWS:
            return []
        return [{column: _json(row.get(column)) for column in columns or row.cim_class.properties} for row in rows]

    async def invoke(
        self, namespace: str, class_name: str, name: str, keys: Mapping[str, str], arguments: Mapping[str, Any]
    ) -> int:
        """Call a method and return its ReturnValue.

        Raises:
            CimFailed: the method fails.
            SessionLost: a fault rule ends the session.
        """
        self._machine.counts.operations[f"Invoke {class_name}/{name}"] += 1
        self._machine.module_log.write(
            "Invoke-CimMethod", psvalues.logged({"MethodName": name, "Arguments": arguments})
        )
        lost = self._lost(self._machine.injected_faults.take(f"{class_name}/{name}", class_name), _INVOKE)
        self._require_access(namespace, class_name, ("full",), _INVOKE)
        try:
            cim_class = self._repository.find_class(_slashes(namespace), class_name)
            _, method = self._repository.method(cim_class, name)
        except ClassNotFound:
            raise CimFailed(WBEM_E_INVALID_CLASS, _INVOKE, "Invalid class") from None
        except MethodNotFound:
            raise CimFailed(WBEM_E_INVALID_METHOD, _INVOKE, "Invalid method") from None
        returned = await self._call(method, _one(self._repository.instances(cim_class), keys), _given(arguments))
        if lost:
            raise SessionLost
        return returned

    async def _call(self, method: Method, instance: Instance, arguments: Arguments) -> int:
        try:
            return await method(self._machine, instance, arguments) or 0
        except SlError as error:
            raise CimFailed(error.hresult.value, _INVOKE) from None

    def _require_access(self, namespace: str, class_name: str, allowed: tuple[str, ...], cmdlet: str) -> None:
        """Raise CimFailed unless the account has the rights and the service behind the class runs."""
        if rights.local_access(self._machine, _slashes(namespace)) not in allowed:
            raise CimFailed(WBEM_E_ACCESS_DENIED, cmdlet, "Access denied ")
        if rights.is_stopped(self._machine, class_name):
            raise CimFailed(rights.SERVICE_NOT_ACTIVE, cmdlet, rights.SERVICE_NOT_ACTIVE_TEXT)

    def _lost(self, rule: FaultRule | None, cmdlet: str) -> bool:
        """Apply a fault rule. Return True if the operation must run and then lose its session.

        Raises:
            CimFailed: the rule makes the operation fail.
        """
        if rule is None or rule.answer in _WITHOUT_ROWS:
            return False
        number = rule.hresult if rule.hresult is not None else _ANSWERS.get(rule.answer or "")
        if number is not None:
            raise CimFailed(number, cmdlet)
        if not rule.after:
            raise SessionLost
        return True


_WITHOUT_ROWS = ("noRows", "emptyBody")
_QUERY, _INVOKE = "GetCimInstanceCommand", "InvokeCimMethodCommand"


def _one(instances: list[Instance], keys: Mapping[str, str]) -> Instance:
    found = [row for row in instances if row.matches(keys)]
    if not found:
        raise CimFailed(WBEM_E_NOT_FOUND, _INVOKE, "Not found")
    return found[0]


def _given(arguments: Mapping[str, Any]) -> Arguments:
    listed = {name: value if isinstance(value, list) else [value] for name, value in arguments.items()}
    return Arguments({name: [str(item) for item in items] for name, items in listed.items()})


def _slashes(namespace: str) -> str:
    return namespace.replace("\\", "/").strip("/")


def _json(value: Value) -> Any:
    if isinstance(value, datetime):
        return instance_xml.cim_datetime(value)
    return list(value) if isinstance(value, tuple) else value
