from __future__ import annotations

import xml.etree.ElementTree as ET
from html import escape

import pytest

from avma_simulator import EstateServer
from simulator.client import HYPERV, NS, Client, envelope

SERVICE = f"{HYPERV}/Msvm_VirtualSystemManagementService"
SETTING = "Msvm_KvpExchangeComponentSettingData"


def setting(instance_id: str, state: str, name: str = SETTING) -> str:
    return (
        f'<INSTANCE CLASSNAME="{name}">'
        f'<PROPERTY NAME="InstanceID" TYPE="string"><VALUE>{escape(instance_id)}</VALUE></PROPERTY>'
        f'<PROPERTY NAME="EnabledState" TYPE="uint16"><VALUE>{state}</VALUE></PROPERTY></INSTANCE>'
    )


def modify(client: Client, *settings: str) -> str | None:
    (row,) = client.query("SELECT * FROM Msvm_VirtualSystemManagementService", f"{HYPERV}/*")
    keys = {name: str(row[name][0]) for name in ("CreationClassName", "Name", "SystemCreationClassName", "SystemName")}
    given = "".join(f"<p:GuestServiceSettings>{escape(one)}</p:GuestServiceSettings>" for one in settings)
    method = "ModifyGuestServiceSettings"
    body = f"<p:{method}_INPUT xmlns:p='{SERVICE}'>{given}</p:{method}_INPUT>"
    answer: ET.Element = client.send(envelope(f"{SERVICE}/{method}", SERVICE, body, keys))
    return answer.findtext(f"s:Body/{{{SERVICE}}}{method}_OUTPUT/{{{SERVICE}}}ReturnValue", None, NS)


def settings_of(client: Client) -> dict[str, str]:
    rows = client.query(f"SELECT InstanceID,EnabledState FROM {SETTING}", f"{HYPERV}/*")
    return {str(row["InstanceID"][0]): str(row["EnabledState"][0]) for row in rows}


def test_the_switch_of_several_vms(estate: EstateServer) -> None:
    silent, web = (estate.machine(name)["id"] for name in ("silent", "web01"))
    with Client(estate.url("hv01")) as client:
        before = settings_of(client)
        (one,) = [name for name in before if silent in name]
        (two,) = [name for name in before if web in name]
        assert (before[one], before[two]) == ("3", "2")
        assert modify(client, setting(one, "2"), setting(two, "3")) == "0"
        after = settings_of(client)
    assert (after[one], after[two]) == ("2", "3")
    assert estate.machine("silent")["dataExchange"] is True
    assert estate.machine("web01")["dataExchange"] is False
    method = "Invoke Msvm_VirtualSystemManagementService/ModifyGuestServiceSettings"
    assert estate.counts()["hv01"]["operations"][method] == 1


@pytest.mark.parametrize("state", ["", "9"])
def test_a_setting_that_is_wrong_changes_nothing(estate: EstateServer, state: str) -> None:
    silent = estate.machine("silent")["id"]
    with Client(estate.url("hv01")) as client:
        (right,) = [name for name in settings_of(client) if silent in name]
        for wrong in (
            setting(right, state),
            setting("Microsoft:nobody", "2"),
            setting(right, "2", "Msvm_ComputerSystem"),
            "no XML",
        ):
            assert modify(client, setting(right, "2"), wrong) == "32773"
        assert modify(client) == "32773"
    assert estate.machine("silent")["dataExchange"] is False
