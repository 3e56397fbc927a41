"""Tests on all supported Python versions.

Each version runs the unit tests. The oldest and the newest version also run the tests of the protocol and of the
simulator. All other tests run once, with the Python of `.venv`.
"""

import os

import nox

PYTHONS = ("3.10", "3.11", "3.12", "3.13")

nox.options.error_on_missing_interpreters = "CI" in os.environ


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Install the pinned packages, and run the tests without the engine."""
    session.install("--require-hashes", "-r", "tools/requirements.txt")
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    ends = session.python in (PYTHONS[0], PYTHONS[-1])
    folders = ["tests/unit", *(["tests/contract", "tests/simulator"] if ends else [])]
    session.run("pytest", "-q", "-m", "not engine", *folders, *session.posargs)
