from __future__ import annotations

import json
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from avma_simulator import CannotListen, EstateServer, load_estate, running
from avma_simulator.state.estate_state import UnknownMachine
from simulator.client import HYPERV, PASSWORD, SERVICE, Client
from simulator.conftest import ESTATE, MAK, RETAIL, write
from systems import posix_only

STATES = {
    "running": 2, "off": 3, "saved": 6, "paused": 9, "starting": 10, "stopping": 4,
    "saving": 32773, "pausing": 32776, "resuming": 32777,
}  # fmt: skip
"""The states of a VM, with the values of EnabledState."""
ALL_STATES = ", ".join(STATES)


class Http:
    def __init__(self, base: str, session: requests.Session) -> None:
        self.base = base
        self.session = session

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body)
        answer = self.session.request(method, f"{self.base}/{path}", data=data, headers=headers)
        assert PASSWORD not in answer.text
        assert RETAIL not in answer.text
        return answer.status_code, answer.json()


@pytest.fixture
def http(estate: EstateServer) -> Iterator[Http]:
    with requests.Session() as session:
        session.trust_env = False
        yield Http(estate.control_url, session)


def test_machines(estate: EstateServer, http: Http) -> None:
    status, machines = http("GET", "machines")
    assert status == 200
    assert machines == estate.machines()
    by_name = {machine["name"]: machine for machine in machines}
    assert list(by_name) == ["hv01", "hv02", "evaluation", "visitor", "web01", "web02", "sleeper", "silent"]
    assert by_name["hv01"]["urls"] == [estate.url("hv01"), estate.url("hv01", "https")]
    assert by_name["silent"] == {
        "name": "silent",
        "id": by_name["silent"]["id"],
        "kind": "vm",
        "urls": [],
        "host": "hv01",
    }
    with pytest.raises(KeyError, match="silent has no http listener"):
        estate.url("silent")


def test_a_machine_and_what_changes_it(estate: EstateServer, http: Http) -> None:
    assert http("GET", "machines/hv01") == (
        200,
        {
            "name": "hv01",
            "id": "hv01",
            "kind": "host",
            "running": True,
            "version": "2025",
            "edition": "Datacenter",
            "evaluation": False,
            "status": "Licensed",
            "channel": "RETAIL",
            "partialProductKey": RETAIL[-5:],
            "online": True,
            "activatedByHost": None,
        },
    )
    assert http("POST", "machines/HV01/set-license", {"status": "Notification"})[1]["status"] == "Notification"
    assert http("POST", "machines/hv01/uninstall-key")[1]["partialProductKey"] is None
    assert http("POST", "machines/hv01/install-key", {"key": MAK})[1]["channel"] == "VOLUME_MAK"
    web02 = estate.machine("web02")["id"]
    assert http("POST", f"machines/{web02}/move", {"host": "hv02"})[1]["host"] == "hv02"
    assert http("POST", "machines/web02/data-exchange", {"enabled": False})[1]["dataExchange"] is False
    assert http("GET", "keys") == (200, estate.keys())


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("GET", "machines/nobody", None, 404, "no machine has the name nobody"),
        ("POST", "machines/hv01/data-exchange", {"enabled": True}, 404, "hv01 is a host, not a VM"),
        ("POST", "machines/web01/move", {"host": "web02"}, 404, "no host has the name web02"),
        ("POST", "machines/web01/power", {"state": "asleep"}, 400, f"the state of web01 must be one of {ALL_STATES}"),
        ("POST", "machines/web01/power", {}, 400, "`state` must be text"),
        ("POST", "machines/web01/power", [], 400, "the body is not a JSON object"),
        ("POST", "machines/web01/data-exchange", {"enabled": 1}, 400, "`enabled` must be true or false"),
        ("POST", "machines/web01/explode", {}, 400, "POST /machines/web01/explode is not a command"),
        ("GET", "nothing", None, 400, "GET /nothing is not a command"),
        (
            "POST",
            "machines/web01/set-license",
            {"status": "Happy"},
            400,
            "status must be one of Unlicensed, Licensed, OOBGrace, OOTGrace, NonGenuineGrace, Notification, "
            "ExtendedGrace",
        ),
        (
            "POST",
            "machines/web01/install-key",
            {"key": "x"},
            409,
            "0xC004F050 SL_E_INVALID_PRODUCT_KEY: the product key is invalid",
        ),
    ],
)
def test_commands_that_make_no_sense(http: Http, method: str, path: str, body: object, status: int, error: str) -> None:
    assert http(method, path, body) == (status, {"error": error})


def test_a_body_that_is_not_json(estate: EstateServer, http: Http) -> None:
    answer = http.session.post(f"{estate.control_url}/machines/web01/power", data="{")
    assert (answer.status_code, answer.json()) == (400, {"error": "the body is not JSON"})


def test_web_pages_are_refused(http: Http) -> None:
    assert http("POST", "counts/reset", Origin="http://example.org")[0] == 403


