"""A provider process that the engine did not start, and that several commands use one after the other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from e2e.estate import HOST_KEY, SPARE_KEY, estate, host_license

SECRETS = {"productKey": HOST_KEY, "spareKey": SPARE_KEY}


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    """Start a provider process without an engine."""
    command = [sys.executable, "-m", "pulumi_resource_avma"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        yield started
        started.terminate()


def test_a_command_does_not_count_what_resources_wanted_in_the_one_before(serve, workspace, process):
    server = serve(estate())
    made = workspace({"hv01": host_license(productKey="${productKey}")}, SECRETS)
    made.environment["PULUMI_DEBUG_PROVIDERS"] = f"avma:{int(process.stdout.readline())}"
    made.run("up", "--yes")
    made.write_resources({"other": host_license(productKey="${spareKey}")})
    made.run("up", "--yes")
    assert server.machine("hv01")["partialProductKey"] == SPARE_KEY[-5:]
    made.run("preview", "--refresh", "--expect-no-changes")
    process.terminate()
    process.wait()
    assert made.run("preview", check=False).returncode != 0  # no other process served the commands
