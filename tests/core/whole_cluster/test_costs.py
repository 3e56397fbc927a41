"""The requests of a ClusterActivation to each host. They do not grow with the number of guests, except by pages."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from avma.configuration import Configuration, GuestDefaults
from avma.resources.cluster_activation.activation_resource import ClusterActivationResource
from avma.resources.resource import Result
from avma_simulator import EstateServer, load_estate, running
from core.runner import ADMINISTRATOR, OTHER_KEY, PASSWORD, Runner, stored
from loopback import address

GUEST_PASSWORD = "Battery-Staple-8"
ACCOUNT = f"username: {ADMINISTRATOR}, password: {PASSWORD}"
GUEST = f'version: "2022", edition: Standard, network: false, username: {ADMINISTRATOR}, password: {GUEST_PASSWORD}'
HOST = f'version: "2022", edition: Datacenter, license: {{key: {OTHER_KEY}}}, http: {{port: 5985}}, {ACCOUNT}'
RESOURCE = ClusterActivationResource()


@pytest.fixture
def configuration() -> Configuration:
    guest = GuestDefaults(username=ADMINISTRATOR, password=GUEST_PASSWORD, ready_timeout="1s")
    return Configuration(https=False, username=ADMINISTRATOR, password=PASSWORD, guest=guest)


@contextmanager
def estate_of(folder: Path, hosts: int, guests: int, more: str = "") -> Iterator[EstateServer]:
    """Run an estate with that many hosts, and that many guests in all."""
    lines = []
    for number in range(hosts):
        vms = ", ".join(f"{{name: g{guest}, {GUEST}, {more}}}" for guest in range(guests) if guest % hosts == number)
        lines.append(f"  - {{name: n{number}, address: {address(number + 1)}, {HOST}, vms: [{vms}]}}")
    key = f'keys: [{{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter}}]'
    file = folder / "estate.yaml"
    file.write_text("\n".join([key, "hosts:", *lines]))
    with running(load_estate(file)) as server:
        yield server


def costs(estate: EstateServer) -> list[dict[str, Any]]:
    """Return the counts of each host, and forget them."""
    found = [counts for name, counts in estate.counts().items() if name.startswith("n")]
    estate.reset_counts()
    return found


def require(counts: dict[str, Any], pipelines: int, enumerations: int, guests: int) -> None:
    """Check the counts of one host with that many guests."""
    operations = counts["operations"]
    pages = operations.pop("Pull", 0)
    assert operations == {"Enumerate": enumerations}
    assert counts["pipelines"] == pipelines
    # Each row of a VM is small, and each report of a guest has about twenty values.
    assert pages <= 5 + guests / 20
    # The rest is the pool, its pipelines with their fragments, and signing in.
    assert counts["requests"] - pages - enumerations <= 20 + guests / 100


@pytest.mark.parametrize("hosts", [1, 4, 16])
@pytest.mark.parametrize("guests", [1, 40, 400])
def test_costs_do_not_grow_with_the_guests(tmp_path: Path, run: Runner, hosts: int, guests: int) -> None:
    run.seconds = 300
    with estate_of(tmp_path, hosts, guests) as estate:
        wanted = {"hosts": [address(number + 1) for number in range(hosts)]}
        created = RESOURCE.create(wanted, run.operation())
        assert created.outputs.activated == guests
        assert 1 <= sum("guests are done" in line for line in run.told) <= 20
        run.told.clear()
        for number, counts in enumerate(costs(estate)):
            has_guests = number < guests
            assert (counts["pools"], counts["processes"]) == (int(has_guests), 0)
            # The VMs, the reports, and for the host: its identity twice, the role, its license and Data Exchange.
            require(counts, pipelines=2 * has_guests, enumerations=8 if has_guests else 3, guests=guests // hosts + 1)
        RESOURCE.read(created.identifier, stored(created), run.operation())
        for number, counts in enumerate(costs(estate)):
            has_guests = number < guests
            require(counts, pipelines=int(has_guests), enumerations=2 + (not has_guests), guests=guests // hosts + 1)


def test_guests_that_activate_late_share_their_pipelines(tmp_path: Path, run: Runner) -> None:
    run.seconds = 300
    with estate_of(tmp_path, 1, 40, "delays: {activation: 0.5}") as estate:
        created = RESOURCE.create({"hosts": [address(1)]}, run.operation())
        assert created.outputs.activated == 40
        (counts,) = costs(estate)
        assert (counts["pools"], counts["pipelines"]) == (1, 3)


def test_a_guest_that_hangs_does_not_hold_up_the_others(tmp_path: Path, run: Runner) -> None:
    run.seconds = 20
    with estate_of(tmp_path, 1, 6) as estate:
        estate.faults("g3", [{"operation": "PowerShellDirect/Connect", "answer": "timeout"}])
        created = RESOURCE.create({"hosts": [address(1)]}, run.operation())
        assert not_activated(created) == {"g3": "unreachable"}
        assert any(line.startswith("g3: ") for line in run.told)
        read = RESOURCE.read(created.identifier, stored(created), run.operation())
        assert read is not None
        assert not_activated(read) == {"g3": "unreachable"}
        estate.faults("g3", [])
        again = RESOURCE.create({"hosts": [address(1)]}, run.operation())
        assert not_activated(again) == {}


def not_activated(result: Result) -> dict[str, str]:
    """Return the states of the guests that are not activated, by name."""
    guests = result.outputs.guest_activations
    return {guest.vm_name: guest.state.value for guest in guests if guest.state.value != "activated"}
