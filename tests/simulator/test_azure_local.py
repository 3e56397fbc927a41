from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from avma_simulator import EstateServer
from avma_simulator.control import BadCommand
from simulator.client import Client
from simulator.remoting import answers, guest, in_guests, run, secret
from simulator.test_estate_file import mistakes
from simulator.test_licensing import AVMA_2022, AVMA_2025, KMS_2025, UNKNOWN, refusal

SCRIPT = "server-avma-manager 2"
KEY_2022 = "BCDFG-HJKMN-PQRTV-WXY23-46789"
KEY_2025 = "BCDFG-HJKMN-PQRTV-WXY23-4678B"
KEY_2016 = "BCDFG-HJKMN-PQRTV-WXY23-4678C"
STANDARD = "BCDFG-HJKMN-PQRTV-WXY23-4678D"
AZURE_2025 = "6NMQ9-T38WF-6MFGM-QYGYM-88J4F"
ACCOUNT = "username: Administrator, password: Pa55w.rd"
HOST = f"- {{name: n1, version: 23H2, edition: Azure Stack HCI, {ACCOUNT} FIELDS}}\n"
KEYS = f"""
keys:
- {{key: {KEY_2022}, channel: MAK, version: '2022', edition: Datacenter}}
- {{key: {KEY_2025}, channel: Retail, version: '2025', edition: Datacenter}}
- {{key: {KEY_2016}, channel: MAK, version: '2016', edition: Datacenter}}
- {{key: {STANDARD}, channel: MAK, version: '2025', edition: Standard}}
"""
ESTATE = f"""
{KEYS}
hosts:
- name: n1
  version: 23H2
  edition: Azure Stack HCI
  {ACCOUNT.replace(", ", chr(10) + "  ")}
  FIELDS
  vms:
  - {{name: g22, version: '2022', edition: Datacenter, {ACCOUNT}}}
  - {{name: g25, version: '2025', edition: Datacenter, {ACCOUNT}}}
  - {{name: azure, version: '2025', edition: Datacenter Azure Edition, {ACCOUNT}}}
- {{name: server, version: '2025', edition: Datacenter, {ACCOUNT}}}
"""
OFF = {"AutomaticVMActivation": "Disabled", "Source": "None", "KeyVersion": "", "PartialProductKey": ""}


@pytest.fixture
def served(serve: Callable[[str], EstateServer]) -> Callable[..., EstateServer]:
    def serve_with(fields: str = "") -> EstateServer:
        return serve(ESTATE.replace("FIELDS", fields))

    return serve_with


def manage(estate: EstateServer, key: str | None = None, name: str = "n1") -> dict[str, Any]:
    given = {"Action": "get"} if key is None else {"Action": "set", "ProductKey": secret(key)}
    (answer,) = answers(estate, name, SCRIPT, **given)
    assert KEY_2022 not in str(answer)
    return answer


def number(answer: dict[str, Any]) -> int:
    return int(answer["error"]["hresult"]) & 0xFFFFFFFF


def activated(estate: EstateServer, name: str, key: str) -> int:
    with Client(estate.url(name)) as client:
        client.install(key)
        if client.installed()["LicenseStatus"] == ["1"]:
            return 0
        return refusal(client.activate)


def test_what_the_machine_is(served: Callable[[str], EstateServer]) -> None:
    estate = served("")
    with Client(estate.url("n1")) as client:
        query = "SELECT Caption,OperatingSystemSKU,BuildNumber FROM Win32_OperatingSystem"
        assert client.query(query) == [
            {"Caption": ["Microsoft Azure Stack HCI"], "OperatingSystemSKU": ["406"], "BuildNumber": ["25398"]}
        ]
        row = client.installed()
        assert (row["LicenseFamily"], row["LicenseStatus"]) == (["ServerAzureStackHCICor"], ["1"])
        for key in (KEY_2025, KEY_2022, KMS_2025, AVMA_2025):
            assert refusal(partial(client.install, key)) == 0xC004F069
        assert refusal(lambda: client.install(UNKNOWN)) == 0xC004F050
        client.activate()
        assert client.installed() == row


def test_a_key_activates_guests_up_to_its_version(served: Callable[[str], EstateServer]) -> None:
    estate = served("")
    found = manage(estate)
    assert (found["result"], found["moduleVersion"]) == ([OFF], "1.1")
    assert activated(estate, "g22", AVMA_2022) == 0xC004FD02
    assert manage(estate, KEY_2022)["result"] == [
        {
            "AutomaticVMActivation": "Enabled",
            "Source": "ProductKey",
            "KeyVersion": "Windows Server 2022",
            "PartialProductKey": "46789",
        }
    ]
    assert activated(estate, "g22", AVMA_2022) == 0
    assert activated(estate, "g25", AVMA_2025) == 0xC004FD03
    manage(estate, KEY_2025)
    assert activated(estate, "g25", AVMA_2025) == 0
    assert activated(estate, "azure", AZURE_2025) == 0xC004FD03
    assert estate.keys()["46789"] == estate.keys()["4678B"] == 0
    assert estate.machine("n1")["automaticActivation"]["PartialProductKey"] == "4678B"


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (UNKNOWN, 0xC004F050),
        ("junk", 0xC004F050),
        (KEY_2016, 0xC004F069),
        (STANDARD, 0xC004F069),
        (AVMA_2025, 0xC004F069),
        (KEY_2022, 0xC004F033),
    ],
)
def test_a_key_that_is_refused_leaves_the_last_one(
    served: Callable[[str], EstateServer], key: str, expected: int
) -> None:
    estate = served("")
    manage(estate, KEY_2025)
    before = manage(estate)
    assert number(manage(estate, key)) == expected
    assert manage(estate) == before


