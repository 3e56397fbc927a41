"""The file for `pulumi import --file`: resources and names."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from avma.inventory.inventory import Answer, Inventory, SeenCluster, SeenHost, SeenVm
from avma.windows.licensing import LicenseChannel, LicenseStatus
from avma_cli.report import data

LICENSED: dict[str, Any] = {"answer": Answer.ANSWERED, "license_status": LicenseStatus.LICENSED}
VM = SeenVm(**LICENSED, license_channel=LicenseChannel.AVMA, vm_id="id-1", vm_name="Web 01", running=True)
HOST = SeenHost(**LICENSED, host="HV01", address="HV01.example.com", activates_guests=True, vms=[VM])
NODES = [replace(HOST, host=name, address=name, cluster="cl01", vms=[]) for name in ("n1", "n2")]
CLUSTER = SeenCluster(cluster="cl01", answer=Answer.ANSWERED)


def imported(*hosts: SeenHost, clusters: tuple[SeenCluster, ...] = ()) -> list[tuple[str, str, str]]:
    inventory = Inventory(taken_at="", clusters=list(clusters), hosts=list(hosts))
    resources = json.loads(data.import_file(inventory))["resources"]
    return [(each["type"].rpartition(":")[2], each["name"], each["id"]) for each in resources]


def test_a_host_and_its_guest() -> None:
    assert imported(HOST) == [
        ("HostLicense", "hv01", "hv01.example.com"),
        ("VmActivation", "web-01", "hv01.example.com/id-1"),
    ]


def test_a_cluster_and_its_guest_that_moves() -> None:
    assert imported(replace(NODES[0], vms=[VM]), NODES[1], clusters=(CLUSTER,)) == [
        ("ClusterLicense", "cl01", "cl01"),
        ("VmActivation", "web-01", "n1,n2/id-1"),
    ]


def test_nodes_are_hosts_where_one_is_not_licensed() -> None:
    unlicensed = replace(NODES[1], license_status=LicenseStatus.OOB_GRACE, activates_guests=False)
    assert imported(NODES[0], unlicensed, clusters=(CLUSTER,)) == [("HostLicense", "n1", "n1")]


def test_machines_without_a_known_avma_license_are_omitted() -> None:
    kms = replace(VM, license_channel=LicenseChannel.KMS_CLIENT)
    off = replace(VM, answer=Answer.OFF, license_status=None)
    assert len(imported(replace(HOST, vms=[kms, off]))) == 1
    assert imported(replace(HOST, answer=Answer.DOWN, license_status=None, activates_guests=None)) == []


def test_names_are_unique_and_begin_with_a_letter() -> None:
    named = [replace(VM, vm_name=name) for name in ("hv01", "HV01", "hv01!", "10", "ü", "--")]
    names = [name for _, name, _ in imported(replace(HOST, vms=named))]
    assert names == ["hv01", "hv01-2", "hv01-3", "hv01-4", "machine-10", "machine", "machine-2"]
