"""The packages as users install them: from the output of `make dist`, without the checkout."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
import yaml

import pulumi_resource_avma
from dist.conftest import ROOT, one, run
from loopback import relocated
from waiting import PATIENCE
from workspace import Workspace

VERSION = pulumi_resource_avma.__version__
QUICKSTART = ROOT / "examples" / "quickstart"
MACHINES, PROGRAM = (relocated((QUICKSTART / name).read_text()) for name in ("estate.yaml", "Pulumi.yaml"))
ESTATE = yaml.safe_load(MACHINES)
ARCHIVE = f"pulumi-resource-avma-v{VERSION}-*.tar.gz"


@pytest.fixture
def estate(installed: Path, tmp_path: Path) -> Iterator[None]:
    """Serve the machines of the quickstart with the installed `avma simulate`."""
    file = tmp_path / "estate.yaml"
    file.write_text(MACHINES)
    command = [str(installed / "avma"), "simulate", str(file), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["machines"]
        yield
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)


@pytest.fixture
def quickstart(tmp_path: Path) -> Workspace:
    """The quickstart with a configured stack, in a Pulumi without installed plugins."""
    workspace = Workspace(tmp_path / "pulumi", PROGRAM)
    workspace.run("plugin", "rm", "resource", "avma", "--yes", "--all")
    host = ESTATE["hosts"][0]
    account = {"avma:https": "false", "avma:username": host["username"]}
    guest = {"avma:guest.transport": "winrm", "avma:guest.https": "false", "avma:guest.username": "Administrator"}
    passwords = {"avma:password": host["password"], "avma:guest.password": host["vms"][0]["password"]}
    workspace.new_stack("dev", {**account, **guest}, {**passwords, "productKey": ESTATE["keys"][0]["key"]})
    return workspace


def test_the_plugin_of_the_wheel_is_found_on_path(installed: Path, estate: None, quickstart: Workspace) -> None:
    path = os.pathsep.join([str(installed), quickstart.environment["PATH"]])
    ambient: dict[str, Any] = {"PATH": path, "PULUMI_IGNORE_AMBIENT_PLUGINS": "false"}
    quickstart.run("up", "--yes", "--skip-preview", **ambient)
    quickstart.run("preview", "--expect-no-changes", **ambient)
    quickstart.run("destroy", "--yes", **ambient)


def test_the_archive_is_installed_as_a_plugin(built: Path, estate: None, quickstart: Workspace) -> None:
    quickstart.run("plugin", "install", "resource", "avma", VERSION, "--file", str(one(built, ARCHIVE)))
    quickstart.run("up", "--yes", "--skip-preview")
    quickstart.run("preview", "--expect-no-changes")


def test_an_installed_archive_explains_errors_without_the_avma_command(built: Path, quickstart: Workspace) -> None:
    quickstart.run("plugin", "install", "resource", "avma", VERSION, "--file", str(one(built, ARCHIVE)))
    explain = ("plugin", "run", "--kind", "resource", "avma", "explain")
    assert quickstart.run(*explain, "not-ready").stdout.startswith("not-ready\n\nThe VM or cluster node is off")
    assert "SL_E_INVALID_PRODUCT_KEY" in quickstart.run(*explain, "0xC004F050").stdout
    unknown = quickstart.run(*explain, "not-redy", check=False)
    assert unknown.returncode == 2
    assert "did you mean not-ready?" in unknown.stdout


def test_the_archive_is_added_as_a_package(built: Path, tmp_path: Path, quickstart: Workspace) -> None:
    with tarfile.open(one(built, ARCHIVE)) as archive:
        archive.extractall(tmp_path / "plugin", filter="data")
    plugin = str(tmp_path / "plugin" / "pulumi-resource-avma")
    schema = json.loads(quickstart.run("package", "get-schema", plugin).stdout)
    assert schema == {**json.loads((ROOT / "schema.json").read_text()), "version": VERSION}
    # Linking is the last step. The YAML host built here does not support it.
    assert "Successfully generated an SDK for the avma package" in quickstart.run(
        "package", "add", plugin, check=False
    ).stdout
    assert yaml.safe_load(one(quickstart.project / "sdks", "avma/*.yaml").read_text())["version"] == VERSION


def test_pulumis_way_to_run_a_folder_runs_the_plugin(installed: Path, tmp_path: Path) -> None:
    """Pulumi's Python host, which is missing here, would start this command for the folder.

    The folder contains a PulumiPlugin.yaml and a pyproject.toml.
    """
    declared = yaml.safe_load((ROOT / "PulumiPlugin.yaml").read_text())["runtime"]
    assert (declared["name"], declared["options"]["toolchain"]) == ("python", "pip")
    command = [str(installed / "python"), "-m", "pulumi.run.plugin", "pulumi-resource-avma"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as plugin:
        assert plugin.stdout is not None
        assert int(plugin.stdout.readline()) > 0
        plugin.send_signal(signal.SIGTERM)
        assert plugin.communicate(timeout=PATIENCE)[1] == ""


def test_pulumi_does_not_take_the_provider_for_an_sdk(installed: Path) -> None:
    sdk = {"name": "avma", "resource": True, "version": VERSION}
    assert required_plugins(installed / "python") == {"pulumi-avma": sdk, "pulumi-resource-avma": {"resource": False}}


def test_pulumi_does_not_take_an_editable_install_for_an_sdk(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    build = f"import hatchling.build as builder; builder.build_editable({str(tmp_path)!r})"
    run(sys.executable, "-c", build, cwd=ROOT)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", "--no-deps", one(tmp_path, "*.whl"))
    assert required_plugins(python) == {"pulumi-resource-avma": {"resource": False}}
    imported = run(python, "-c", "import pulumi_resource_avma; print(pulumi_resource_avma.__file__)", cwd=tmp_path)
    assert imported.startswith(str(ROOT))


def required_plugins(python: Path) -> dict[str, Any]:
    """Return the packages that Pulumi's Python host treats as SDKs, each with its marker file.

    The host lists the packages with pip. A package is an SDK if it has a marker file or if its name begins with
    "pulumi-". Without the marker file, the host derives the plugin name from the package name.
    """
    listed = json.loads(run(python, "-m", "pip", "list", "-v", "--format", "json"))
    found: dict[str, Any] = {}
    for package in listed:
        name = package["name"].replace("_", "-")
        marker = Path(package["location"]) / name.replace("-", "_") / "pulumi-plugin.json"
        if marker.exists():
            found[name] = json.loads(marker.read_text())
        elif name.startswith("pulumi-"):
            found[name] = None
    return found


def test_the_archive_holds_no_path_of_its_builder_and_no_time(built: Path) -> None:
    with tarfile.open(one(built, ARCHIVE)) as archive:
        entries = archive.getmembers()
    assert {"pulumi-resource-avma", "LICENSE"} <= {entry.name for entry in entries}
    assert not [entry.name for entry in entries if entry.name.startswith(("/", ".."))]
    assert {(entry.uid, entry.uname) for entry in entries} == {(0, "")}
    assert len({entry.mtime for entry in entries}) == 1


def test_the_source_distribution_makes_the_same_wheel(built: Path, tmp_path: Path) -> None:
    with tarfile.open(one(built, "pulumi_resource_avma-*.tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    (sources,) = tmp_path.iterdir()
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path / "again", cwd=sources)
    assert contents(one(tmp_path / "again", "*.whl")) == contents(one(built, "pulumi_resource_avma-*.whl"))


def test_the_source_distribution_has_the_marker(built: Path) -> None:
    with tarfile.open(one(built, "pulumi_resource_avma-*.tar.gz")) as archive:
        names = [entry.partition("/")[2] for entry in archive.getnames()]
    assert "provider/pulumi_resource_avma/pulumi-plugin.json" in names


def test_the_wheel_holds_each_file_once(built: Path) -> None:
    with zipfile.ZipFile(one(built, "pulumi_resource_avma-*.whl")) as archive:
        names = archive.namelist()
    assert sorted(set(names)) == sorted(names)


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_installed_commands_work_without_the_checkout(installed: Path, tmp_path: Path) -> None:
    assert "doctor" in run(installed / "avma", "--help", cwd=tmp_path)
    program = "import pulumi_avma, avma, pulumi_resource_avma.dynamic; print(pulumi_avma.__file__)"
    assert "site-packages" in run(installed / "python", "-c", program, cwd=tmp_path)


def test_a_plugin_needs_nothing_of_the_simulator(built: Path) -> None:
    (metadata,) = (text for name, text in contents(one(built, "pulumi_resource_avma-*.whl")).items()
                   if name.endswith("METADATA"))  # fmt: skip
    required = Parser().parsestr(metadata.decode()).get_all("Requires-Dist") or []
    plain = {line.split(">")[0].split("<")[0].strip().lower() for line in required if "extra ==" not in line}
    assert not plain & {"aiohttp", "lark", "pydantic"}
    assert {"grpcio", "pywinrm", "pypsrp"} <= plain


def test_everything_has_one_version(built: Path) -> None:
    package = json.loads((ROOT / "sdk" / "nodejs" / "package.json").read_text())
    go = json.loads((ROOT / "sdk" / "go" / "avma" / "pulumi-plugin.json").read_text())
    assert package["version"] == package["pulumi"]["version"] == go["version"] == VERSION
    own = [file.name for file in built.iterdir() if file.name != "SHA256SUMS"]
    assert len(own) == 6
    assert all(VERSION in name for name in own)


def test_the_checksums_are_those_of_the_files(built: Path) -> None:
    entries = (line.split("  ") for line in (built / "SHA256SUMS").read_text().splitlines())
    lines = {name: digest for digest, name in entries}
    found = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in built.iterdir()}
    assert lines == {name: digest for name, digest in found.items() if name != "SHA256SUMS"}
