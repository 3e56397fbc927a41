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
