"""Account lockout: failed sign-ins count where Windows counts them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from winrm.exceptions import InvalidCredentialsError

from avma_simulator import EstateServer
from simulator.client import Client

Serve = Callable[[str], EstateServer]
VERSION = "SELECT Version FROM Win32_OperatingSystem"
ESTATE = """\
lockoutThreshold: 2
hosts:
- {name: hv01, version: "2022", edition: Datacenter, username: 'USER', password: Pa55w.rd, logons: [ntlm, basic],
   http: {}, https: {}}
- {name: hv02, version: "2022", edition: Datacenter, username: 'USER', password: Pa55w.rd}
"""


def signs_in(estate: EstateServer, machine: str, username: str, password: str) -> bool:
    try:
        with Client(estate.url(machine), username, password) as client:
            return bool(client.query(VERSION))
    except InvalidCredentialsError:
        return False


def test_a_local_account_is_locked_on_its_own_machine(serve: Serve) -> None:
    estate = serve(ESTATE.replace("USER", "Administrator"))
    assert [signs_in(estate, "hv01", "Administrator", "wrong") for _ in range(2)] == [False, False]
    assert not signs_in(estate, "hv01", "Administrator", "Pa55w.rd")
    assert signs_in(estate, "hv02", "Administrator", "Pa55w.rd")
    assert estate.failed_sign_ins() == {"HV01\\Administrator": {"failed": 2, "locked": True}}


@pytest.mark.parametrize("written", ["LAB\\svc", "svc@lab"])
def test_a_domain_counts_on_all_machines(serve: Serve, written: str) -> None:
    estate = serve(ESTATE.replace("USER", "LAB\\svc").replace("[ntlm, basic]", "[ntlm]"))
    assert not signs_in(estate, "hv01", written, "wrong")
    assert not signs_in(estate, "hv02", written, "wrong")
    assert not signs_in(estate, "hv01", written, "Pa55w.rd")
    assert estate.failed_sign_ins() == {"LAB\\svc": {"failed": 2, "locked": True}}


def test_a_sign_in_begins_the_count_again(serve: Serve) -> None:
    estate = serve(ESTATE.replace("USER", "Administrator"))
    for _ in range(3):
        assert not signs_in(estate, "hv01", "Administrator", "wrong")
        assert signs_in(estate, "hv01", "Administrator", "Pa55w.rd")
    assert estate.failed_sign_ins() == {"HV01\\Administrator": {"failed": 3, "locked": False}}


def test_basic_counts(serve: Serve) -> None:
    estate = serve(ESTATE.replace("USER", "Administrator"))
    with (
        pytest.raises(InvalidCredentialsError),
        Client(estate.url("hv01", "https"), password="wrong", auth="basic", ca=estate.ca_certificate) as client,
    ):
        client.query(VERSION)
    assert estate.failed_sign_ins()["HV01\\Administrator"]["failed"] == 1


def test_a_name_that_does_not_exist_is_counted_by_itself(serve: Serve) -> None:
    estate = serve(ESTATE.replace("USER", "Administrator"))
    assert not signs_in(estate, "hv01", "Puck", "wrong")
    assert list(estate.failed_sign_ins()) == ["HV01\\Puck"]
