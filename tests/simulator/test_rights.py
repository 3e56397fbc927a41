"""Accounts without rights and stopped services: empty lists without errors, as on Windows."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from winrm.exceptions import WSManFaultError

from avma_simulator import EstateServer
from simulator.client import CIMV2, ENUMERATION, HYPERV, OPTIMISED, SERVICE, WQL, Client, envelope

DENIED = "'access denied'"
Serve = Callable[[str], EstateServer]
HOST = """\
hosts:
- name: hv01
  version: "2022"
  edition: Datacenter
  username: Administrator
  password: Pa55w.rd
  {}
  vms:
  - {{name: web01, version: "2022", edition: Standard}}
  - {{name: web02, version: "2022", edition: Standard}}
"""
CLASSES = (
    "Msvm_ComputerSystem",
    "Msvm_KvpExchangeComponent",
    "Msvm_KvpExchangeComponentSettingData",
    "Msvm_VirtualSystemSettingData",
    "Msvm_VirtualSystemManagementService",
)
EMPTY = ("rights: user", "namespaces: {root/virtualization/v2: empty}", "stoppedServices: [vmms]")


@pytest.mark.parametrize("cause", EMPTY)
def test_hyper_v_lists_nothing_without_an_error(serve: Serve, cause: str) -> None:
    estate = serve(HOST.format(cause))
    vm = estate.machine("web01")["id"]
    related = f'ASSOCIATORS OF {{Msvm_ComputerSystem.CreationClassName="Msvm_ComputerSystem",Name="{vm}"}}'
    with Client(estate.url("hv01")) as client:
        for name in CLASSES:
            assert client.query(f"SELECT * FROM {name}", f"{HYPERV}/*") == []
        assert client.query(related, f"{HYPERV}/*") == []
        assert client.query("SELECT Version FROM SoftwareLicensingService") != []


def test_methods_of_hyper_v_are_denied_to_a_user(serve: Serve) -> None:
    estate = serve(HOST.format("rights: user"))
    uri = f"{HYPERV}/Msvm_VirtualSystemManagementService"
    keys = {
        "CreationClassName": "Msvm_VirtualSystemManagementService",
        "Name": "vmms",
        "SystemCreationClassName": "Msvm_ComputerSystem",
        "SystemName": "HV01",
    }
    body = f"<p:ModifyGuestServiceSettings_INPUT xmlns:p='{uri}'/>"
    with Client(estate.url("hv01")) as client, pytest.raises(WSManFaultError) as caught:
        client.send(envelope(f"{uri}/ModifyGuestServiceSettings", uri, body, keys))
    assert DENIED in str(caught.value)


def test_a_user_reads_the_licensing_classes_and_may_not_change_them(serve: Serve) -> None:
    estate = serve(HOST.format("rights: user"))
    with Client(estate.url("hv01")) as client:
        assert client.query("SELECT LicenseStatus FROM SoftwareLicensingProduct WHERE PartialProductKey IS NOT NULL")
        (row,) = client.query("SELECT Version FROM SoftwareLicensingService")
        body = f"<p:RefreshLicenseStatus_INPUT xmlns:p='{SERVICE}'/>"
        with pytest.raises(WSManFaultError) as caught:
            client.send(envelope(f"{SERVICE}/RefreshLicenseStatus", SERVICE, body, {"Version": str(row["Version"][0])}))
    assert DENIED in str(caught.value)


def test_rights_and_services_change_while_it_runs(serve: Serve) -> None:
    estate = serve(HOST.format(""))
    with Client(estate.url("hv01")) as client:

        def systems() -> int:
            return len(client.query("SELECT Name FROM Msvm_ComputerSystem", f"{HYPERV}/*"))

        assert systems() == 3
        estate.rights("hv01", "user")
        assert systems() == 0
        estate.rights("hv01", "administrator")
        estate.service("hv01", "vmms", False)
        assert systems() == 0
        estate.service("hv01", "vmms", True)
        assert systems() == 3


def test_a_stopped_licensing_service_is_an_error(serve: Serve) -> None:
    estate = serve(HOST.format("stoppedServices: [sppsvc]"))
    with Client(estate.url("hv01")) as client:
        with pytest.raises(WSManFaultError) as caught:
            client.query("SELECT Version FROM SoftwareLicensingService")
        assert caught.value.fault_code == "s:Receiver"
        assert client.query("SELECT Version FROM Win32_OperatingSystem") != []


def test_a_fault_of_one_class_leaves_the_others_alone(serve: Serve) -> None:
    rules = "faults: [{operation: Enumerate, class: Msvm_ComputerSystem, answer: noRows, skip: 1, times: 1}]"
    estate = serve(HOST.format(rules))
    with Client(estate.url("hv01")) as client:
        found = [len(client.query("SELECT Name FROM Msvm_ComputerSystem", f"{HYPERV}/*")) for _ in range(3)]
        assert found == [3, 0, 3]
        assert client.query("SELECT Version FROM SoftwareLicensingService") != []


@pytest.mark.parametrize("answer", ["emptyBody", "noRows"])
def test_a_page_in_the_middle_that_is_none(serve: Serve, answer: str) -> None:
    rules = f"faults: [{{operation: Pull, class: SoftwareLicensingProduct, answer: {answer}, times: 1}}]"
    estate = serve(HOST.format(rules))
    query = f"<w:Filter Dialect='{WQL}'>SELECT ID FROM SoftwareLicensingProduct</w:Filter>"
    with Client(estate.url("hv01")) as client:
        message = envelope(f"{ENUMERATION}/Enumerate", f"{CIMV2}/*", f"<n:Enumerate>{OPTIMISED}{query}</n:Enumerate>")
        begun = client.send(message)
        context = next(part for part in begun.iter() if part.tag == f"{{{ENUMERATION}}}EnumerationContext").text
        body = f"<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext></n:Pull>"
        page = client.send(envelope(f"{ENUMERATION}/Pull", f"{CIMV2}/*", body))
    ended = [part.tag.rpartition("}")[2] for part in page.iter()]
    assert ("EndOfSequence" in ended, "XmlFragment" in ended) == (answer == "noRows", False)


def test_the_items_of_a_guest_travel_as_they_are(serve: Serve) -> None:
    estate = serve(HOST.format(""))
    broken = ["<INSTANCE>", "a & b", ""]
    estate.data_exchange_items("web01", broken)
    with Client(estate.url("hv01")) as client:
        rows = client.query("SELECT GuestIntrinsicExchangeItems FROM Msvm_KvpExchangeComponent", f"{HYPERV}/*")
    items = [[text or "" for text in row["GuestIntrinsicExchangeItems"]] for row in rows]
    assert broken in items
    assert len(items) == 2
