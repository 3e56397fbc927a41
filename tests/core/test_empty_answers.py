"""A missing row that Windows always returns is an error. It does not mean that a resource or license is gone."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from avma import errors, keys
from avma.functions.get_cluster_nodes import GetClusterNodes
from avma.functions.get_host_vms import GetHostVms
from avma.windows.licensing import LicenseStatus
from avma.windows.machines import Machines
from avma_simulator import load_estate, running
from core.runner import ESTATE, HOST_KEY, HV01, KEYLESS, LICENSED, OTHER_KEY, PASSWORD, stored
from loopback import address

EMPTY_LISTING = {"operation": "Enumerate", "answer": "noRows"}
NO_HYPER_V = r"the Hyper-V host's own row.*Hyper-V Administrators.*vmms.*S-1-5-32-578"
NO_LICENSING = r"the account has no right.*sppsvc is not running"


def no_rows(*classes: str, **more: object) -> list[dict]:
    return [{**EMPTY_LISTING, "class": name, **more} for name in classes]


def changes(estate, name: str = "hv01") -> list[str]:
    return [op for op in estate.counts()[name]["operations"] if op.startswith("Invoke")]


@pytest.fixture
def activated(estate, run):
    run.license(HV01, OTHER_KEY)
    result = run.activate(on_delete="uninstallKey")
    estate.reset_counts()
    return result


@pytest.fixture(params=["rights", "vmms", "one class", "empty body"])
def blinded(request, estate, activated):
    """Hide all Hyper-V objects of hv01, once for each cause."""
    if request.param == "rights":
        estate.rights("hv01", "user")
    elif request.param == "vmms":
        estate.service("hv01", "vmms", False)
    elif request.param == "one class":
        estate.faults("hv01", no_rows("Msvm_ComputerSystem"))
    else:
        estate.faults("hv01", [{"operation": "Enumerate", "class": "Msvm_ComputerSystem", "answer": "emptyBody"}])
    return activated


def test_a_vm_is_not_gone_because_its_host_lists_nothing(run, blinded):
    with pytest.raises((errors.EmptyAnswer, errors.UnexpectedAnswer)):
        run.vm.read(blinded.identifier, stored(blinded), run.operation())


def test_a_key_is_not_forgotten_because_the_host_lists_nothing(estate, run, blinded):
    with pytest.raises((errors.EmptyAnswer, errors.UnexpectedAnswer)):
        run.vm.delete(blinded.identifier, stored(blinded), run.operation())
    assert estate.machine("web01")["status"] == "Licensed"


def test_the_error_names_the_group_and_the_service(estate, run, activated):
    estate.rights("hv01", "user")
    for act in (
        lambda: run.vm.read(activated.identifier, stored(activated), run.operation()),
        lambda: run.vm.read(f"{HV01}/web01", None, run.operation()),
        lambda: run.vm.probe({"host": HV01, "vm_name": "web01"}, run.operation()),
        lambda: run.activate(),
        lambda: GetHostVms().call({"host": HV01}, run.operation),
    ):
        with pytest.raises(errors.EmptyAnswer, match=NO_HYPER_V):
            act()


def test_a_host_without_rows_hides_no_vm_on_another(estate, run, activated):
    state = stored(activated, hosts=[HV01, LICENSED])
    estate.rights("licensed", "user")
    assert run.vm.read(activated.identifier, state, run.operation()) is not None
    estate.move("web01", "standard")
    with pytest.raises(errors.EmptyAnswer, match=address(14)):
        run.vm.read(activated.identifier, state, run.operation())


@pytest.mark.parametrize("operation", ["Enumerate", "Pull"])
@pytest.mark.parametrize("answer", ["emptyBody", "noRows"])
def test_a_listing_that_breaks_off_is_an_error(estate, run, activated, operation, answer):
    estate.faults("hv01", [{"operation": operation, "class": "Msvm_ComputerSystem", "answer": answer}])
    with pytest.raises((errors.EmptyAnswer, errors.UnexpectedAnswer)):
        run.vm.read(activated.identifier, stored(activated), run.operation())


def test_uninstalling_a_hosts_key_needs_the_list_of_its_vms(estate, run):
    licensed = run.license(HV01, HOST_KEY, on_delete="uninstallKey")
    estate.rights("hv01", "administrator")
    estate.service("hv01", "vmms", False)
    with pytest.raises(errors.EmptyAnswer, match=NO_HYPER_V):
        run.host.delete(licensed.identifier, stored(licensed), run.operation())
    assert estate.machine("hv01")["status"] == "Licensed"


@pytest.mark.parametrize("times", [1, None], ids=["once", "always"])
@pytest.mark.parametrize("name", ["SoftwareLicensingProduct", "SoftwareLicensingService"])
def test_a_licensed_host_gets_no_key_because_one_listing_is_empty(estate, run, name, times):
    estate.faults("licensed", no_rows(name, **({"times": times} if times else {})))
    with contextlib.suppress(errors.EmptyAnswer):
        assert run.license(LICENSED, OTHER_KEY).outputs.license_status is LicenseStatus.LICENSED
    assert changes(estate, "licensed") == []


@pytest.mark.parametrize("name", ["SoftwareLicensingProduct", "SoftwareLicensingService"])
def test_a_host_is_not_unlicensed_because_a_listing_is_empty(estate, run, name):
    present = run.license(LICENSED, OTHER_KEY)
    estate.faults("licensed", no_rows(name))
    with pytest.raises(errors.EmptyAnswer, match=NO_LICENSING):
        run.host.read(present.identifier, stored(present), run.operation())


def test_a_key_that_was_installed_is_not_installed_again_because_a_listing_is_empty(estate, run):
    after_the_first = no_rows("SoftwareLicensingProduct", skip=1, times=1)
    estate.faults("hv01", after_the_first)
    assert run.license().outputs.license_status is LicenseStatus.LICENSED
    assert estate.keys()[keys.partial(HOST_KEY)] == 1
    assert estate.counts()["hv01"]["operations"]["Invoke SoftwareLicensingService/InstallProductKey"] == 1


def test_a_key_is_not_called_uninstalled_because_a_listing_is_empty(estate, run):
    licensed = run.license(HV01, HOST_KEY, on_delete="uninstallKey")
    estate.faults("hv01", no_rows("SoftwareLicensingProduct"))
    with pytest.raises(errors.EmptyAnswer, match=NO_LICENSING):
        run.host.delete(licensed.identifier, stored(licensed), run.operation())
    assert estate.machine("hv01")["status"] == "Licensed"


def test_a_machine_without_a_key_is_still_found_without_one(estate, run):
    result = run.host.read(KEYLESS, None, run.operation())
    assert result is not None
    assert (result.outputs.license_status, result.outputs.partial_product_key) == (LicenseStatus.UNLICENSED, None)


def test_the_operating_system_has_its_row(estate, run):
    estate.faults("keyless", no_rows("Win32_OperatingSystem"))
    with pytest.raises(errors.EmptyAnswer, match="row of the operating system"):
        run.host.read(KEYLESS, None, run.operation())


@pytest.mark.parametrize("name", ["Win32_ComputerSystemProduct", "Win32_ComputerSystem"])
def test_a_host_is_no_other_machine_because_a_listing_is_empty(estate, run, name):
    present = run.license(LICENSED, OTHER_KEY)
    estate.faults("licensed", no_rows(name))
    again = replace(run, machines=Machines(4))
    with pytest.raises(errors.EmptyAnswer, match="the row of the computer"), contextlib.closing(again.machines):
        again.host.read(present.identifier, stored(present), again.operation())


def test_a_guest_over_the_network_has_its_firmware(estate, run):
    run.license(HV01, OTHER_KEY)
    estate.faults("web01", no_rows("Win32_ComputerSystemProduct"))
    with pytest.raises((errors.EmptyAnswer, errors.NotReady), match="row of the computer's firmware"):
        run.activate()


@pytest.mark.parametrize("name", ["SoftwareLicensingService", "SoftwareLicensingProduct"])
def test_a_guest_whose_licensing_service_lists_nothing_gets_no_key(estate, run, name):
    run.license(HV01, OTHER_KEY)
    run.activate()
    estate.reset_counts()
    estate.faults("web01", no_rows(name))
    with pytest.raises((errors.EmptyAnswer, errors.NotReady), match="sppsvc"):
        run.activate()
    assert changes(estate, "web01") == []


@pytest.mark.parametrize("method", ["SoftwareLicensingService/InstallProductKey", "SoftwareLicensingProduct/Activate"])
def test_a_method_that_ran_and_answered_with_nothing_is_not_called_again(estate, run, method):
    estate.faults("hv01", [{"operation": method, "answer": "emptyBody", "after": True}])
    assert run.license().outputs.license_status is LicenseStatus.LICENSED
    assert estate.counts()["hv01"]["operations"][f"Invoke {method}"] == 1
    assert estate.keys()[keys.partial(HOST_KEY)] == 1


CLUSTER = f"""
clusters:
  - {{name: cl01, nodes: [hv01, standard], address: {address(31)}, http: {{port: 5985}}}}
