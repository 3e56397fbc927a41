"""Malformed Data Exchange data of one guest does not affect other VMs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from avma import errors
from avma.configuration import GuestDefaults
from avma.deadline import Deadline
from avma.functions.get_host_vms import GetHostVms
from avma.windows import hyperv
from avma.windows.licensing import LicenseStatus
from avma.wsman.instance import Instance
from core.runner import ADMINISTRATOR, HV01, OTHER_KEY, PASSWORD

ITEM = '<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Name"><VALUE>OSName</VALUE></PROPERTY>{}'
MALFORMED = {
    "a control character": ITEM.format('<PROPERTY NAME="Data"><VALUE>a&#1;b</VALUE></PROPERTY></INSTANCE>'),
    "a bare ampersand": ITEM.format('<PROPERTY NAME="Data"><VALUE>R & D</VALUE></PROPERTY></INSTANCE>'),
    "cut off": ITEM.format('<PROPERTY NAME="Da'),
    "empty": "",
    "wrong nesting": ITEM.format('<PROPERTY NAME="Data"><VALUE></PROPERTY></VALUE></INSTANCE>'),
    "no XML": "OSName=Windows",
    "another element": "<HTML/>",
    "a bomb": '<!DOCTYPE a [<!ENTITY b "bbbb">]><INSTANCE>&b;</INSTANCE>',
}


@pytest.fixture
def direct(estate, run):
    """Return the simulator with a licensed hv01 and guests over PowerShell Direct."""
    run.license(HV01, OTHER_KEY)
    guest = GuestDefaults(https=False, username=ADMINISTRATOR, password=PASSWORD, ready_timeout="5s")
    run.configuration = replace(run.configuration, guest=guest)
    run.skip_pauses(estate)
    return estate


@pytest.mark.parametrize("items", MALFORMED.values(), ids=MALFORMED)
def test_the_neighbors_keep_their_facts_and_a_warning_names_the_guest(direct, run, items):
    direct.data_exchange_items("new01", [items])
    vms = {vm.vm_name: vm for vm in GetHostVms().call({"host": HV01}, run.operation).vms if vm.vm_name != "twin"}
    assert vms["new01"].guest_os is None
    assert vms["web01"].guest_os == "Windows Server 2022 Standard"
    warnings = [text for text in run.told if "malformed data through Data Exchange" in text]
    assert [text.partition(":")[0] for text in warnings] == ["new01"]


@pytest.mark.parametrize("transport", ["powershellDirect", "winrm"])
def test_a_neighbor_is_activated(direct, run, transport):
    direct.data_exchange_items("new01", [MALFORMED["cut off"]])
    result = run.activate(guest={"transport": transport})
    assert result.outputs.license_status is LicenseStatus.LICENSED


def test_the_guest_itself_is_activated_through_its_host_which_needs_no_report(direct, run):
    direct.data_exchange_items("web01", [MALFORMED["cut off"]])
    assert run.activate().outputs.license_status is LicenseStatus.LICENSED
    assert not any("malformed data" in text for text in run.told)


def test_over_the_network_the_guest_needs_a_declared_address(direct, run):
    direct.data_exchange_items("web01", [MALFORMED["cut off"]])
    with pytest.raises(errors.NotReady, match=r"`guest\.address`"):
        run.activate(guest={"transport": "winrm"})


class Spoiled:
    """A host with an unreadable answer about all VMs, and about one of them."""

    where = "hv01"
    vms = ("8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a11", "8a1f0c52-6a0e-4b3c-9f61-0c2d4c1f0a12")

    def query(self, context, namespace, wql):
        if "Msvm_ComputerSystem" in wql:
            return [Instance.from_values({"Name": name}, context) for name in ("HV01", *self.vms)]
        if "WHERE" not in wql or self.vms[0] in wql:
            raise context.error(errors.UnexpectedAnswer, "the answer is not SOAP", "check it")
        item = ITEM.format('<PROPERTY NAME="Data"><VALUE>Windows</VALUE></PROPERTY></INSTANCE>')
        values = {"SystemName": self.vms[1], "GuestIntrinsicExchangeItems": [item]}
        return [Instance.from_values(values, context)]


def test_each_vm_is_read_by_itself_if_the_answer_for_all_cannot_be_read():
    spoiled: Any = Spoiled()
    facts = hyperv.list_guest_facts(spoiled, Deadline(5))
    assert facts[Spoiled.vms[0]].malformed
    assert facts[Spoiled.vms[1]].values == {"OSName": "Windows"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.text(), max_size=3))
def test_no_text_of_a_guest_breaks_the_listing(items):
    class Host:
        where = "hv01"

        def query(self, context, namespace, wql):
            rows = {"a": [ITEM.format("</INSTANCE>")], "b": items}
            return [
                Instance.from_values({"SystemName": name, "GuestIntrinsicExchangeItems": texts}, context)
                for name, texts in rows.items()
            ]

    host: Any = Host()
    facts = hyperv.list_guest_facts(host, Deadline(5))
    read = dict(facts)
    assert set(read) == {"a", "b"}
    assert not read["a"].malformed


def test_only_the_report_of_a_guest_in_use_is_parsed(monkeypatch):
    class Host:
        where = "hv01"

        def query(self, context, namespace, wql):
            item = ITEM.format('<PROPERTY NAME="Data"><VALUE>Windows</VALUE></PROPERTY></INSTANCE>')
            values = {"GuestIntrinsicExchangeItems": [item]}
            return [Instance.from_values({"SystemName": name, **values}, context) for name in ("a", "b", "c")]

    host: Any = Host()
    parsed = []
    embedded = Instance.embedded

    def parse(row: Instance, name: str) -> tuple[Instance, ...]:
        parsed.append(row)
        return embedded(row, name)

    monkeypatch.setattr(Instance, "embedded", parse)
    facts = hyperv.list_guest_facts(host, Deadline(5))
    assert facts["b"].values == facts["b"].values == {"OSName": "Windows"}
    assert len(parsed) == 1


@pytest.mark.parametrize("build", ["9" * 5000, "-1", "two", "1e3", ""])
def test_a_build_that_is_no_number_of_windows_is_unknown(build):
    assert hyperv.GuestFacts({"OSBuildNumber": build}).build is None
