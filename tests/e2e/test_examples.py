"""The examples, run with the commands in their READMEs, and the scripts of the examples/gitops pipelines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from e2e.estate import ADMINISTRATOR, HOST, HOST_KEY, PASSWORD, estate, machine, vm_activation
from examples import EXAMPLES, play
from loopback import address
from pulumi_resource_avma import __version__

GITOPS = EXAMPLES / "gitops"
SHOWN = {
    "adopt": "5 unchanged",
    "cluster": "42 unchanged",
    "fleet": "activated      4",
    "gitops": "test 3 = 3",
    "quickstart": "5 unchanged",
    "unattend": "<ProductKey>YDFWN-MJ9JR-3DYRK-FXXRW-78VHK</ProductKey>",
}
SCHEMAS = {
    ".github/workflows/avma.yml": ("vendor.github-workflows",),
    ".gitlab-ci.yml": ("vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}


@pytest.mark.parametrize("example", sorted(EXAMPLES.iterdir()), ids=lambda folder: folder.name)
def test_an_example_does_what_its_readme_says(example: Path, tmp_path: Path) -> None:
    done = play(example, tmp_path)
    assert done.returncode == 0, done.stdout
    assert SHOWN[example.name] in done.stdout


@pytest.mark.parametrize("file", SCHEMAS)
def test_a_pipeline_is_one_and_runs_the_scripts_alone(file: str) -> None:
    """All other lines install the plugin. tests/dist covers the installation."""
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *SCHEMAS[file], str(GITOPS / file)]
    checked = subprocess.run(check, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    run = set(re.findall(r"(?:run: |script: \[|- )(p\S[^\]\n]*)", (GITOPS / file).read_text()))
    scripts = {f"pipeline/{script.name}" for script in (GITOPS / "pipeline").iterdir()}
    assert scripts <= run
    others = {line for line in run - scripts if not line.startswith("pulumi/")}
    assert others == {f"pip install pulumi-resource-avma=={__version__}"}


def test_the_scripts_can_be_run_and_stop_at_what_fails() -> None:
    for script in (GITOPS / "pipeline").iterdir():
        assert os.access(script, os.X_OK)
        assert "set -eu\n" in script.read_text()


def test_the_operators_stack_is_of_its_kind() -> None:
    stack = yaml.safe_load((GITOPS / "operator" / "stack.yaml").read_text())
    assert (stack["apiVersion"], stack["kind"]) == ("pulumi.com/v1", "Stack")
    program = yaml.safe_load((GITOPS / "Pulumi.yaml").read_text())
    secret = {name for name, value in program["config"].items() if value.get("secret")}
    assert secret | {"avma:guest"} == set(stack["spec"]["secretsRef"])


def test_the_account_of_guests_can_be_one_secret_as_in_the_operators_stack(serve, workspace) -> None:
    serve(estate(machine("web01", "2022", "Standard", address(21)), license={"key": HOST_KEY}))
    stack = workspace({"web01": vm_activation("web01", host=HOST)})
    account = {"username": ADMINISTRATOR, "password": PASSWORD, "transport": "winrm", "https": False}
    stack.run("config", "rm", "avma:guest")
    stack.run("config", "set", "--secret", "avma:guest", text=json.dumps(account))
    stack.run("up", "--yes")
    stack.run("preview", "--refresh", "--expect-no-changes")
