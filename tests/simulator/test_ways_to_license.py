from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import requests
from winrm.exceptions import WSManFaultError

from avma_simulator import EstateServer
from avma_simulator.control import BadCommand
from simulator.client import PRODUCT, Client
from simulator.conftest import MAK
from simulator.test_estate_file import HOST, mistakes
from simulator.test_licensing import refusal

ACCOUNT = "username: Administrator, password: Pa55w.rd"
DEPOSIT = "DepositOfflineConfirmationId"
AVMA = "YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67"
KMS_2022 = "WX4NM-KYWYW-QJJR4-XV3QB-6VM33"
GUEST = f"{{name: g, version: '2025', edition: Datacenter, {ACCOUNT}}}"
ESTATE = f"""
keys: [{{key: {MAK}, channel: MAK, version: '2025', edition: Datacenter, activations: 0}}]
KMS
hosts:
- {{name: h, version: '2025', edition: Datacenter, {ACCOUNT}, vms: [{GUEST}] FIELDS}}
"""


def served(serve: Callable[[str], EstateServer], fields: str = "", top: str = "") -> EstateServer:
    return serve(ESTATE.replace("KMS", top).replace("FIELDS", fields))


def test_kms(serve: Callable[[str], EstateServer]) -> None:
    estate = served(serve, top="kms: true\n")
    with Client(estate.url("h")) as client:
        client.activate()
        row = client.installed()
        assert (row["LicenseStatus"], row["GracePeriodRemaining"]) == (["1"], ["259200"])
    with Client(estate.url("g")) as client:
        client.install(AVMA)
        assert client.installed()["LicenseStatus"] == ["1"]
    estate.kms(False)
    with Client(estate.url("h")) as client:
        assert refusal(client.activate) == 0xC004F074
        assert client.installed()["LicenseStatus"] == ["1"]


def test_without_a_way_to_the_internet(serve: Callable[[str], EstateServer]) -> None:
    estate = served(serve, ", online: false")
    with Client(estate.url("h")) as client:
        client.install(MAK)
        assert refusal(client.activate) == 0x80072EE7
        estate.online("h", True)
        assert refusal(client.activate) == 0xC004C020


def test_phone(serve: Callable[[str], EstateServer]) -> None:
    estate = served(serve, ", online: false")
    with pytest.raises(BadCommand, match="h has no key that can be activated by phone"):
        estate.confirmation_id("h")
    with Client(estate.url("h")) as client:
        (of_kms_client_key,) = client.installed()["OfflineInstallationId"]
        row = {"ID": str(client.installed()["ID"][0])}
        ids = {"InstallationId": of_kms_client_key, "ConfirmationId": "1"}
        assert refusal(lambda: client.invoke(PRODUCT, DEPOSIT, row, **ids)) == 0xC004F07D
        client.install(MAK)
        row = {"ID": str(client.installed()["ID"][0])}
        (installation,) = client.installed()["OfflineInstallationId"]
        assert installation != of_kms_client_key
        assert installation is not None
        assert (len(installation), installation.isdecimal()) == (63, True)
        answer = estate.confirmation_id("h")
        assert answer["installationId"] == installation
        for ids in (
            {"InstallationId": installation, "ConfirmationId": "1"},
            {"InstallationId": "1", "ConfirmationId": answer["confirmationId"]},
            {},
        ):
            assert refusal(partial(client.invoke, PRODUCT, DEPOSIT, row, **ids)) == 0xC004F04D
        ids = {"InstallationId": installation, "ConfirmationId": answer["confirmationId"]}
        client.invoke(PRODUCT, DEPOSIT, row, **ids)
        assert client.installed()["LicenseStatus"] == ["1"]
    assert estate.keys() == {MAK[-5:]: 0}


def test_pay_as_you_go(serve: Callable[[str], EstateServer]) -> None:
    estate = served(serve, ", payAsYouGo: true")
    query = "SELECT SubscriptionStatus,SubscriptionType,SubscriptionEdition FROM SoftwareLicensingService"
    with Client(estate.url("h")) as client:
        assert client.installed()["LicenseStatus"] == ["1"]
        assert client.query(query) == [
            {"SubscriptionStatus": ["1"], "SubscriptionType": ["2"], "SubscriptionEdition": ["ServerDatacenter"]}
        ]
    with Client(estate.url("g")) as client:
        client.install(AVMA)
        assert refusal(client.activate) == 0xC004FD02
        estate.install_key("h", MAK)
        estate.set_license("h", "Licensed")
        client.activate()


def test_subscriptions_are_unknown_to_older_releases(shared: EstateServer) -> None:
    query = "SELECT SubscriptionStatus FROM SoftwareLicensingService"
    with Client(shared.url("hv01")) as client:
        assert client.query(query) == [{"SubscriptionStatus": ["0"]}]
    with Client(shared.url("web01"), password="guest") as client, pytest.raises(WSManFaultError) as caught:
        client.query(query)
    assert caught.value.wmierror_code == 2150858778


def test_what_an_upgrade_left(serve: Callable[[str], EstateServer]) -> None:
    estate = served(serve, f", leftoverKey: {KMS_2022}")
    query = "SELECT ID,PartialProductKey,LicenseStatus FROM SoftwareLicensingProduct WHERE PartialProductKey <> NULL"
    with Client(estate.url("h")) as client:
        left, current = client.query(query)
        assert (left["PartialProductKey"], left["LicenseStatus"]) == (["6VM33"], ["0"])
        assert current["PartialProductKey"] == ["YP6DF"]
        row = {"ID": str(left["ID"][0])}
        assert refusal(lambda: client.invoke(PRODUCT, "Activate", row)) == 0xC004F015
        client.invoke(PRODUCT, "UninstallProductKey", row)
        assert client.query(query) == [current]


def test_over_the_control_endpoint(serve: Callable[[str], EstateServer]) -> None:
    estate = served(serve)
    estate.install_key("h", MAK)
    with requests.Session() as session:
        session.trust_env = False
        assert session.get(f"{estate.control_url}/machines/h/confirmation-id").json() == estate.confirmation_id("h")
        assert session.post(f"{estate.control_url}/kms", json={"available": True}).json() == {}
        answer = session.post(f"{estate.control_url}/machines/h/online", json={"online": False})
        assert answer.json()["online"] is False


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("  leftoverKey: x\n", "hosts[0].leftoverKey: is not a product key, which has five groups of five"),
        (f"  leftoverKey: {MAK}\n", "hosts[0].leftoverKey: is neither in `keys` nor a published key"),
        (
            "  leftoverKey: D764K-2NDRG-47T6Q-P8T8W-YP6DF\n  license: {key: D764K-2NDRG-47T6Q-P8T8W-YP6DF}\n",
            "hosts[0].leftoverKey: is the installed key. A leftover key must be a different one",
        ),
        ("  payAsYouGo: true\n  license: none\n", "hosts[0].payAsYouGo: cannot be combined with `license`"),
        (
            "  payAsYouGo: true\n  evaluation: true\n",
            "hosts[0].payAsYouGo: is not allowed: the machine runs an evaluation",
        ),
        ("  online: 1\n", "hosts[0].online: must be true or false"),
    ],
)
def test_what_cannot_be(tmp_path: Path, fields: str, expected: str) -> None:
    (found,) = mistakes(tmp_path, HOST + fields)
    assert found.startswith(f"7: {expected}")
