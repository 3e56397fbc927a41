"""The committed schema is complete, and matches the declarations."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import package_schema
from avma.configuration import Configuration
from avma.deadline import duration_error
from avma.functions import FUNCTIONS
from avma.functions.function import Function
from avma.functions.get_cluster_guests import ClusterGuest
from avma.functions.get_cluster_nodes import ClusterNode
from avma.functions.get_host_vms import HostVm
from avma.properties import Choice, Property, properties, validate
from avma.resources import RESOURCES
from avma.resources.cluster_activation.activation_properties import GuestActivation
from avma.resources.cluster_license.cluster_properties import NodeLicense
from avma.resources.resource import Resource
from avma.wording import camel_case
from pulumi_resource_avma import __version__
from pulumi_resource_avma.packaged_schema import schema_text
from pulumi_resource_avma.schema import documentation

ROOT = Path(__file__).parents[2]
COMMITTED: dict[str, Any] = json.loads((ROOT / "schema.json").read_text("utf-8"))

SECRETS = {
    "provider.password",
    "avma:index:HostLicense.productKey",
    "avma:index:VmActivation.productKey",
    "avma:index:Connection.password",
    "avma:index:Guest.password",
    "avma:index:GuestDefaults.password",
}
"""Secret properties. A secret must stay secret, so this list only grows."""


def described() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield all input properties by owner and name."""
    owners = {"provider": COMMITTED["provider"]["inputProperties"]}
    owners |= {token: resource["inputProperties"] for token, resource in COMMITTED["resources"].items()}
    owners |= {token: kind["properties"] for token, kind in COMMITTED["types"].items() if "properties" in kind}
    for owner, entries in owners.items():
        for name, entry in entries.items():
            yield f"{owner}.{name}", entry


def test_committed_is_what_is_generated() -> None:
    assert (ROOT / "schema.json").read_text("utf-8") == package_schema.text(), "run `make docs`"


def test_committed_has_no_version_and_served_has() -> None:
    assert "version" not in COMMITTED
    assert json.loads(schema_text("1.2.3")) == {**COMMITTED, "version": "1.2.3"}


def test_secrets_stay_secret() -> None:
    assert {path for path, entry in described() if entry.get("secret")} >= SECRETS
    for token in ("avma:index:HostLicense", "avma:index:VmActivation"):
        assert COMMITTED["resources"][token]["properties"]["productKey"]["secret"]
    assert COMMITTED["config"]["variables"]["password"]["secret"]


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
def test_replacing_properties_say_so(resource: Resource) -> None:
    described_inputs = COMMITTED["resources"][f"avma:index:{resource.name}"]["inputProperties"]
    replacing = {camel_case(prop.name) for prop in properties(resource.inputs) if prop.rule.replaces}
    assert replacing == {name for name, entry in described_inputs.items() if entry.get("willReplaceOnChanges")}
    # A ClusterActivation is a set of guests, so other hosts are an update.
    assert replacing or resource.name == "ClusterActivation"


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.name)
def test_inputs_are_outputs_as_well(resource: Resource) -> None:
    described_resource = COMMITTED["resources"][f"avma:index:{resource.name}"]
    assert set(described_resource["inputProperties"]) <= set(described_resource["properties"])
    assert set(described_resource.get("requiredInputs", [])) <= set(described_resource["required"])


KINDS: list[Resource | Function] = [*RESOURCES, *FUNCTIONS]


def records() -> Iterator[type]:
    """Yield the records with properties that users see, including nested ones."""
    waiting = [Configuration, *(part for kind in KINDS for part in (kind.inputs, kind.outputs))]
    while waiting:
        record = waiting.pop()
        yield record
        inner = (
            typing.get_args(prop.type)[-1] if typing.get_args(prop.type) else prop.type for prop in properties(record)
        )
        waiting += [each for each in inner if dataclasses.is_dataclass(each) and isinstance(each, type)]


