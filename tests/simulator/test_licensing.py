from __future__ import annotations

from collections.abc import Callable

import pytest
from winrm.exceptions import WinRMOperationTimeoutError, WSManFaultError

from avma_simulator import EstateServer
from avma_simulator.state.sl_errors import SlError
from simulator.client import PRODUCT, Client
from simulator.conftest import MAK, OEM, RETAIL, STANDARD_MAK
from waiting import wait_until

AVMA_2025 = "YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67"
AVMA_2025_STANDARD = "WWVGQ-PNHV9-B89P4-8GGM9-9HPQ4"
AVMA_2022_STANDARD = "YDFWN-MJ9JR-3DYRK-FXXRW-78VHK"
AVMA_2022 = "W3GNR-8DDXR-2TFRP-H8P33-DV9BG"
KMS_2025 = "D764K-2NDRG-47T6Q-P8T8W-YP6DF"
UNKNOWN = "BCDFG-HJKMN-PQRTV-WXY23-4678F"
HOST = "name: {}\n  version: '{}'\n  edition: {}\n  username: a\n  password: b\n"


def refusal(call: Callable[[], object]) -> int:
    with pytest.raises(WSManFaultError) as caught:
        call()
    assert (caught.value.code, caught.value.fault_code, caught.value.fault_subcode) == (
        500,
        "s:Receiver",
        "w:InternalError",
    )
    assert caught.value.wsman_fault_code is None
    assert caught.value.wmierror_code is not None
    return caught.value.wmierror_code


@pytest.mark.parametrize(
    ("machine", "key", "hresult"),
    [
        ("hv02", "junk", 0xC004F050),
        ("hv02", "", 0xC004F050),
        ("hv02", UNKNOWN, 0xC004F050),
        ("hv02", AVMA_2022, 0xC004E016),
        ("hv02", AVMA_2025_STANDARD, 0xC004F069),
        ("hv02", STANDARD_MAK, 0xC004F069),
        ("evaluation", MAK, 0xC004F069),
        ("evaluation", UNKNOWN, 0xC004F050),
    ],
)
def test_keys_that_are_refused(shared: EstateServer, machine: str, key: str, hresult: int) -> None:
    with Client(shared.url(machine)) as client:
        before = client.installed()
        assert refusal(lambda: client.install(key)) == hresult
        assert client.installed() == before


@pytest.mark.parametrize(
    ("key", "hresult", "status"),
    [(OEM, 0xC004C008, "2"), (KMS_2025, 0xC004F074, "2"), (AVMA_2025, 0xC004FD01, "5")],
)
def test_activations_that_are_refused_on_a_host(estate: EstateServer, key: str, hresult: int, status: str) -> None:
    with Client(estate.url("hv02")) as client:
        client.install(key)
        assert refusal(client.activate) == hresult
        assert client.installed()["LicenseStatus"] == [status]


def test_a_fresh_machine_waits_for_a_kms_host(shared: EstateServer) -> None:
    with Client(shared.url("hv02")) as client:
        row = client.installed()
    assert row["Description"] == ["Windows(R) Operating System, VOLUME_KMSCLIENT channel"]
    assert row["PartialProductKey"] == ["YP6DF"]
    assert row["LicenseStatus"] == ["2"]
    assert row["GracePeriodRemaining"] == ["43200"]
    assert row["AutomaticVMActivationLastActivationTime"] == ["1601-01-01T00:00:00Z"]


def test_an_evaluation_machine_is_timebased(shared: EstateServer) -> None:
    with Client(shared.url("evaluation")) as client:
        row = client.installed()
        (system,) = client.query("SELECT OperatingSystemSKU,Caption FROM Win32_OperatingSystem")
    assert row["Description"] == ["Windows(R) Operating System, TIMEBASED_EVAL channel"]
    assert row["LicenseFamily"] == ["ServerDatacenterEval"]
    assert row["LicenseStatus"] == ["1"]
    assert system == {
        "OperatingSystemSKU": ["80"],
        "Caption": ["Microsoft Windows Server 2025 Datacenter Evaluation"],
    }


def test_a_mak_activates_once_for_each_machine(estate: EstateServer) -> None:
    with Client(estate.url("hv02")) as client:
        before = client.installed()["ID"]
        client.install(MAK.lower())
        installed = client.installed()
        assert installed["ID"] != before
        assert installed["LicenseStatus"] == ["2"]
        assert estate.keys()[MAK[-5:]] == 1
        client.activate()
        client.activate()
        assert client.installed()["LicenseStatus"] == ["1"]
        assert client.installed()["GracePeriodRemaining"] == ["0"]
    assert estate.keys()[MAK[-5:]] == 0
    with Client(estate.url("web02")) as client:
        client.install(MAK)
        assert refusal(client.activate) == 0xC004C020


def test_uninstalling_leaves_no_current_product(estate: EstateServer) -> None:
    with Client(estate.url("hv01")) as client:
        product = {"ID": str(client.installed()["ID"][0])}
        client.invoke(PRODUCT, "UninstallProductKey", product)
        assert client.query("SELECT ID FROM SoftwareLicensingProduct WHERE PartialProductKey <> NULL") == []
        assert refusal(lambda: client.invoke(PRODUCT, "UninstallProductKey", product)) == 0xC004F014
        assert refusal(lambda: client.invoke(PRODUCT, "Activate", product)) == 0xC004F014
    assert estate.machine("hv01")["status"] == "Unlicensed"


