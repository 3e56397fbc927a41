"""Two processes that apply one key to one machine of Azure Local at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from avma_simulator import load_estate, running
from core.azure_local.lab import ESTATE, KEY_2022, PLAIN
from waiting import wait_until

LONG = 30
"""Seconds of an activation, by the clock of the simulator."""


def test_two_processes_apply_a_key_once(tmp_path: Path, new_runner) -> None:
    file = tmp_path / "slow.yaml"
    file.write_text(ESTATE.replace("{name: plain, ", f"{{name: plain, delays: {{activation: {LONG}}}, ", 1))
    first, second = new_runner(), new_runner()
    second.seconds = 600
    with running(load_estate(file)) as estate, ThreadPoolExecutor(2) as threads:
        begun = threads.submit(first.license, PLAIN, KEY_2022)
        wait_until(lambda: [text for text in first.told if "applying key" in text])
        late = threads.submit(second.license, PLAIN, KEY_2022)
        wait_until(lambda: [text for text in second.told if "waiting for another run" in text])
        estate.advance_clock(LONG)
        assert [run.result().outputs.activates_guests for run in (begun, late)] == [True, True]
        assert estate.counts()["plain"]["activations"] == 1
    assert not [text for text in second.told if "applying key" in text]
