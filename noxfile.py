"""Tests on all supported Python versions.

Each version runs the unit tests. The oldest and the newest version also run the lifecycle tests: the calls of the
plugin, the conformance suite, and the resources against the simulator. The newest version measures the coverage of its
tests. All other tests run once, with the Python of `.venv`.

Without the variable CI, a missing Python is skipped. With it, a missing Python is an error. PYTHONS selects versions.
"""

import os

import nox

PYTHONS = os.environ.get("PYTHONS", "3.10 3.11 3.12 3.13 3.14").split()
LIFECYCLE = (
    "tests/contract",
    "tests/conformance",
    "tests/core/test_host_license.py",
    "tests/core/test_host_import_and_delete.py",
    "tests/core/test_several_licenses.py",
    "tests/core/test_vm_activation.py",
)

nox.options.error_on_missing_interpreters = "CI" in os.environ


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Install the pinned packages, and run the tests without the engine."""
    session.install("--no-compile", "--require-hashes", "-r", "tools/requirements.txt")
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    lifecycle = LIFECYCLE if session.python in (PYTHONS[0], PYTHONS[-1]) else ()
    coverage = ("--cov", "--cov-report=") if session.python == PYTHONS[-1] else ()
    session.run(
        "pytest",
        "-q",
        "-n",
        "auto",
        "--dist",
        "loadgroup",
        "-m",
        "not engine",
        "tests/unit",
        *lifecycle,
        *coverage,
        *session.posargs,
    )
