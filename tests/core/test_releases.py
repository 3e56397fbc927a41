"""Semi-annual releases and converted evaluations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from avma import errors, keys
from avma.configuration import Configuration, GuestDefaults, Transport
from avma.keys import KeyKind
from avma.windows.licensing import LicenseChannel
from avma.windows.machines import Machines
from avma_simulator import EstateServer, load_estate, running
from core.runner import ADMINISTRATOR, HOST_KEY, PASSWORD, Runner, published_key, stored
from loopback import address

RELEASES = {"1709": ("2016", "1709"), "1803": ("2016", "1803"), "1903": ("2019", "20H2"), "1909": ("2019", "20H2")}
HOST, CONVERTED, EVALUATION = (address(number) for number in (11, 12, 13))
ACCOUNT = f"http: {{port: 5985}}, username: {ADMINISTRATOR}, password: {PASSWORD}"
GUESTS = ", ".join(
    f'{{name: "vm{version}", version: "{version}", edition: Datacenter, address: {address(21 + number)}, {ACCOUNT}}}'
    for number, version in enumerate(RELEASES)
)
ESTATE = f"""
keys: [{{key: {HOST_KEY}, channel: MAK, version: "2022", edition: Datacenter, activations: 3}}]
hosts:
  - {{name: hv01, version: "2022", edition: Datacenter, license: {{key: {HOST_KEY}}}, address: {HOST}, {ACCOUNT},
      vms: [{GUESTS}]}}
  - {{name: converted, version: "2022", edition: Datacenter, license: {{key: {HOST_KEY}}}, address: {CONVERTED},
      leftoverEvaluation: true, leftoverStatus: Licensed, {ACCOUNT}}}
  - {{name: evaluation, version: "2022", edition: Datacenter, evaluation: true, address: {EVALUATION}, {ACCOUNT}}}
"""


@pytest.fixture(scope="module")
def releases(tmp_path_factory) -> Iterator[EstateServer]:
    file = tmp_path_factory.mktemp("releases") / "estate.yaml"
    file.write_text(ESTATE)
    with running(load_estate(file)) as server:
        yield server


@pytest.fixture
def runner(releases) -> Iterator[Runner]:
    account: dict[str, Any] = {"username": ADMINISTRATOR, "password": PASSWORD}
    guest = GuestDefaults(transport=Transport.WINRM, https=False, ready_timeout="1s", **account)
    with closing(Machines(4)) as machines:
        yield Runner(Configuration(https=False, **account, guest=guest), machines)


@pytest.mark.parametrize("version", RELEASES)
def test_a_semi_annual_release_gets_the_kms_client_key_of_its_build_back(releases, runner, version) -> None:
    avma, kms = RELEASES[version]
    activated = runner.activate(f"vm{version}", HOST, on_delete="restoreKmsClientKey")
    wanted = published_key(KeyKind.AVMA, avma, "Datacenter")
    assert activated.outputs.partial_product_key == keys.partial(wanted)
    runner.vm.delete(activated.identifier, stored(activated), runner.operation())
    restored = published_key(KeyKind.KMS_CLIENT, kms, "Datacenter")
    assert releases.machine(f"vm{version}")["partialProductKey"] == keys.partial(restored)


def test_a_converted_evaluation_is_licensed_by_its_own_key_alone(runner) -> None:
    result = runner.license(CONVERTED, None)
    assert (result.outputs.activates_guests, result.outputs.license_channel) == (True, LicenseChannel.MAK)


def test_an_evaluation_stays_one(runner) -> None:
    with pytest.raises(errors.Evaluation, match="it runs an evaluation"):
        runner.license(EVALUATION, None)