def test_a_key_is_activated_by_microsoft(served: Callable[[str], EstateServer]) -> None:
    estate = served(f"serverKey: {KEY_2022}")
    assert manage(estate, KEY_2022)["result"][0]["Source"] == "ProductKey"
    assert estate.keys()["46789"] == 1
    estate.online("n1", False)
    assert number(manage(estate, KEY_2025)) == 0x80072EE7


def test_a_subscription_activates_every_guest(served: Callable[[str], EstateServer]) -> None:
    estate = served("subscription: true")
    assert manage(estate)["result"][0]["Source"] == "Subscription"
    assert activated(estate, "azure", AZURE_2025) == 0
    estate.subscription("n1", False)
    assert activated(estate, "g25", AVMA_2025) == 0xC004FD02
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(f"{estate.control_url}/machines/n1/subscription", json={"enabled": True}).json()
    assert answer["automaticActivation"]["Source"] == "Subscription"
    with pytest.raises(BadCommand, match="server is not a machine of Azure Stack HCI"):
        estate.subscription("server", True)


def test_a_subscription_that_has_not_arrived_activates_nothing(served: Callable[[str], EstateServer]) -> None:
    estate = served("subscription: true\n  synced: false")
    found = manage(estate)
    assert found["subscriptions"][1] == {
        "SubscriptionName": "Windows Server Subscription",
        "SubscriptionStatus": "Active",
    }
    assert found["result"] == [OFF]
    assert activated(estate, "g25", AVMA_2025) == 0xC004FD02


def test_an_oem_licence_activates_all_but_azure_edition(served: Callable[[str], EstateServer]) -> None:
    estate = served("oemLicense: true")
    assert manage(estate)["result"][0]["Source"] == "OemLicense"
    assert activated(estate, "g25", AVMA_2025) == 0
    assert activated(estate, "azure", AZURE_2025) == 0xC004FD03


@pytest.mark.parametrize(("fields", "name"), [("module: none", "n1"), ("module: 1.0", "server")])
def test_without_the_module(served: Callable[[str], EstateServer], fields: str, name: str) -> None:
    assert manage(served(fields), name=name)["error"]["errorId"].startswith("Modules_ModuleNotFound,")


def test_an_older_module(served: Callable[[str], EstateServer]) -> None:
    assert manage(served("module: 1.0"))["moduleVersion"] == "1.0"


@pytest.mark.parametrize("given", [{"Action": "clear"}, {"Action": "set", "ProductKey": "plain"}, {}])
def test_parameters_that_are_not_the_scripts(served: Callable[[str], EstateServer], given: dict[str, str]) -> None:
    assert run(served(""), "n1", SCRIPT, **given) == ([], ["RuntimeException"])


def test_powershell_direct_on_it(served: Callable[[str], EstateServer]) -> None:
    estate = served("")
    identifier = estate.machine("g22")["id"]
    asked = guest(identifier, account=("Administrator", "Pa55w.rd"))
    assert in_guests(estate, "n1", [asked]) == [{"id": identifier, "results": []}]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (", license: none", "hosts[0].license: is not available for Azure Stack HCI"),
        (", payAsYouGo: true", "hosts[0].payAsYouGo: is not available for Azure Stack HCI"),
        (f", serverKey: {KEY_2016}", "hosts[0].serverKey: must be a key for Windows Server Datacenter 2019 or later"),
        (f", serverKey: {UNKNOWN}", "hosts[0].serverKey: must be a key for Windows Server Datacenter 2019 or later"),
        (", evaluation: true", "hosts[0].evaluation: is not allowed: Azure Stack HCI has no evaluation edition"),
        (", module: 2", "hosts[0].module: must be 'none', '1.0' or '1.1'"),
    ],
)
def test_what_cannot_be(tmp_path: Path, fields: str, expected: str) -> None:
    found = mistakes(tmp_path, f"{KEYS}hosts:\n{HOST.replace('FIELDS', fields)}")
    assert found[0].startswith(f"8: {expected}")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "23H2",
            "20H2, subscription: true",
            "hosts[0].subscription: requires version 21H2 or later, but the machine runs 20H2",
        ),
        (
            "23H2",
            "22H2, oemLicense: true",
            "hosts[0].oemLicense: requires version 23H2 or later, but the machine runs 22H2",
        ),
        ("23H2", "'2025'", "hosts[0].edition: is not available: Azure Stack HCI has no version 2025"),
        (
            "Azure Stack HCI",
            "Standard",
            "hosts[0].edition: is not available: Windows Server 23H2 has no edition Standard",
        ),
        (
            "23H2, edition: Azure Stack HCI",
            "'2025', edition: Datacenter, module: 1.1",
            "hosts[0].module: requires the edition Azure Stack HCI, but the machine runs Datacenter",
        ),
    ],
)
def test_releases_that_cannot_be(tmp_path: Path, old: str, new: str, expected: str) -> None:
    (found,) = mistakes(tmp_path, f"{KEYS}hosts:\n{HOST.replace('FIELDS', '').replace(old, new)}")
    assert found == f"8: {expected}"
