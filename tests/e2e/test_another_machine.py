"""Another machine answers at the name of a host, with the real engine."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from avma_simulator import load_estate, running
from e2e.estate import HOST, HOST_KEY, SPARE_KEY, estate, host_license, machine

NEW = machine("hv99", "2022", "Datacenter", HOST, license={"key": HOST_KEY})
SECRETS = {"productKey": HOST_KEY, "spareKey": SPARE_KEY}


@pytest.fixture
def stack(tmp_path, workspace):
    """A stack with hv01, which another machine with the same key has replaced in the meantime."""
    stack = workspace({"hv01": host_license(productKey="${productKey}", onDelete="uninstallKey")}, SECRETS)
    with running(load_estate(written(tmp_path, estate()))):
        stack.run("up", "--yes", "--skip-preview")
    return stack


@pytest.fixture
def server(stack, tmp_path):
    with running(load_estate(written(tmp_path, {**estate(), "hosts": [NEW]}))) as server:
        yield server


def written(folder: Any, values: dict[str, Any]) -> Any:
    file = folder / "estate.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def test_destroy_and_up_leave_it_alone_until_a_refresh(server, stack):
    refused = stack.run("destroy", "--yes", "--skip-preview", check=False).stdout
    assert "could not uninstall the host's product key: the machine hv99.workgroup/" in refused
    assert "this resource is the machine hv01.workgroup/" in refused
    assert "run `pulumi refresh`" in refused
    assert "run `pulumi state delete" in refused
    stack.write_resources({"hv01": host_license(productKey="${spareKey}", onDelete="uninstallKey")})
    for command in (("preview",), ("up", "--yes", "--skip-preview")):
        shown = stack.run(*command, check=False).stdout
        assert "could not license the host: the machine hv99.workgroup/" in shown
    assert server.machine("hv99")["partialProductKey"] == HOST_KEY[-5:]
    refreshed = stack.run("refresh", "--yes", "--skip-preview").stdout
    assert "the machine hv99.workgroup/" in refreshed
    assert "The state now describes the machine" in refreshed
    stack.run("destroy", "--yes", "--skip-preview")
    assert server.machine("hv99")["status"] != "Licensed"
