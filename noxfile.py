"""The unit, contract and simulator tests on every Python that the project supports and the machine has.

The tests of the core against the estate, and those with the engine, run once, on the Python of `.venv`.
"""

import nox

nox.options.error_on_missing_interpreters = False


@nox.session(python=["3.10", "3.11", "3.12", "3.13"])
def tests(session: nox.Session) -> None:
    """Install what is pinned and run the tests that need no pulumi engine."""
    session.install("--require-hashes", "-r", "tools/requirements.txt")
    session.install("--no-deps", "--no-build-isolation", "-e", ".")
    folders = ["tests/unit", "tests/contract", "tests/simulator"]
    session.run("pytest", "-q", "-m", "not engine", *folders, *session.posargs)
