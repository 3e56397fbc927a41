"""The identity of a machine under any name or address, and resources that share one machine."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest
import yaml

from avma import errors, keys
from avma.resources.claims import Claim, Claims
from avma.resources.cluster_license.cluster_resource import ClusterLicenseResource
from avma.resources.host_license.host_resource import HostLicenseResource
from avma.resources.resource import Change, Drift, Stored
from avma.resources.vm_activation.vm_resource import VmActivationResource
from avma.windows.computer import may_be_same
from avma.windows.license_lock import LicenseLock
from avma_simulator import load_estate, running
from core.runner import ADMINISTRATOR, HOST_KEY, OTHER_KEY, PASSWORD, methods, stored
from loopback import address
from waiting import PATIENCE

HV01, ALIAS, HV02 = address(11), address(99), address(12)
WEB = {"name": "web01", "version": "2022", "edition": "Standard", "username": ADMINISTRATOR, "password": PASSWORD}
A, B = "urn:a", "urn:b"


def host(name: str, address: str, **more: object) -> dict:
    account = {"username": ADMINISTRATOR, "password": PASSWORD, "http": {"port": 5985}}
    return {"name": name, "version": "2022", "edition": "Datacenter", "address": address, **account, **more}


@pytest.fixture
def serve(tmp_path):
    with ExitStack() as servers:

        def start(*hosts: dict):
            file = tmp_path / "estate.yaml"
            bought = {"version": "2022", "edition": "Datacenter", "channel": "MAK", "activations": 2}
            product_keys = [{"key": HOST_KEY, **bought}, {"key": OTHER_KEY, **bought}]
            file.write_text(yaml.safe_dump({"keys": product_keys, "hosts": list(hosts)}))
            return servers.enter_context(running(load_estate(file)))

        yield start


@pytest.fixture
def estate(serve):
    web = {**WEB, "address": address(21), "http": {"port": 5985}}
    return serve(host("hv01", HV01, aliases=[ALIAS], vms=[web]), host("hv02", HV02))


@pytest.fixture
def shared(run):
    """Return a runner whose operations belong to one run."""
    run.claims = Claims()
    return run


def identity(run, address: str) -> str:
    operation = run.operation()
    return operation.machine(address, None, run.configuration).identity(operation.deadline)


def test_a_machine_has_one_identity_under_each_of_its_addresses(estate, run):
    assert identity(run, HV01) == identity(run, ALIAS) != identity(run, HV02)
    assert identity(run, HV01).startswith("hv01.workgroup/")


@pytest.mark.parametrize("uuid", ["", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"])
def test_firmware_without_a_uuid_leaves_the_computer_name(serve, run, uuid):
    serve(host("hv01", HV01, firmwareUuid=uuid), host("hv02", HV02, firmwareUuid=uuid))
    assert (identity(run, HV01), identity(run, HV02)) == ("hv01.workgroup", "hv02.workgroup")


def test_machines_with_the_same_firmware_uuid_are_distinguished_by_name(serve, run):
    uuid = "03000200-0400-0500-0006-000700080009"
    serve(host("hv01", HV01, firmwareUuid=uuid), host("hv02", HV02, firmwareUuid=uuid))
    first, second = identity(run, HV01), identity(run, HV02)
    assert first != second
    assert may_be_same(first, second)


def test_the_identity_is_asked_for_once(estate, run):
    identity(run, HV01)
    estate.reset_counts()
    identity(run, HV01)
    assert estate.counts()["hv01"]["requests"] == 0


def test_the_identity_is_an_output_and_an_old_state_without_it_is_no_change(estate, run):
    result = run.license(HV01, HOST_KEY)
    assert result.outputs.machine_id == identity(run, HV01)
    old = {name: value for name, value in stored(result).outputs.items() if name != "machine_id"}
    assert run.host.diff(Stored(result.inputs, old), result.inputs) == []


@pytest.mark.parametrize("more", [{}, {"rights": "wmi"}], ids=["with a mutex of Windows", "without scripts"])
def test_two_resources_with_one_key_on_one_machine_activate_it_once(serve, shared, monkeypatch, more):
    """Both have read the machine before one of them changes it. Without scripts, only the lock in the process helps."""
    estate = serve(host("hv01", HV01, aliases=[ALIAS], delays={"request": 0.02}, **more))
    results, both_have_read, exclusive = [], threading.Barrier(2), LicenseLock.exclusive

    def watched(*arguments: Any) -> AbstractContextManager[bool]:
        both_have_read.wait(PATIENCE)
        return exclusive(*arguments)

    monkeypatch.setattr(LicenseLock, "exclusive", watched)

    def create(address: str, urn: str) -> None:
        results.append(HostLicenseResource().create({"host": address, "product_key": HOST_KEY}, shared.operation(urn)))

    threads = [threading.Thread(target=create, args=pair) for pair in ((HV01, A), (ALIAS, B))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 2
    assert methods(estate, "hv01") == {"InstallProductKey": 1, "Activate": 1}
    assert estate.keys()[keys.partial(HOST_KEY)] == 1


@pytest.mark.parametrize("preview", [False, True])
def test_two_resources_with_different_keys_on_one_machine_are_refused(estate, shared, preview):
    HostLicenseResource().create({"host": HV01, "product_key": HOST_KEY}, shared.operation(A))
    estate.reset_counts()
    work = HostLicenseResource().probe if preview else HostLicenseResource().create
    with pytest.raises(errors.KeyConflict) as caught:
        work({"host": ALIAS, "product_key": OTHER_KEY}, shared.operation(B))
    text = str(caught.value)
    assert all(part in text for part in (A, B, identity(shared, HV01), "…46789", "…98764"))
    assert HOST_KEY not in text
    assert methods(estate, "hv01") == {}


def test_a_host_and_the_cluster_of_its_node_with_different_keys_are_refused(estate, shared):
    HostLicenseResource().create({"host": HV01, "product_key": HOST_KEY}, shared.operation(A))
    with pytest.raises(errors.KeyConflict):
        ClusterLicenseResource().create({"nodes": [ALIAS, HV02], "product_key": OTHER_KEY}, shared.operation(B))
    assert methods(estate, "hv02") == {}


def without_identity(result) -> Stored:
    """Return the state of an older version without identities."""
    outputs = {name: value for name, value in stored(result).outputs.items() if name != "machine_id"}
    nodes = [{**node, "machine_id": None} for node in outputs.get("node_licenses", [])]
    return Stored(result.inputs, {**outputs, "node_licenses": nodes} if nodes else outputs)


def test_an_old_state_asks_the_host_which_machine_it_is(estate, run):
    old = without_identity(run.license(HV01, HOST_KEY))
    (held,) = HostLicenseResource().holdings(old, old.inputs)
    (claim,) = HostLicenseResource().located(old, old.inputs, run.operation(A))
    assert (held.machine, claim.machine) == ("", identity(run, HV01))
    assert run.host.located(old, {**old.inputs, "host": address(250)}, run.operation(A))[0].machine == ""


def test_an_old_state_asks_only_the_nodes_that_are_not_known(estate, run, new_runner):
    result = ClusterLicenseResource().create({"nodes": [HV01, HV02], "product_key": HOST_KEY}, run.operation())
    old = without_identity(result)
    old.outputs["node_licenses"][0]["machine_id"] = identity(run, HV01)
    estate.reset_counts()
    claims = ClusterLicenseResource().located(old, old.inputs, new_runner().operation())
    assert {claim.place: claim.machine for claim in claims} == {HV01: identity(run, HV01), HV02: identity(run, HV02)}
    assert estate.counts()["hv01"]["requests"] == 0
    assert methods(estate, "hv02") == {}


def test_a_node_of_an_old_state_that_cannot_be_asked_stays_unknown(estate, run, new_runner):
    old = without_identity(
        ClusterLicenseResource().create({"nodes": [HV01, HV02], "product_key": HOST_KEY}, run.operation())
    )
    estate.power("hv02", "off")
    later = new_runner()
    later.seconds = 2
    later.skip_pauses()
    claims = ClusterLicenseResource().located(old, old.inputs, later.operation())
    assert {claim.place: claim.machine for claim in claims} == {HV01: identity(run, HV01), HV02: ""}


def test_a_key_that_is_there_is_not_about_to_be_spent(estate, shared):
    """An installed key spends no activation, so an unknown machine is no reason for an error."""
    for spends in (True, False):
        HostLicenseResource().create({"host": HV01, "product_key": HOST_KEY}, shared.operation(A))
        assert shared.claims.all()[-1].spends is spends


def test_a_resource_that_adopts_any_license_is_no_conflict(estate, shared):
    HostLicenseResource().create({"host": HV01, "product_key": HOST_KEY}, shared.operation(A))
    HostLicenseResource().create({"host": ALIAS}, shared.operation(B))


def test_a_key_that_another_resource_wants_is_not_uninstalled(estate, run):
    first = run.license(HV01, HOST_KEY, on_delete="uninstallKey", force_destroy=True)
    run.claims = Claims()
    HostLicenseResource().create({"host": ALIAS, "product_key": HOST_KEY}, run.operation(B))
    HostLicenseResource().delete(HV01, stored(first), run.operation(A))
    assert estate.machine("hv01")["status"] == "Licensed"
    assert any(B in text for text in run.told)


def test_a_key_that_no_other_resource_claims_is_uninstalled(estate, run):
    first = run.license(HV01, HOST_KEY, on_delete="uninstallKey", force_destroy=True)
    run.claims = Claims()
    HostLicenseResource().create({"host": HV02, "product_key": HOST_KEY}, run.operation(B))
    HostLicenseResource().delete(HV01, stored(first), run.operation(A))
    assert estate.machine("hv01")["status"] == "Unlicensed"


@pytest.mark.parametrize("on_delete", ["uninstallKey", "restoreKmsClientKey"])
def test_the_key_of_a_guest_that_another_resource_wants_stays(estate, run, on_delete):
    run.license(HV01, HOST_KEY)
    first = run.activate("web01", HV01, on_delete=on_delete)
    run.claims = Claims()
    VmActivationResource().create({"host": ALIAS, "vm_id": first.outputs.vm_id}, run.operation(B))
    VmActivationResource().delete(first.identifier, stored(first), run.operation(A))
    assert estate.machine("web01")["channel"] == "VIRTUAL_MACHINE_ACTIVATION"


def test_nodes_behind_one_address_are_refused_in_check():
    wanted = {"nodes": ["hva", "hvb"], "connection": {"address": HV01}, "product_key": HOST_KEY}
    assert [failure.path for failure in ClusterLicenseResource().check(wanted)] == ["connection.address"]


@pytest.mark.parametrize("work", ["create", "probe"])
def test_two_nodes_that_are_one_machine_are_refused_before_anything_is_changed(estate, run, work):
    wanted = {"nodes": [HV01, ALIAS], "product_key": HOST_KEY}
    with pytest.raises(errors.Refused, match=r"are the same machine \(hv01\.workgroup/"):
        getattr(ClusterLicenseResource(), work)(wanted, run.operation())
    assert methods(estate, "hv01") == {}


def test_each_node_of_a_cluster_has_its_identity(estate, run):
    result = ClusterLicenseResource().create({"nodes": [HV01, HV02], "product_key": HOST_KEY}, run.operation())
    found = {node.node: node.machine_id for node in result.outputs.node_licenses}
    assert found == {HV01: identity(run, HV01), HV02: identity(run, HV02)}


def test_a_renamed_vm_is_a_warning(estate, run):
    run.license(HV01, HOST_KEY)
    first = run.activate("web01", HV01)
    estate.rename("web01", "web09")
    now = run.vm.read(first.identifier, stored(first), run.operation())
    assert now.outputs.vm_name == "web09"
    assert any("is now named web09. Set `vm_name` to the new name" in text for text in run.told)
    assert run.vm.diff(stored(now), now.inputs) == []


def test_a_name_that_another_vm_took_replaces(estate, run):
    run.license(HV01, HOST_KEY)
    first = run.activate("web01", HV01)
    estate.rename("web01", "web01-old")
    made = estate.create("hv01", WEB)
    now = run.vm.read(first.identifier, stored(first), run.operation())
    assert now.outputs.name_taken_by == made["id"].lower()
    changes = run.vm.diff(stored(now), now.inputs)
    assert changes == [Change("vm_name", replaces=True, drift=Drift("web01", "web01-old", "web01"))]
    assert run.vm.diff(stored(now), {**now.inputs, "vm_name": "web01-old"}) == []


def test_a_preview_of_an_update_looks_for_the_vm_that_is_stored(estate, run):
    run.license(HV01, HOST_KEY)
    first = run.activate("web01", HV01)
    estate.delete("web01")
    estate.create("hv01", WEB)
    with pytest.raises(errors.NotFound):
        run.vm.probe(first.inputs, run.operation(), first.identifier)


@pytest.mark.parametrize("preview", [True, False])
def test_a_build_without_a_known_kms_client_key_keeps_its_key(estate, run, monkeypatch, preview):
    run.license(HV01, HOST_KEY)
    first = run.activate("web01", HV01, on_delete="restoreKmsClientKey")
    find = keys.find
    monkeypatch.setattr(keys, "find", lambda kind, *system: None if "KMS" in kind.name else find(kind, *system))
    if preview:
        run.vm.probe(first.inputs, run.operation())
    else:
        run.vm.delete(first.identifier, stored(first), run.operation())
    assert any("no KMS client key" in text for text in run.told)
    assert estate.machine("web01")["status"] == "Licensed"


def test_the_machine_is_read_again_before_a_key_is_installed(estate, run, monkeypatch):
    """Another process can have licensed the host since the first read."""
    operation = run.operation()
    claim = type(operation).claim

    def other_process(self, *arguments, **more):
        estate.install_key("hv01", HOST_KEY)
        estate.set_license("hv01", "Licensed")
        claim(self, *arguments, **more)

    monkeypatch.setattr(type(operation), "claim", other_process)
    HostLicenseResource().create({"host": HV01, "product_key": HOST_KEY}, operation)
    assert methods(estate, "hv01") == {}


def test_the_wait_for_a_license_ends_with_the_time_of_the_operation(estate, shared):
    shared.claims.add(Claim(A, wants=False, coming=True))
    shared.seconds = 1.5
    shared.skip_pauses()
    with pytest.raises(errors.TimedOut, match=r"wait for the license of the host.*the time limit of 1\.5 s expired"):
        VmActivationResource().create({"host": HV01, "vm_name": "web01"}, shared.operation(B))
    assert methods(estate, "web01") == {}


def test_a_guest_waits_for_the_license_that_the_run_makes_on_its_host(estate, shared):
    HostLicenseResource().probe({"host": ALIAS, "product_key": HOST_KEY}, shared.operation(A))
    found = []
    guest = threading.Thread(
        target=lambda: found.append(
            VmActivationResource().create({"host": HV01, "vm_name": "web01"}, shared.operation(B))
        )
    )
    guest.start()
    HostLicenseResource().create({"host": ALIAS, "product_key": HOST_KEY}, shared.operation(A))
    guest.join()
    assert found[0].outputs.license_status == "Licensed"
