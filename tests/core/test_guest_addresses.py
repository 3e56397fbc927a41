"""Guests that report several addresses, or no working address, over the network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import pytest

from avma import errors
from avma.configuration import Configuration, GuestDefaults, Transport
from avma.deadline import Deadline
from avma.resources.guest_network import reported
from avma.windows.hyperv import GuestFacts
from avma.windows.machines import Machines
from avma_simulator import EstateServer, load_estate, running
from core.runner import ADMINISTRATOR, HOST_KEY, PASSWORD, Runner
from loopback import address
from waiting import PATIENCE

HOST, GUEST, OTHER, STRANGER = (address(number) for number in (11, 21, 22, 99))
PORT = 59851
ESTATE = """
keys: [{{key: {key}, channel: MAK, version: "2022", edition: Datacenter}}]
hosts:
  - name: hv01
    version: "2022"
    edition: Datacenter
    license: {{key: {key}}}
    address: {host}
    http: {{port: 5985}}
    username: {user}
    password: {password}
    vms:
      - {{name: web01, version: "2022", edition: Standard, address: "{guest}", http: {{port: {port}}},
          reportedAddresses: {reported}, username: {user}, password: {password}}}
      - {{name: web02, version: "2022", edition: Standard, address: {other}, http: {{port: {port}}},
          username: {user}, password: {password}}}
      - {{name: web03, version: "2022", edition: Standard, address: {stranger}, username: {user},
          password: Another-Password-9, http: {{port: {port}}}}}
"""


@dataclass
class Lab:
    """A host whose VM web01 reports these addresses."""

    estate: EstateServer
    run: Runner

    def activate(self) -> None:
        self.run.activate("web01", HOST)

    def untouched(self) -> bool:
        return all(self.estate.machine(name)["channel"] == "VOLUME_KMSCLIENT" for name in ("web02", "web03"))


@pytest.fixture
def lab(tmp_path) -> Iterator[Callable[..., Lab]]:
    with ExitStack() as stack:

        def make(*addresses: str, guest: str = GUEST) -> Lab:
            file = tmp_path / "estate.yaml"
            names = {"host": HOST, "guest": guest, "other": OTHER, "stranger": STRANGER, "reported": list(addresses)}
            file.write_text(ESTATE.format(key=HOST_KEY, user=ADMINISTRATOR, password=PASSWORD, port=PORT, **names))
            account: dict[str, Any] = {"username": ADMINISTRATOR, "password": PASSWORD}
            winrm = GuestDefaults(transport=Transport.WINRM, https=False, port=PORT, ready_timeout="1s", **account)
            configuration = Configuration(https=False, **account, guest=winrm)
            machines = stack.enter_context(closing(Machines(4)))
            return Lab(stack.enter_context(running(load_estate(file))), Runner(configuration, machines))

        yield make


@pytest.mark.parametrize(
    "addresses",
    [
        ["169.254.7.3", GUEST],
        ["fe80::5d2b:1%4", GUEST],
        [OTHER, GUEST],
        [address(77), GUEST],
        [STRANGER, GUEST],
        [address(77), OTHER, "169.254.7.3", "::1", GUEST],
    ],
    ids=["link-local", "IPv6 link-local", "another VM", "nothing there", "another account", "all of them"],
)  # fmt: skip
def test_the_addresses_of_a_guest_are_tried_in_turn(lab, addresses: list[str]) -> None:
    made = lab(*addresses)
    made.activate()
    assert made.estate.machine("web01")["channel"] == "VIRTUAL_MACHINE_ACTIVATION"
    assert made.untouched()


def test_a_guest_with_ipv6_alone(lab) -> None:
    made = lab("fe80::1%4", "::1", guest="::1")
    made.activate()
    assert made.estate.machine("web01")["channel"] == "VIRTUAL_MACHINE_ACTIVATION"


def test_the_address_that_worked_is_tried_first_the_next_time(lab) -> None:
    made = lab(OTHER, GUEST)
    made.activate()
    made.estate.reset_counts()
    made.run.vm.probe({"host": HOST, "vm_name": "web01"}, made.run.operation())
    assert made.estate.counts()["web02"]["requests"] == 0


def test_when_no_address_works_each_is_named_with_its_failure(lab) -> None:
    made = lab("169.254.7.3", OTHER, address(77))
    with pytest.raises(errors.AvmaError) as caught:
        made.activate()
    text = str(caught.value)
    assert "169.254.7.3: skipped, because it is a link-local address" in text
    assert f"{OTHER}: the machine at that address is not the VM web01" in text
    assert f"{address(77)}: " in text
    assert "Or set `guest.address`" in text
    assert made.untouched()


def test_only_addresses_that_reach_nothing_are_named(lab) -> None:
    made = lab("169.254.7.3", "fe80::1")
    with pytest.raises(errors.AvmaError, match=r"169\.254\.7\.3: skipped.*fe80::1: skipped.*set `guest\.address`"):
        made.activate()


@pytest.mark.parametrize(
    ("values", "usable", "skipped"),
    [
        ({"NetworkAddressIPv4": "169.254.1.1;10.0.0.5"}, ("10.0.0.5",), 1),
        ({"NetworkAddressIPv4": "10.0.0.011;0x7f.1;x;;10.0.0.5"}, ("10.0.0.5",), 0),
        ({"NetworkAddressIPv4": "127.0.0.1;0.0.0.0;224.0.0.1;10.0.0.5"}, ("10.0.0.5",), 3),
        ({"NetworkAddressIPv6": "fe80::1%4;::1;::;fd00::5"}, ("fd00::5",), 3),
        ({"NetworkAddressIPv4": "10.0.0.5", "NetworkAddressIPv6": "FD00::5;fd00::5"}, ("10.0.0.5", "fd00::5"), 0),
        ({"NetworkAddressIPv6": "::ffff:10.0.0.5"}, ("10.0.0.5",), 0),
        ({"FullyQualifiedDomainName": "10.0.0.011"}, (), 0),
        ({"FullyQualifiedDomainName": "web01.lab", "NetworkAddressIPv4": "169.254.1.1"}, ("web01.lab",), 1),
        (
            {"NetworkAddressIPv4": ";".join(f"10.0.0.{n}" for n in range(1, 30))},
            tuple(f"10.0.0.{n}" for n in range(1, 9)),
            21,
        ),
    ],
)
def test_which_of_the_reported_addresses_are_usable(values, usable, skipped) -> None:
    found = reported(GuestFacts(values), tls=False, host_is_local=False, deadline=Deadline(PATIENCE))
    assert (found.usable, len(found.skipped)) == (usable, skipped)
