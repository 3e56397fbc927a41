from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
import requests

from avma_simulator import EstateServer
from avma_simulator.control import BadCommand
from simulator.client import HYPERV, Client
from simulator.remoting import guest, in_guests

GUEST = "username: Administrator, password: Pa55w.rd, version: '2025', edition: Datacenter"
ESTATE = f"""
hosts:
- {{name: hv01, version: "2025", edition: Datacenter, username: Administrator, password: Pa55w.rd,
   vms: [{{name: web, {GUEST}, readyAfter: 600}}, {{name: db, {GUEST}}}]}}
"""


def told(estate: EstateServer, name: str) -> bool:
    with Client(estate.url("hv01")) as client:
        rows = client.query(
            "SELECT SystemName,GuestIntrinsicExchangeItems FROM Msvm_KvpExchangeComponent", f"{HYPERV}/*"
        )
    identifier = estate.machine(name)["id"]
    return any("GuestIntrinsicExchangeItems" in row for row in rows if row["SystemName"] == [identifier])


def direct(estate: EstateServer, name: str) -> str:
    asked = guest(estate.machine(name)["id"], account=("Administrator", "Pa55w.rd"))
    (answer,) = in_guests(estate, "hv01", [asked])
    return str(answer.get("error", {}).get("message", ""))


def reached(estate: EstateServer, name: str) -> bool:
    with suppress(requests.ConnectionError), Client(estate.url(name)) as client:
        return bool(client.installed())
    return False


def seen(estate: EstateServer, name: str) -> tuple[bool, bool, str]:
    return reached(estate, name), told(estate, name), direct(estate, name)


REFUSED = (
    "An error has occurred which Windows PowerShell cannot handle. A remote session might have ended. "
    "The credential is invalid."
)
NOT_READY = (False, False, REFUSED)
READY = (True, True, "")


def test_a_guest_is_ready_after_a_while(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(ESTATE)
    assert estate.machine("web")["ready"] is False
    assert seen(estate, "web") == NOT_READY
    assert seen(estate, "db") == READY
    estate.advance_clock(600)
    assert seen(estate, "web") == READY
    estate.power("web", "off")
    estate.power("web", "running")
    assert seen(estate, "web") == NOT_READY
    estate.advance_clock(600)
    assert seen(estate, "web") == READY


def test_a_setup_that_begins_again(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(ESTATE)
    with requests.Session() as session:
        session.trust_env = False
        url = f"{estate.control_url}/machines/db/setup"
        assert session.post(url, json={"seconds": 600}).json()["ready"] is False
        assert session.post(url, json={"seconds": True}).json() == {"error": "`seconds` must be a number"}
    estate.setup("web", 600)
    assert seen(estate, "db") == seen(estate, "web") == NOT_READY
    estate.setup("db", 60)
    estate.advance_clock(60)
    assert seen(estate, "db") == READY
    assert seen(estate, "web") == NOT_READY
    assert estate.machine("web")["running"] is True
    with pytest.raises(BadCommand, match="seconds must be between 0 and 3600"):
        estate.setup("db", -1)