def declared() -> list[Any]:
    """Return all properties that users see, each with its record."""
    found = {(record.__name__, prop.name): (record, prop) for record in records() for prop in properties(record)}
    return [pytest.param(record, prop, id=f"{owner}.{name}") for (owner, name), (record, prop) in found.items()]


@pytest.mark.parametrize(("record", "prop"), declared())
def test_every_property_has_an_example_that_its_own_rule_accepts(record: type, prop: Property) -> None:
    inner = typing.get_args(prop.type)[-1] if typing.get_args(prop.type) else prop.type
    if typing.get_origin(prop.type) is list and dataclasses.is_dataclass(inner):
        return  # A list of records: each of their properties has an example.
    assert prop.example is not None
    assert [
        failure for failure in validate(record, {prop.name: prop.example}) if failure.path.startswith(prop.name)
    ] == []
    assert "Example: `" in documentation(prop)


@pytest.mark.parametrize(("record", "prop"), declared())
def test_every_property_has_its_default_and_unit_where_it_can_have_one(record: type, prop: Property) -> None:
    if not prop.required and record not in {kind.outputs for kind in KINDS} | {
        NodeLicense,
        GuestActivation,
        ClusterGuest,
        ClusterNode,
        HostVm,
    }:
        assert "Default: " in documentation(prop)
    if prop.type in (int, float) or prop.rule.check is duration_error:
        assert prop.rule.unit
        assert "Unit: " in documentation(prop)


def test_everything_is_described() -> None:
    undescribed = [path for path, entry in described() if not entry.get("description")]
    undescribed += [token for token, entry in COMMITTED["resources"].items() if not entry["description"]]
    undescribed += [
        member["value"]
        for kind in COMMITTED["types"].values()
        for member in kind.get("enum", [])
        if not member["description"]
    ]
    assert undescribed == []


def test_choices_are_enums() -> None:
    found = {
        prop.type.__name__: [member.value for member in prop.type]
        for record in (Configuration, *(resource.inputs for resource in RESOURCES))
        for prop in properties(record)
        if isinstance(prop.type, type) and issubclass(prop.type, Choice)
    }
    for name, values in found.items():
        assert [member["value"] for member in COMMITTED["types"][f"avma:index:{name}"]["enum"]] == values


def test_the_environment_is_described_and_never_filled_in_by_sdks() -> None:
    variables = COMMITTED["config"]["variables"]
    assert "`AVMA_PASSWORD`" in variables["password"]["description"]
    assert not [name for name, entry in variables.items() if {"default", "defaultInfo"} & set(entry)]


def test_nothing_is_promised_at_a_place_that_does_not_exist() -> None:
    assert not {"homepage", "repository", "logoUrl", "pluginDownloadURL"} & set(COMMITTED)


@pytest.fixture
def pulumi() -> str:
    found = shutil.which("pulumi", path=os.pathsep.join([str(ROOT / ".cache" / "bin"), os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip("no pulumi on PATH")
    return found


def run(command: list[str], home: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PULUMI_HOME": str(home),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "1",
    }
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.engine
def test_the_real_pulumi_accepts_it(pulumi: str, tmp_path: Path) -> None:
    checked = run([pulumi, "schema", "check", str(ROOT / "schema.json")], tmp_path)
    assert (checked.returncode, checked.stdout.strip()) == (0, ""), checked.stderr


@pytest.mark.engine
@pytest.mark.skipif(os.name == "nt", reason="a shell script")
def test_the_real_pulumi_gets_it_from_the_plugin(pulumi: str, tmp_path: Path) -> None:
    plugin = tmp_path / "pulumi-resource-avma"
    plugin.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pulumi_resource_avma "$@"\n', "utf-8")
    plugin.chmod(0o755)
    got = run([pulumi, "package", "get-schema", str(plugin)], tmp_path)
    assert got.returncode == 0, got.stderr
    assert json.loads(got.stdout) == {**COMMITTED, "version": __version__}
