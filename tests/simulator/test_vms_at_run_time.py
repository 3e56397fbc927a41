"""VMs renamed, created and deleted at run time, and machines with several addresses."""

from __future__ import annotations

import pytest

from avma_simulator import load_estate, running
from avma_simulator.control import BadCommand
from avma_simulator.state.estate_state import UnknownMachine
from loopback import address
from simulator.client import HYPERV, Client
from simulator.conftest import ESTATE, write

VM = {"name": "made", "version": "2022", "edition": "Standard", "username": "Administrator", "password": "Pa55w.rd"}
LISTED = "SELECT Name,ElementName FROM Msvm_ComputerSystem"


def listed(estate) -> dict[str, str]:
    with Client(estate.url("hv01")) as client:
        rows = client.query(LISTED, f"{HYPERV}/*")
    return {row["ElementName"][0]: row["Name"][0] for row in rows}


def test_a_renamed_vm_keeps_its_id_and_its_windows(estate):
    before, windows = listed(estate)["web01"], estate.machine("web01")
    estate.rename("web01", "web09")
    assert listed(estate)["web09"] == before
    assert estate.machine("web09") == {**windows, "name": "web09"}
    with pytest.raises(BadCommand, match="name: must be 1 to 100 printable characters"):
        estate.rename("web09", " ")


def test_a_vm_is_created_and_deleted(estate):
    made = estate.create("hv01", VM)
    assert listed(estate)["made"] == made["id"]
    with Client(estate.url("made")) as client:
        assert client.query("SELECT Version FROM Win32_OperatingSystem")
    estate.delete("made")
    assert "made" not in listed(estate)
    with pytest.raises(UnknownMachine):
        estate.machine("made")
    assert estate.create("hv01", VM)["id"] != made["id"]


def test_a_vm_that_cannot_be_is_not_created(estate):
    with pytest.raises(BadCommand, match=r"vm\.version: "):
        estate.create("hv01", {**VM, "version": "1999"})
    with pytest.raises(BadCommand, match="another VM has the id"):
        estate.create("hv01", {**VM, "id": listed(estate)["web01"]})


def test_a_machine_answers_at_all_its_addresses_with_the_uuid_of_its_firmware(tmp_path):
    uuid = "4C4C4544-0042-3510-8052-B4C04F4D3132"
    more = f"- name: hv01\n  aliases: [{address(99)}]\n  firmwareUuid: {uuid}\n"
    with running(load_estate(write(tmp_path, ESTATE.replace("- name: hv01\n", more)))) as estate:
        urls = next(machine["urls"] for machine in estate.machines() if machine["name"] == "hv01")
        plain = [url for url in urls if url.startswith("http:")]
        found = []
        for url in plain:
            with Client(url) as client:
                found += client.query("SELECT UUID FROM Win32_ComputerSystemProduct")
    assert len(plain) == 2
    assert [row["UUID"] for row in found] == [[uuid], [uuid]]
