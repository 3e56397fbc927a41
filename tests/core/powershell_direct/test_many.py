"""Forty guests of one host use one runspace pool and few pipelines, without secrets in scripts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from avma.keys import KeyKind
from avma.windows.licensing import LicenseStatus
from avma_simulator import EstateServer, load_estate, running
from core.powershell_direct.lab import GUEST, GUEST_PASSWORD, HOST, LICENSED, at_once
from core.runner import OTHER_KEY, PASSWORD, published_key

GUESTS = [f"guest{number:02}" for number in range(40)]
CROWDED = f"""
keys:
  - {{key: {OTHER_KEY}, channel: Retail, version: "2022", edition: Datacenter}}
hosts:
  - {{name: hv01, version: "2022", address: {HOST}, http: {{port: 5985}}, {LICENSED}, vms: [
      {", ".join(f"{{name: {name}, {GUEST}}}" for name in GUESTS)}]}}
"""


@pytest.fixture
def estate(tmp_path) -> Iterator[EstateServer]:
    file = tmp_path / "estate.yaml"
    file.write_text(CROWDED)
    with running(load_estate(file)) as server:
        yield server


def test_forty_guests_are_activated_in_one_pool_and_no_script_holds_a_secret(estate, run):
    run.seconds = 300
    results = at_once([partial(run.activate, name, HOST) for name in GUESTS])
    assert {result.outputs.license_status for result in results} == {LicenseStatus.LICENSED}
    counts = estate.counts()["hv01"]
    print({name: counts[name] for name in ("pools", "pipelines", "processes", "requests", "connections")})
    assert (counts["pools"], counts["processes"]) == (1, 0)
    assert counts["pipelines"] <= 8
    records = estate.script_blocks("hv01")
    key = published_key(KeyKind.AVMA, "2022", "Standard")
    assert len(records) == counts["pipelines"]
    assert not [text for text in (str(records),) if any(secret in text for secret in (GUEST_PASSWORD, PASSWORD, key))]
    assert {tuple(record["parameters"]) for record in records} == {("Guests", "ThrottleLimit", "Timeout")}
    run.machines.close()
    assert estate.counts()["hv01"]["openShells"] == 0
