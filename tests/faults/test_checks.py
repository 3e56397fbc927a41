"""The checks find a broken promise if the provider lacks a mechanism."""

from __future__ import annotations

import contextlib
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from avma import errors
from avma.deadline import Deadline
from avma.resources import placement, resource
from avma.resources.host_license import host_resource
from avma.resources.host_license.host_resource import HostLicenseResource
from avma.resources.resource import Operation, Stored
from avma.resources.vm_activation import vm_hosts, vm_resource
from avma.windows import licensing
from avma.windows.licensing import Licensing
from avma.windows.machine import Machine
from avma.wsman import http_answers
from avma.wsman.wsman_client import WsmanClient
from faults.checks import Problem
from faults.estates import HOST_KEY
from faults.matrix import Prepared
from faults.scenarios import SCENARIOS
from faults.simulation import Simulation


def problems(scenario: str, operation: str, fault: str, lasting: bool = False) -> set[Problem]:
    """Return the broken promises of the cases with a fault at an operation."""
    wanted = next(each for each in SCENARIOS if each.name == scenario)
    with closing(Simulation()) as simulation:
        prepared = Prepared(wanted, simulation)
        matching = [each for each in prepared.cases() if each.fault.name == fault and not each.lasting]
        found = [prepared.run(replace(case, lasting=lasting)) for case in matching if operation in str(case.request)]
    assert any(outcome.happened for outcome in found)
    return {finding.problem for outcome in found for finding in outcome.findings}


def test_a_partial_creation_that_is_not_stored_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "HostLicense: create", "Activate", "final HRESULT"
    assert problems(*failing) == set()
    monkeypatch.setattr(host_resource, "partial_failure", lambda *_: contextlib.nullcontext())
    assert Problem.LOST in problems(*failing)


def test_a_change_that_is_sent_again_is_spent_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "HostLicense: create", "Activate", "cut after"
    assert problems(*failing) == set()
    once = WsmanClient.invoke

    def twice(self: WsmanClient, *arguments: Any) -> Any:
        try:
            return once(self, *arguments)
        except errors.AnswerLost:
            return once(self, *arguments)

    monkeypatch.setattr(WsmanClient, "invoke", twice)
    assert Problem.SPENT in problems(*failing)


def test_a_vm_that_counts_as_gone_after_an_error_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "VmActivation (winrm): refresh", "Msvm_ComputerSystem", "empty body", True
    assert problems(*failing) == set()
    find = placement.find_vm

    def find_or_forget(*arguments: Any) -> Any:
        try:
            return find(*arguments)
        except errors.AvmaError:
            return None

    monkeypatch.setattr(vm_hosts, "find_vm", find_or_forget)
    assert Problem.LOST in problems(*failing)


def test_an_update_that_does_nothing_does_not_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "HostLicense: create", "Activate", "cut before", True
    assert problems(*failing) == set()
    monkeypatch.setattr(resource, "is_bookkeeping_only", lambda *_, **__: True)
    assert Problem.DIVERGED in problems(*failing)


def test_an_error_without_a_remedy_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "HostLicense: create", "Activate", "500", True
    assert problems(*failing) == set()
    monkeypatch.setattr(http_answers, "CHECK_PORT", "")
    assert Problem.MESSAGE in problems(*failing)


def test_a_read_that_changes_a_machine_is_needless(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "HostLicense: refresh", "Win32_OperatingSystem", "503"
    assert problems(*failing) == set()
    read = HostLicenseResource.read

    def read_and_install(self: HostLicenseResource, identifier: str, stored: Stored, operation: Operation) -> Any:
        server = operation.machine(identifier, None, operation.configuration)
        version = server.licensing(operation.deadline).service_version
        licensing.install_product_key(server.wmi, version, HOST_KEY, operation.deadline)
        return read(self, identifier, stored, operation)

    monkeypatch.setattr(HostLicenseResource, "read", read_and_install)
    assert Problem.NEEDLESS in problems(*failing)


def test_a_key_that_is_installed_again_in_one_command_is_needless(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "HostLicense: create", "InstallProductKey", "cut after"
    assert problems(*failing) == set()
    install = licensing.install_product_key

    def twice(*arguments: Any) -> Any:
        try:
            return install(*arguments)
        except errors.AnswerLost:
            return install(*arguments)

    monkeypatch.setattr(licensing, "install_product_key", twice)
    assert Problem.NEEDLESS in problems(*failing)


def test_a_request_that_is_sent_again_after_a_final_answer_is_needless(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "HostLicense: create", "Activate", "final HRESULT", True
    assert problems(*failing) == set()
    activate = licensing.activate

    def persistent(*arguments: Any) -> Any:
        for _ in range(9):
            with contextlib.suppress(errors.LicensingFault):
                return activate(*arguments)
        return activate(*arguments)

    monkeypatch.setattr(licensing, "activate", persistent)
    assert Problem.NEEDLESS in problems(*failing)


def test_a_refresh_that_stores_what_it_did_not_read_is_untrue(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "HostLicense: refresh", "SoftwareLicensingProduct", "access denied", True
    assert problems(*failing) == set()
    read, known = Machine.licensing, []

    def read_or_guess(self: Machine, deadline: Deadline) -> Licensing:
        try:
            known.append(read(self, deadline))
        except errors.AvmaError:
            known.append(replace(known[-1], product=None))
        return known[-1]

    monkeypatch.setattr(Machine, "licensing", read_or_guess)
    assert Problem.UNTRUE in problems(*failing)


def test_one_lost_resource_of_two_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = "VmActivation (winrm): create with its host", "web01: Enumerate SoftwareLicensingProduct (2)", "500", True
    assert problems(*failing) == set()
    monkeypatch.setattr(vm_resource, "partial_failure", lambda *_: contextlib.nullcontext())
    assert Problem.LOST in problems(*failing)
