import pytest

from avma import compatibility
from avma.compatibility import VERSIONS


@pytest.mark.parametrize("host", VERSIONS)
@pytest.mark.parametrize("guest", VERSIONS)
def test_a_host_activates_guests_up_to_its_own_version(host, guest):
    assert compatibility.activates(host, guest) == (VERSIONS.index(guest) <= VERSIONS.index(host))


def test_what_no_table_names_is_not_activated():
    assert not compatibility.activates("build 99999", "2025")
    assert not compatibility.activates("2025", "2012")


@pytest.mark.parametrize(
    ("family", "edition"),
    [
        ("ServerDatacenter", "Datacenter"),
        ("ServerDatacenterCor", "Datacenter"),
        ("ServerDatacenterCore", "Datacenter"),
        ("ServerDatacenterEval", "Datacenter"),
        ("ServerStandardCore", "Standard"),
        ("ServerStandardEvalCor", "Standard"),
        ("ServerDatacenterACor", "Datacenter"),
        ("ServerSolution", "Essentials"),
        ("ServerTurbineCor", "Datacenter Azure Edition"),
        ("ServerAzureStackHCICor", "Azure Stack HCI"),
        ("Professional", None),
    ],
)
def test_edition_of_a_license_family(family, edition):
    assert compatibility.edition_of_family(family) == edition


def test_semi_annual_builds_take_the_keys_of_the_release_before_them():
    assert compatibility.version_of_build(17134) == "2016"
    assert compatibility.version_of_build(18363) == "2019"
    assert compatibility.version_of_build(1) is None


@pytest.mark.parametrize(
    ("sku", "edition", "evaluation", "core"),
    [
        (8, "Datacenter", False, False),
        (12, "Datacenter", False, True),
        (80, "Datacenter", True, False),
        (147, "Datacenter", False, True),
        (148, "Standard", False, True),
        (159, "Datacenter", True, True),
        (160, "Standard", True, True),
    ],
)
def test_skus_of_server_core_and_of_evaluations(sku, edition, evaluation, core):
    assert compatibility.edition_of_sku(sku) == edition
    assert (sku in compatibility.EVALUATION_SKUS, sku in compatibility.CORE_SKUS) == (evaluation, core)


def test_server_core_has_a_target_of_its_own_for_dism():
    assert compatibility.dism_target("Datacenter", core=True) == "ServerDatacenterCor"
    assert compatibility.dism_target("Datacenter", core=False) == "ServerDatacenter"
    assert compatibility.dism_target("Standard", core=True) == "ServerStandardCor"
