"""Semi-annual releases, the Annual Channel, and Server Core: builds, SKU numbers, families, and keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from winrm.exceptions import WSManFaultError

from avma import keys
from avma.keys import KeyKind
from avma_simulator import EstateServer
from avma_simulator.state.windows import Windows
from simulator.client import PASSWORD, Client
from simulator.conftest import RETAIL

ACCOUNT = f"username: Administrator, password: {PASSWORD}"
HOST = f"""
keys:
- {{key: {RETAIL}, channel: Retail, version: 2025, edition: Datacenter}}
hosts:
- {{name: h, version: 2025, edition: Datacenter, license: {{key: {RETAIL}}}, {ACCOUNT}, vms: [
    {{name: g, GUEST, {ACCOUNT}}}]}}
"""


@pytest.mark.parametrize(
    ("windows", "build", "sku", "family"),
    [
        (Windows("2025", "Datacenter"), "26100", 8, "ServerDatacenter"),
        (Windows("2025", "Datacenter", server_core=True), "26100", 12, "ServerDatacenterCor"),
        (Windows("2022", "Standard", server_core=True), "20348", 13, "ServerStandardCor"),
        (Windows("2022", "Datacenter", evaluation=True), "20348", 80, "ServerDatacenterEval"),
        (Windows("2022", "Datacenter", evaluation=True, server_core=True), "20348", 159, "ServerDatacenterEvalCor"),
        (Windows("2022", "Standard", evaluation=True, server_core=True), "20348", 160, "ServerStandardEvalCor"),
        (Windows("2025", "Datacenter Azure Edition", server_core=True), "26100", 408, "ServerTurbineCor"),
        (Windows("2012 R2", "Datacenter", server_core=True), "9600", 8, "ServerDatacenter"),
        (Windows("1709", "Datacenter"), "16299", 145, "ServerDatacenterACor"),
        (Windows("1909", "Standard"), "18363", 146, "ServerStandardACor"),
        (Windows("20H2", "Datacenter"), "19042", 145, "ServerDatacenterACor"),
        (Windows("23H2", "Datacenter"), "25398", 145, "ServerDatacenterACor"),
        (Windows("20H2", "Azure Stack HCI"), "17784", 406, "ServerAzureStackHCICor"),
        (Windows("23H2", "Azure Stack HCI"), "25398", 406, "ServerAzureStackHCICor"),
    ],
)
def test_what_windows_reports(windows: Windows, build: str, sku: int, family: str) -> None:
    assert (windows.build, windows.sku, windows.family) == (build, sku, family)


@pytest.mark.parametrize(
    ("host", "guest", "expected"),
    [
        ("2016", "1803", True),
        ("2012 R2", "1709", False),
        ("2016", "1909", False),
        ("1903", "2019", True),
        ("2019", "2022", False),
        ("23H2", "2022", True),
        ("23H2", "2025", False),
    ],
)
def test_a_semi_annual_release_counts_as_the_one_before_it(host: str, guest: str, expected: bool) -> None:
    assert Windows(host, "Datacenter").activates(Windows(guest, "Datacenter")) is expected


def published(kind: KeyKind, version: str) -> str:
    found = keys.find(kind, version, "Standard")
    assert found is not None
    return found.key


@pytest.mark.parametrize(
    ("version", "accepted", "refused"),
    [
        ("1709", [(KeyKind.AVMA, "2016"), (KeyKind.KMS_CLIENT, "1709")], [(KeyKind.KMS_CLIENT, "2016")]),
        ("1803", [(KeyKind.AVMA, "2016"), (KeyKind.KMS_CLIENT, "1803")], [(KeyKind.KMS_CLIENT, "1709")]),
        ("1909", [(KeyKind.AVMA, "2019"), (KeyKind.KMS_CLIENT, "20H2")], [(KeyKind.KMS_CLIENT, "2019")]),
        ("20H2", [(KeyKind.KMS_CLIENT, "20H2")], [(KeyKind.AVMA, "2019"), (KeyKind.AVMA, "2022")]),
    ],
)
def test_published_keys_of_semi_annual_releases(
    serve: Callable[[str], EstateServer],
    version: str,
    accepted: list[tuple[KeyKind, str]],
    refused: list[tuple[KeyKind, str]],
) -> None:
    estate = serve(HOST.replace("GUEST", f"version: {version}, edition: Standard"))
    with Client(estate.url("g")) as client:
        assert client.installed()["PartialProductKey"] == [keys.partial(published(*accepted[-1]))]
        for kind, of in refused:
            with pytest.raises(WSManFaultError) as caught:
                client.install(published(kind, of))
            assert caught.value.wmierror_code == 0xC004E016
        for kind, of in accepted:
            client.install(published(kind, of))
            assert client.installed()["PartialProductKey"] == [keys.partial(published(kind, of))]


def test_the_annual_channel_begins_without_a_key(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(HOST.replace("GUEST", "version: 23H2, edition: Datacenter"))
    assert (estate.machine("g")["status"], estate.machine("g")["partialProductKey"]) == ("Unlicensed", None)


def test_a_declared_license_of_a_semi_annual_release(serve: Callable[[str], EstateServer]) -> None:
    key = published(KeyKind.AVMA, "2019")
    estate = serve(HOST.replace("GUEST", f"version: 1909, edition: Standard, license: {{key: {key}}}"))
    found = estate.machine("g")
    assert (found["status"], found["activatedByHost"]) == ("Licensed", "H")
