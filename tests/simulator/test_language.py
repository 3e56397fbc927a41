from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from winrm.exceptions import WSManFaultError

from avma_simulator import EstateServer
from simulator.client import HYPERV, Client
from simulator.remoting import guest, in_guests
from simulator.test_estate_file import HOST, mistakes
from simulator.test_licensing import AVMA_2025

ACCOUNT = "username: Administrator, password: Pa55w.rd"
ESTATE = f"""
hosts:
- {{name: h, version: '2025', edition: Datacenter, {ACCOUNT}, language: HOST,
   vms: [{{name: g, version: '2025', edition: Datacenter, {ACCOUNT}, language: GUEST}}]}}
"""


@pytest.mark.parametrize(
    ("spoken", "locale", "captions", "service", "error", "credential"),
    [
        (
            "de-DE",
            "1031",
            ["Hostcomputersystem", "Virtueller Computer"],
            "Austausch von Schlüsselwertpaaren",
            "Bei der Verarbeitung ist ein Fehler aufgetreten.",
            "Die Anmeldeinformationen sind ungültig.",
        ),
        (
            "ja-JP",
            "1041",
            ["ホスト コンピューター システム", "仮想マシン"],
            "キー値ペアの交換",
            "処理中にエラーが発生しました。",
            "資格情報が無効です。",
        ),
    ],
)
def test_words_change_and_numbers_do_not(
    serve: Callable[[str], EstateServer],
    spoken: str,
    locale: str,
    captions: list[str],
    service: str,
    error: str,
    credential: str,
) -> None:
    estate = serve(ESTATE.replace("HOST", spoken).replace("GUEST", spoken))
    identifier = estate.machine("g")["id"]
    with Client(estate.url("h")) as client:
        assert client.query("SELECT OSLanguage FROM Win32_OperatingSystem") == [{"OSLanguage": [locale]}]
        systems = client.query("SELECT Caption,Name FROM Msvm_ComputerSystem", f"{HYPERV}/*")
        assert [row["Caption"] for row in systems] == [[caption] for caption in captions]
        assert systems[1]["Name"] == [identifier]
        names = client.query("SELECT ElementName FROM Msvm_KvpExchangeComponentSettingData", f"{HYPERV}/*")
        assert names == [{"ElementName": [service]}] * 2
        (answer,) = in_guests(estate, "h", [guest(identifier, account=("Administrator", "wrong"))])
        assert answer["error"]["message"].endswith(f" {credential}")
        assert answer["error"]["errorId"] == "PSSessionStateBroken"
    with Client(estate.url("g")) as client:
        client.install(AVMA_2025)
        with pytest.raises(WSManFaultError) as caught:
            client.activate()
        assert caught.value.wmierror_code == 0xC004FD02
        assert caught.value.reason == error
        (event, *_) = client.query("SELECT Message,InsertionStrings FROM Win32_NTLogEvent")
        assert event["InsertionStrings"] == ["Activation Denied", "0xC004FD02", "H"]
        assert "Automatic" not in str(event["Message"])


def test_each_machine_speaks_its_own_language(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(ESTATE.replace("HOST", "en-US").replace("GUEST", "de-DE"))
    operation = {"query": "SELECT * FROM Nothing"}
    asked = guest(estate.machine("g")["id"], operation, account=("Administrator", "Pa55w.rd"))
    with Client(estate.url("h")) as client:
        (answer,) = in_guests(estate, "h", [asked])
        assert answer["results"][0]["error"]["message"] == "Bei der Verarbeitung ist ein Fehler aufgetreten."
        (system, *_) = client.query("SELECT Caption FROM Msvm_ComputerSystem", f"{HYPERV}/*")
        assert system == {"Caption": ["Hosting Computer System"]}


def test_a_language_that_is_not_known(tmp_path: Path) -> None:
    found = mistakes(tmp_path, HOST + "  language: tlh\n")
    assert found == ["7: hosts[0].language: must be 'en-US', 'de-DE' or 'ja-JP'"]