@pytest.mark.parametrize("method", ["Activate", "UninstallProductKey"])
def test_only_the_current_product_has_a_key(shared: EstateServer, method: str) -> None:
    with Client(shared.url("hv02")) as client:
        columns = "ID,LicenseStatus,LicenseStatusReason"
        other = client.query(f"SELECT {columns} FROM SoftwareLicensingProduct WHERE Description LIKE '%RETAIL%'")[0]
        assert (other["LicenseStatus"], other["LicenseStatusReason"]) == (["0"], [str(0xC004F014)])
        assert refusal(lambda: client.invoke(PRODUCT, method, {"ID": str(other["ID"][0])})) == 0xC004F014


def test_a_guest_activates_by_its_host(estate: EstateServer) -> None:
    with Client(estate.url("web01"), password="guest") as client:
        client.install(AVMA_2022_STANDARD)
        row = client.installed()
    assert row["Description"] == ["Windows(R) Operating System, VIRTUAL_MACHINE_ACTIVATION channel"]
    assert row["LicenseStatus"] == ["1"]
    assert row["AutomaticVMActivationHostMachineName"] == ["HV01"]
    assert row["GracePeriodRemaining"] == ["10080"]
    assert str(row["AutomaticVMActivationLastActivationTime"][0]) > "2024"


@pytest.mark.parametrize(
    ("spoil", "hresult"),
    [
        (lambda estate: estate.set_license("hv01", "Notification"), 0xC004FD02),
        (lambda estate: estate.uninstall_key("hv01"), 0xC004FD02),
        (lambda estate: estate.move("web02", "evaluation"), 0xC004FD02),
        (lambda estate: estate.data_exchange("web02", False), 0xC004FD01),
    ],
)
def test_a_guest_is_silent_until_it_is_asked_to_activate(
    estate: EstateServer, spoil: Callable[[EstateServer], None], hresult: int
) -> None:
    spoil(estate)
    with Client(estate.url("web02")) as client:
        client.install(AVMA_2025)
        installed = client.installed()
        assert (installed["LicenseStatus"], installed["LicenseStatusReason"]) == (["5"], [str(0xC004FD01)])
        assert refusal(client.activate) == hresult
        estate.move("web02", "hv01")
        estate.data_exchange("web02", True)
        estate.install_key("hv01", RETAIL)
        estate.set_license("hv01", "Licensed")
        client.activate()
        assert client.installed()["LicenseStatus"] == ["1"]


@pytest.mark.parametrize(
    ("version", "edition", "hresult"), [("2022", "Datacenter", 0xC004FD03), ("2025", "Standard", 0xC004FD02)]
)
def test_hosts_that_cannot_activate_a_guest(
    serve: Callable[[str], EstateServer], version: str, edition: str, hresult: int
) -> None:
    guest = "{name: g, version: '2025', edition: Datacenter, username: Administrator, password: Pa55w.rd}"
    estate = serve("hosts:\n- " + HOST.format("h", version, edition) + f"  vms: [{guest}]\n")
    estate.set_license("h", "Licensed")
    with Client(estate.url("g")) as client:
        client.install(AVMA_2025)
        assert refusal(client.activate) == hresult


def test_activation_takes_its_time(serve: Callable[[str], EstateServer]) -> None:
    guest = (
        "{name: g, version: '2025', edition: Datacenter, username: Administrator, password: Pa55w.rd,"
        " delays: {activation: 100}}"
    )
    estate = serve("hosts:\n- " + HOST.format("h", "2025", "Datacenter") + f"  vms: [{guest}]\n")
    estate.set_license("h", "Licensed")
    with Client(estate.url("g")) as client:
        client.install(AVMA_2025)
        assert client.installed()["LicenseStatus"] == ["2"]
        assert refusal(client.activate) == 0xC004E028
        estate.advance_clock(100)
        assert client.installed()["LicenseStatus"] == ["1"]
        estate.set_license("g", "Notification")
        with pytest.raises(WinRMOperationTimeoutError):
            client.activate(timeout="PT0.1S")
        assert client.installed()["LicenseStatus"] == ["5"]
        assert refusal(client.activate) == 0xC004E028
        estate.advance_clock(100)
        wait_until(lambda: client.installed()["LicenseStatus"] == ["1"])


def test_a_guest_that_starts_asks_its_host(estate: EstateServer) -> None:
    estate.set_license("hv01", "Notification")
    estate.install_key("web02", AVMA_2025)
    estate.set_license("hv01", "Licensed")
    assert estate.machine("web02")["status"] == "Notification"
    estate.power("web02", "off")
    estate.power("web02", "running")
    assert estate.machine("web02")["status"] == "Licensed"


def test_a_refusal_reaches_the_python_api(estate: EstateServer) -> None:
    with pytest.raises(SlError, match="0xC004F050"):
        estate.install_key("hv01", "junk")


@pytest.mark.parametrize(
    ("status", "number", "reason", "minutes"),
    [
        ("Licensed", "1", "0", "0"),
        ("Unlicensed", "0", str(0xC004F014), "0"),
        ("OOBGrace", "2", str(0x4004F00C), "43200"),
        ("OOTGrace", "3", str(0x4004F00D), "43200"),
        ("NonGenuineGrace", "4", str(0xC004F200), "43200"),
        ("Notification", "5", str(0xC004F009), "0"),
        ("ExtendedGrace", "6", str(0x4004F00D), "43200"),
    ],
)
def test_states(estate: EstateServer, status: str, number: str, reason: str, minutes: str) -> None:
    estate.set_license("hv01", status)
    with Client(estate.url("hv01")) as client:
        row = client.installed()
    assert [row[name] for name in ("LicenseStatus", "LicenseStatusReason", "GracePeriodRemaining")] == [
        [number],
        [reason],
        [minutes],
    ]
