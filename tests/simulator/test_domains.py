"""Domain accounts: spellings, the machines that accept them, and invalid declarations."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests
from winrm.exceptions import InvalidCredentialsError

from avma_simulator import EstateServer
from avma_simulator.state.accounts import Account, Accounts, Domain
from avma_simulator.state.lockout import Lockout
from simulator.client import CIMV2, PASSWORD, Client
from simulator.test_estate_file import mistakes
from waiting import PATIENCE

LAB = Domain("LAB", "lab.example")
SELECT = "SELECT Name,Domain,DomainRole,PartOfDomain,Workgroup FROM Win32_ComputerSystem"
MACHINE = "version: 2025, edition: Datacenter, http: {}, https: {}"
ESTATE = rf"""
domains:
- {{name: LAB, dnsName: lab.example, accounts: [{{username: reader, password: 'read:me'}}]}}
hosts:
- {{name: hv01, {MACHINE}, logons: [ntlm, credssp], username: LAB\svc-avma, password: {PASSWORD}}}
- {{name: hv02, {MACHINE}, logons: [ntlm, basic], domain: LAB, username: Administrator, password: 'lo:cal'}}
- {{name: hv03, {MACHINE}, username: svc-avma, password: lonely}}
"""
SPELLINGS = [
    r"LAB\svc-avma",
    r"lab\SVC-AVMA",
    r"lab.example\svc-avma",
    "svc-avma@lab.example",
    "SVC-avma@LAB",
    "svc-avma",
]


@pytest.fixture
def lab(serve: Callable[[str], EstateServer]) -> EstateServer:
    return serve(ESTATE)


@pytest.mark.parametrize("username", SPELLINGS)
@pytest.mark.parametrize("host", ["hv01", "hv02"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_account_of_the_domain_is_accepted_by_every_member(
    lab: EstateServer, username: str, host: str, scheme: str
) -> None:
    with Client(lab.url(host, scheme), username, ca=lab.ca_certificate) as client:
        (row,) = client.query(SELECT)
    assert row["Domain"] == ["lab.example"]
    assert (row["PartOfDomain"], row["DomainRole"], row["Workgroup"]) == (["true"], ["3"], [None])


@pytest.mark.parametrize(
    ("username", "password"),
    [
        (r"LAB\svc-avma", "wrong"),
        (r".\svc-avma", PASSWORD),
        (r"HV01\svc-avma", PASSWORD),
        (r"OTHER\svc-avma", PASSWORD),
        ("svc-avma@other.example", PASSWORD),
        (r"LAB\nobody", PASSWORD),
    ],
)
def test_other_names_are_refused(lab: EstateServer, username: str, password: str) -> None:
    with Client(lab.url("hv01"), username, password) as client, pytest.raises(InvalidCredentialsError):
        client.query(SELECT)


def test_a_machine_outside_of_the_domain_does_not_know_its_accounts(lab: EstateServer) -> None:
    with Client(lab.url("hv03"), r"LAB\svc-avma") as client, pytest.raises(InvalidCredentialsError):
        client.query(SELECT)
    with Client(lab.url("hv03"), r".\svc-avma", "lonely") as client:
        (row,) = client.query(SELECT)
    assert (row["Domain"], row["PartOfDomain"], row["DomainRole"]) == (["WORKGROUP"], ["false"], ["2"])


@pytest.mark.parametrize("username", [r"LAB\reader", "reader@lab.example"])
def test_a_password_may_hold_a_colon(lab: EstateServer, username: str) -> None:
    with Client(lab.url("hv01"), username, "read:me") as client:
        assert client.query(SELECT)


def test_credssp_hands_over_an_account_of_the_domain(lab: EstateServer) -> None:
    with Client(lab.url("hv01"), r"LAB\svc-avma", auth="credssp") as client:
        assert client.query(SELECT)


@pytest.mark.parametrize(
    ("username", "password", "status"),
    [
        ("Administrator", "lo:cal", 200),
        (r"HV02\administrator", "lo:cal", 200),
        ("Administrator", "lo", 401),
        (r"LAB\svc-avma", PASSWORD, 401),
        ("svc-avma", PASSWORD, 401),
    ],
)
def test_basic_ends_the_name_at_the_first_colon_and_takes_local_accounts_only(
    lab: EstateServer, username: str, password: str, status: int
) -> None:
    credentials = base64.b64encode(f"{username}:{password}".encode()).decode()
    answer = requests.post(
        lab.url("hv02", "https"),
        headers={"Authorization": f"Basic {credentials}"},
        verify=lab.ca_certificate,
        timeout=PATIENCE,
    )
    assert answer.status_code == status


def test_the_local_account_comes_before_one_of_the_domain() -> None:
    accounts = Accounts(
        "HV01", [Account("Administrator", "domain", LAB), Account("Administrator", "local")], Lockout(None)
    )
    assert accounts.accepts("administrator", "local")
    assert not accounts.accepts("administrator", "domain")
    assert accounts.accepts(r"LAB\administrator", "domain")
    assert accounts.accepts_local(r".\administrator", "local")
    assert not accounts.accepts_local(r"LAB\administrator", "domain")


@pytest.mark.parametrize(
    ("principal", "accepted"),
    [
        ("svc-avma@LAB.EXAMPLE", True),
        ("svc-avma@OTHER.EXAMPLE", False),
        ("Administrator@ANY.REALM", True),
        ("nobody@LAB.EXAMPLE", False),
    ],
)
def test_kerberos_principals(principal: str, accepted: bool) -> None:
    accounts = Accounts("HV01", [Account("svc-avma", "a", LAB), Account("Administrator", "b")], Lockout(None))
    assert accounts.is_principal(principal) is accepted


def test_user_names_make_domains_where_none_is_declared(serve: Callable[[str], EstateServer]) -> None:
    machine = "version: 2025, edition: Datacenter, http: {}"
    estate = serve(
        "hosts:\n"
        rf"- {{name: hv01, {machine}, username: LAB\svc-avma, password: {PASSWORD}}}"
        f"\n- {{name: hv02, {machine}, username: other@lab.example, password: other}}\n"
    )
    for host in ("hv01", "hv02"):
        with Client(estate.url(host), "svc-avma@lab.example") as client:
            assert client.query(SELECT)[0]["Domain"] == ["lab.example"]
        with Client(estate.url(host), r"LAB\other", "other") as client:
            assert client.query(SELECT)


def test_an_underscore_in_a_host_name(serve: Callable[[str], EstateServer]) -> None:
    estate = serve(f"hosts:\n- {{name: hv_01, {MACHINE}, username: a, password: b}}\n")
    assert urlsplit(estate.url("hv_01", "https")).hostname == "127.0.0.1"
    with Client(estate.url("hv_01", "https"), "a", "b", ca=estate.ca_certificate) as client:
        assert client.query("SELECT Name FROM Win32_ComputerSystem", f"{CIMV2}/*")[0]["Name"] == ["HV_01"]


HOST = "hosts:\n- name: hv01\n  version: 2025\n  edition: Datacenter\n  password: b\n"
DOMAIN = "  username: a\ndomains:\n- name: LAB\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            HOST + "  username: 'OTHER\\a'\ndomains: [{name: LAB}]\n",
            "6: hosts[0].username: OTHER is not one of `domains`",
        ),
        (HOST + "  domain: OTHER\n" + DOMAIN, "6: hosts[0].domain: is not one of `domains`"),
        (
            HOST + "  domain: LAB\n  username: a@other\n",
            "7: hosts[0].username: is an account of a different domain than the machine",
        ),
        (
            HOST
            + "  username: LAB\\a\n- {name: hv02, version: 2025, edition: Datacenter, username: a@lab, password: c}\n",
            "7: hosts[1].password: differs from another password of this domain account in the file",
        ),
        (HOST + DOMAIN + "- name: lab\n", "9: domains[1].name: is the name of another domain (see domains[0].name)"),
        (
            HOST + "  username: a\ndomains:\n- name: lab.example\n",
            "8: domains[0].name: must be the NetBIOS name of a domain: at most 15 characters, without dots",
        ),
        (
            HOST + DOMAIN + "  accounts: [{username: LAB\\a, password: b}]\n",
            "9: domains[0].accounts[0].username: must be a user name without a domain",
        ),
        (
            HOST + "  username: LAB\\a\n  https: {}\n  logons: [basic]\n",
            "8: hosts[0].logons: basic accepts only local accounts, and this is a domain account",
        ),
    ],
)
def test_mistakes(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes(tmp_path, text) == [expected]