"""


@pytest.mark.parametrize("name", ["MSCluster_Cluster", "MSCluster_Node"])
def test_a_cluster_lists_itself_and_its_nodes(tmp_path, run, name):
    file = tmp_path / "estate.yaml"
    file.write_text(ESTATE + CLUSTER)
    with running(load_estate(file)) as server:
        server.faults("hv01", no_rows(name))
        with pytest.raises(errors.EmptyAnswer, match=r"Grant-ClusterAccess.*ClusSvc"):
            GetClusterNodes().call({"cluster": address(31)}, run.operation)


def test_an_empty_listing_of_guests_is_believed_only_from_a_host_that_lists_itself(estate, run):
    hosts = run.operation()
    server = hosts.machine(HV01, run.configuration)
    estate.faults("hv01", no_rows("Msvm_KvpExchangeComponent"))
    assert server.guest_facts(hosts.deadline) == {}
    estate.rights("hv01", "user")
    for listing in (server.guest_facts, server.data_exchange, server.firmware_uuids):
        with pytest.raises(errors.EmptyAnswer, match=NO_HYPER_V):
            listing(hosts.deadline)


def test_no_secret_and_no_number_is_in_the_error(estate, run, activated):
    estate.rights("hv01", "user")
    with pytest.raises(errors.EmptyAnswer) as caught:
        run.activate()
    assert PASSWORD not in str(caught.value)
    assert "0x" not in str(caught.value).lower()


def test_a_vm_that_runs_without_a_row_of_data_exchange_is_not_reported(estate, run):
    estate.faults("hv01", no_rows("Msvm_KvpExchangeComponent"))
    vms = {vm.vm_name: vm for vm in GetHostVms().call({"host": HV01}, run.operation).vms}
    running = sorted(name for name, vm in vms.items() if vm.running)
    assert running
    told = [text for text in run.told if "The name, version and addresses of the guest are unknown" in text]
    assert sorted({text.partition(":")[0] for text in told}) == running


def test_a_guest_without_a_row_of_data_exchange_has_no_address_that_is_known(estate, run):
    run.license(HV01, OTHER_KEY)
    estate.faults("hv01", no_rows("Msvm_KvpExchangeComponent"))
    with pytest.raises(errors.NotReady, match=r"the host reports no Data Exchange data for the VM web01"):
        run.activate()
