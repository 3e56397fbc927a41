"""All dependencies are pinned with hashes, agree with each other, and have accepted licenses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PINS = sorted((ROOT / "tools").rglob("requirements*.txt"))
LOCKS = sorted(path for path in ROOT.rglob("package-lock.json") if not {".cache", "node_modules"} & set(path.parts))
MODULES = sorted(path for path in ROOT.rglob("go.mod") if ".cache" not in path.parts and "sdk" not in path.parts[:-2])
_PIN = re.compile(r"[\w.-]+(?:\[[\w,]+\])?==[\w.+!]+(?: ; .+)?(?: --hash=sha256:[0-9a-f]{64})+")
ACCEPTED = re.compile(
    r"\b(?:MIT|Apache[- ]2\.0|Apache Software License|BSD|3-Clause BSD|ISC|PSF|Python Software Foundation|MPL[- ]2\.0)"
)
"""Licenses that permit use in a project under the Apache license, in the words of the packages."""


def requirements(file: Path) -> list[str]:
    """Return the requirements of a file, one line for each."""
    text = re.sub(r"\s*\\\n\s*", " ", file.read_text("utf-8"))
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("file", PINS, ids=lambda file: file.name)
def test_every_python_package_is_pinned_with_hashes(file: Path) -> None:
    assert [line for line in requirements(file) if not _PIN.fullmatch(line)] == []
    assert requirements(file)


@pytest.mark.parametrize("line", ["x", "x>=1", "x==1", "x @ https://example.com/x.whl", "-e .", "x==1 --hash=md5:0"])
def test_a_loose_requirement_is_found(line: str) -> None:
    assert not _PIN.fullmatch(line)


def declared() -> Iterator[str]:
    """Yield the requirements of the package, with its extras."""
    yield from metadata.requires("pulumi-resource-avma") or ()


def test_every_declared_dependency_has_a_pin_that_it_accepts() -> None:
    files = (ROOT / "tools" / "requirements.txt", ROOT / "tools" / "requirements-kerberos.txt")
    pins = dict(line.split(" ")[0].split("==") for file in files for line in requirements(file))
    pinned = {canonicalize_name(name): version for name, version in pins.items()}
    for text in declared():
        wanted = Requirement(text)
        assert wanted.specifier.contains(pinned[canonicalize_name(wanted.name)]), text


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: str(file.relative_to(ROOT)))
def test_npm_packages_are_pinned_with_hashes(file: Path) -> None:
    packages: dict[str, dict[str, Any]] = json.loads(file.read_text("utf-8"))["packages"]
    installed = {name: entry for name, entry in packages.items() if name and not entry.get("link")}
    assert installed
    assert [name for name, entry in installed.items() if not entry.get("integrity", "").startswith("sha512-")] == []


@pytest.mark.parametrize("file", MODULES, ids=lambda file: str(file.relative_to(ROOT)))
def test_go_modules_are_pinned_with_hashes(file: Path) -> None:
    sums = {tuple(line.split()[:2]) for line in file.with_name("go.sum").read_text("utf-8").splitlines()}
    text = file.read_text("utf-8")
    required = re.findall(r"^\s*(?:require )?([\w./-]+\.[\w./-]+) (v[\w.+-]+)(?: // indirect)?$", text, re.MULTILINE)
    replaced = set(re.findall(r"^replace ([\w./-]+)", text, re.MULTILINE))
    missing = {
        pair for pair in required if pair[0] not in replaced and not {pair, (pair[0], f"{pair[1]}/go.mod")} & sums
    }
    assert required
    assert missing == set()


def installed() -> Mapping[str, metadata.Distribution]:
    """Return the packages that users install: the dependencies of the package and theirs."""
    found: dict[str, metadata.Distribution] = {}
    waiting = list(declared())
    while waiting:
        wanted = Requirement(waiting.pop())
        name = canonicalize_name(wanted.name)
        extras = ("", *wanted.extras)
        applies = wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras)
        if applies and name not in found:
            found[name] = metadata.distribution(name)
            waiting += found[name].requires or ()
    return found


def test_licenses_of_what_users_install_are_accepted() -> None:
    unknown = {}
    for name, package in installed().items():
        about = package.metadata
        classifiers = [each for each in about.get_all("Classifier") or () if each.startswith("License ::")]
        licenses = [*(about.get_all("License-Expression") or ()), *(about.get_all("License") or ()), *classifiers]
        if not ACCEPTED.search(" ".join(licenses)):
            unknown[name] = licenses
    assert unknown == {}
    assert len(installed()) > 10


def test_installed_packages_agree_with_each_other() -> None:
    checked = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "No broken requirements found.\n")
