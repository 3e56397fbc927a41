"""Several rows in the licensing service: add-ons with their own keys, and converted evaluations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from avma_simulator import EstateServer
from simulator.client import PASSWORD, PRODUCT, Client
from simulator.conftest import RETAIL
from simulator.test_estate_file import HOST as BARE
from simulator.test_estate_file import mistakes
from waiting import PATIENCE

MACHINE = f"version: 2025, edition: Datacenter, username: Administrator, password: {PASSWORD}"
KEYS = f"keys:\n- {{key: {RETAIL}, channel: Retail, version: 2025, edition: Datacenter}}\nhosts:\n"
INSTALLED = "SELECT * FROM SoftwareLicensingProduct WHERE PartialProductKey IS NOT NULL"


def test_add_ons_come_first_and_are_licensed_by_keys_of_their_own(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(f"{KEYS}- {{name: h, {MACHINE}, license: none, extendedSecurityUpdates: [1, 2]}}\n")
    with Client(estate.url("h")) as client:
        first, second = client.query(INSTALLED)
        assert [row["LicenseFamily"] for row in (first, second)] == [["Server-ESU-Year1"], ["Server-ESU-Year2"]]
        assert first["LicenseIsAddon"] == ["true"]
        assert first["LicenseStatus"] == ["1"]
        assert first["PartialProductKey"] != second["PartialProductKey"]
        client.install(RETAIL)
        assert [row["LicenseIsAddon"] for row in client.query(INSTALLED)] == [["true"], ["true"], ["false"]]
        add_on = {"ID": str(first["ID"][0])}
        client.invoke(PRODUCT, "Activate", add_on)
        client.invoke(PRODUCT, "UninstallProductKey", add_on)
        families = [row["LicenseFamily"][0] for row in client.query(INSTALLED)]
    assert families == ["Server-ESU-Year2", "ServerDatacenter"]
    assert estate.machine("h")["status"] == "OOBGrace"


def test_a_converted_evaluation_keeps_its_row(serve: Callable[[str], EstateServer]) -> None:
    license_ = f"license: {{key: {RETAIL}}}, leftoverEvaluation: true, leftoverStatus: Notification"
    estate = serve(f"{KEYS}- {{name: h, {MACHINE}, {license_}}}\n")
    with Client(estate.url("h")) as client:
        evaluation, full = client.query(INSTALLED)
        (system,) = client.query("SELECT OperatingSystemSKU FROM Win32_OperatingSystem")
    assert evaluation["Description"] == ["Windows(R) Operating System, TIMEBASED_EVAL channel"]
    assert evaluation["LicenseFamily"] == ["ServerDatacenterEval"]
    assert (evaluation["LicenseStatus"], evaluation["PartialProductKey"]) == (["5"], ["J2T92"])
    assert (full["LicenseFamily"], full["LicenseStatus"]) == (["ServerDatacenter"], ["1"])
    assert system["OperatingSystemSKU"] == ["8"]


def test_a_status_may_have_another_reason(serve: Callable[[str], EstateServer]) -> None:
    license_ = f"license: {{key: {RETAIL}, status: Notification, reason: 0xC004F056}}"
    estate = serve(f"{KEYS}- {{name: h, {MACHINE}, {license_}}}\n")
    with Client(estate.url("h")) as client:
        assert client.installed()["LicenseStatusReason"] == [str(0xC004F056)]
        changed = {"status": "Notification", "reason": 0xC004F00F}
        assert requests.post(f"{estate.control_url}/machines/h/set-license", json=changed, timeout=PATIENCE).ok
        assert client.installed()["LicenseStatusReason"] == [str(0xC004F00F)]
        estate.set_license("h", "Notification")
        assert client.installed()["LicenseStatusReason"] == [str(0xC004F009)]


def test_the_channel_of_keys_is_named_as_the_platform_names_it(serve: Callable[[str], EstateServer]) -> None:
    avma = "YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67"
    estate = serve(f"{KEYS}- {{name: h, {MACHINE}, license: {{key: {avma}}}}}\n")
    with Client(estate.url("h")) as client:
        assert client.installed()["ProductKeyChannel"] == ["VT:IA"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("extendedSecurityUpdates: [4]", "7: hosts[0].extendedSecurityUpdates[0]: must be less than or equal to 3"),
        ("extendedSecurityUpdates: [1, 1]", "7: hosts[0].extendedSecurityUpdates: must not contain a year twice"),
        (
            "leftoverEvaluation: true\n  evaluation: true",
            "7: hosts[0].leftoverEvaluation: cannot be combined with `evaluation`",
        ),
        (
            "leftoverEvaluation: true\n  leftoverKey: WX4NM-KYWYW-QJJR4-XV3QB-6VM33",
            "7: hosts[0].leftoverEvaluation: cannot be combined with `leftoverKey`",
        ),
    ],
)
def test_mistakes(tmp_path: Path, lines: str, expected: str) -> None:
    assert mistakes(tmp_path, f"{BARE}  {lines}\n") == [expected]
