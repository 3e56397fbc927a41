from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from winrm.exceptions import WSManFaultError

from avma_simulator import EstateServer
from simulator.client import Client
from simulator.test_licensing import AVMA_2025, refusal

Rows = list[dict[str, list[str | None]]]


def events(client: Client, where: str = "Logfile = 'Application'") -> Rows:
    columns = "EventCode,SourceName,TimeGenerated,Message,InsertionStrings,RecordNumber"
    return client.query(f"SELECT {columns} FROM Win32_NTLogEvent WHERE {where}")


def test_each_attempt_is_written_down_by_guest_and_host(estate: EstateServer) -> None:
    estate.set_license("hv01", "Notification")
    with Client(estate.url("web02")) as guest, Client(estate.url("hv01")) as host:
        assert events(guest) == events(host) == []
        guest.install(AVMA_2025)
        estate.set_license("hv01", "Licensed")
        guest.activate()
        success, denied = events(guest)
        assert (denied["EventCode"], success["EventCode"]) == (["12309"], ["12309"])
        assert denied["InsertionStrings"] == ["Activation Denied", "0xC004FD02", "HV01"]
        assert success["InsertionStrings"] == ["AVMA Success", "0x00000000", "HV01"]
        assert success["SourceName"] == ["Microsoft-Windows-Security-SPP"]
        identifier = estate.machine("web02")["id"]
        assert [row["InsertionStrings"] for row in events(host, "EventCode = 12310")] == [
            ["AVMA Success", "0x00000000", "web02", identifier],
            ["Activation Denied", "0xC004FD02", "web02", identifier],
        ]


def test_a_guest_without_data_exchange_finds_no_host(estate: EstateServer) -> None:
    estate.data_exchange("web02", False)
    with Client(estate.url("web02")) as guest, Client(estate.url("hv01")) as host:
        guest.install(AVMA_2025)
        assert events(guest)[0]["InsertionStrings"] == ["Invalid Host", "0xC004FD01", "HV01"]
        assert events(host) == []


def test_a_host_with_an_avma_key_finds_none_either(estate: EstateServer) -> None:
    with Client(estate.url("hv02")) as host:
        host.install(AVMA_2025)
        assert refusal(host.activate) == 0xC004FD01
        assert [row["InsertionStrings"] for row in events(host)] == [["Invalid Host", "0xC004FD01"]] * 2


def test_events_since_a_moment(estate: EstateServer) -> None:
    def since(seconds: int) -> str:
        moment = datetime.now(timezone.utc) + timedelta(seconds=seconds, hours=1)
        return f"EventCode = 12309 AND TimeGenerated >= '{moment:%Y%m%d%H%M%S}.000000+060'"

    with Client(estate.url("web02")) as guest:
        guest.install(AVMA_2025)
        assert len(events(guest, since(-60))) == 1
        assert events(guest, since(60)) == []
        for wrong in ("yesterday", "20269999000000.000000+000"):
            with pytest.raises(WSManFaultError):
                events(guest, f"TimeGenerated > '{wrong}'")