def test_counts(estate: EstateServer, http: Http) -> None:
    with Client(estate.url("hv01")) as client:
        client.query("SELECT ID FROM SoftwareLicensingProduct")
        client.invoke(SERVICE, "RefreshLicenseStatus", {"Version": "10.0.26100.1"})
        client.protocol.open_shell()
        status, counts = http("GET", "counts")
        assert status == 200
        assert counts["hv01"] == {
            "requests": 7,
            "connections": 1,
            "handshakes": 3,
            "shells": 1,
            "processes": 0,
            "pools": 0,
            "pipelines": 0,
            "activations": 0,
            "openShells": 1,
            "logons": {"ntlm": 1},
            "operations": {"Enumerate": 1, "Pull": 1, "Invoke SoftwareLicensingService/RefreshLicenseStatus": 1},
        }
        assert http("POST", "counts/reset") == (200, {})
        client.query("SELECT Version FROM SoftwareLicensingService")
    assert estate.counts()["hv01"]["requests"] == 1
    assert estate.counts()["hv02"]["operations"] == {}


def test_power(estate: EstateServer, http: Http) -> None:
    def sleeper() -> object:
        with Client(estate.url("sleeper")) as client:
            return client.query("SELECT Version FROM SoftwareLicensingService")

    url = estate.url("sleeper")
    for _ in range(2):
        with pytest.raises(requests.ConnectionError):
            sleeper()
        http("POST", "machines/sleeper/power", {"state": "running"})
        http("POST", "machines/sleeper/power", {"state": "running"})
        assert estate.url("sleeper") == url
        assert sleeper() == [{"Version": ["10.0.17763.1"]}]
        http("POST", "machines/sleeper/power", {"state": "off"})


def test_two_machines_of_one_name_are_told_apart_by_id(tmp_path: Path) -> None:
    twin = "  - {name: twin, version: 2022, edition: Standard, username: a, password: b}\n"
    host = "hosts:\n- name: h\n  version: 2025\n  edition: Datacenter\n  username: a\n  password: b\n  vms:\n"
    with running(load_estate(write(tmp_path, host + twin * 2))) as estate:
        ids = [machine["id"] for machine in estate.machines()[1:]]
        assert list(estate.counts()) == ["h", *ids]
        assert estate.url(ids[0]) != estate.url(ids[1])
        assert estate.machine(ids[1])["id"] == ids[1]
        with pytest.raises(UnknownMachine, match=r"2 machines have the name twin\. Use the id of the VM"):
            estate.machine("twin")


def test_a_port_in_use_names_the_machine(estate: EstateServer, tmp_path: Path) -> None:
    _, port = estate.address("hv01")
    host = (
        f"hosts:\n- {{name: h, version: 2025, edition: Datacenter, username: a, password: b, http: {{port: {port}}}}}"
    )
    with pytest.raises(CannotListen) as caught, running(load_estate(write(tmp_path, host))):
        pass
    assert str(caught.value) == (
        f"h: port {port} at 127.0.0.1 is already in use. Stop the other process, or set another port"
    )


def test_stopping_leaves_nothing(tmp_path: Path) -> None:
    before = threading.enumerate()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with running(load_estate(write(tmp_path, ESTATE))) as estate:
            certificate = Path(estate.ca_certificate)
            assert certificate.is_file()
            with Client(estate.url("hv01", "https"), ca=estate.ca_certificate) as client:
                client.installed()
    assert not certificate.exists()
    # a thread of an earlier test may have ended in the meantime
    assert set(threading.enumerate()) <= set(before)


@posix_only("Windows has no permission bits")
def test_secrets_are_readable_by_nobody_else(estate: EstateServer) -> None:
    directory = Path(estate.ca_certificate).parent
    assert directory.stat().st_mode & 0o077 == 0
    assert {path.suffix for path in directory.iterdir()} == {".pem", ".accounts"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in directory.glob("*.accounts"))


@pytest.mark.parametrize("state", STATES)
def test_a_vm_can_be_in_every_state_of_hyper_v(estate: EstateServer, http: Http, state: str) -> None:
    assert http("POST", "machines/web01/power", {"state": state})[0] == 200
    assert http("GET", "machines/web01")[1]["state"] == state
    query = "SELECT ElementName,EnabledState,ProcessID FROM Msvm_ComputerSystem"
    with Client(estate.url("hv01")) as client:
        rows = {row["ElementName"][0]: row for row in client.query(query, f"{HYPERV}/*")}
    assert rows["web01"]["EnabledState"] == [str(STATES[state])]
    assert bool(rows["web01"]["ProcessID"][0]) is (state not in ("off", "saved"))


@pytest.mark.parametrize("state", ["saved", "paused"])
def test_a_vm_that_goes_on_does_not_start_windows_again(estate: EstateServer, state: str) -> None:
    estate.set_license("web01", "Notification")
    estate.power("web01", state)
    estate.power("web01", "running")
    assert estate.machine("web01")["status"] == "Notification"


def test_a_host_has_two_states(estate: EstateServer, http: Http) -> None:
    status, answer = http("POST", "machines/hv01/power", {"state": "saved"})
    assert status == 400
    assert "the state of hv01 must be one of running, off" in str(answer)
