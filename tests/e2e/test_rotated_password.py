"""A password that changes after the last `pulumi up`, of hosts and guests: stored settings and the environment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from avma.keys import KeyKind
from avma_simulator import load_estate, running
from e2e.estate import ADMINISTRATOR, HOST_KEY, PASSWORD, estate, host_license, machine, published, vm_activation
from loopback import address
from workspace import Workspace

NEW_PASSWORD = "N3w-after-the-rotation"
PROGRAM = {"hv01": host_license(), "web01": vm_activation("web01", onDelete="uninstallKey")}
STORED = "use the settings that the last `pulumi up` saved"


def licensed(password: str) -> str:
    """Return an estate with that password, whose machines are licensed."""
    avma = {"key": published(KeyKind.AVMA, "2022", "Standard"), "status": "Licensed"}
    guest = machine("web01", "2022", "Standard", address(21), license=avma)
    return yaml.safe_dump(estate({**guest, "password": password}, license={"key": HOST_KEY}, password=password))


@pytest.fixture
def use(tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Return a function that gives all machines a password: it replaces the simulator."""
    file = tmp_path / "estate.yaml"
    with ExitStack() as servers:

        def start(password: str) -> None:
            servers.close()
            file.write_text(licensed(password))
            servers.enter_context(running(load_estate(file)))

        yield start


def resources(stack: Workspace) -> set[str]:
    found = stack.export()["deployment"].get("resources", [])
    return {each["urn"].rpartition("::")[2] for each in found if each["type"].startswith("avma:")}


@pytest.fixture
def rotated(use: Callable[[str], None], workspace: Callable[..., Workspace]) -> Workspace:
    """Return a stack whose configuration has the new password, and whose state has the old one."""
    use(PASSWORD)
    stack = workspace(PROGRAM)
    stack.run("up", "--yes", "--skip-preview")
    use(NEW_PASSWORD)
    for name in ("avma:password", "avma:guest.password"):
        stack.run("config", "set", "--secret", "--path", name, text=NEW_PASSWORD)
    return stack


@pytest.mark.parametrize(
    "command",
    [("refresh", "--yes"), ("preview", "--refresh"), ("up", "--yes", "--refresh"), ("destroy", "--yes")],
    ids=["refresh", "preview", "up", "destroy"],
)
def test_the_error_names_the_stored_settings_and_run_program_uses_the_new_ones(
    rotated: Workspace, command: tuple[str, ...]
) -> None:
    failed = rotated.run(*command, check=False)
    assert failed.returncode != 0
    assert STORED in failed.stdout
    assert "add `--run-program`" in failed.stdout
    assert resources(rotated) == {"hv01", "web01"}
    rotated.run(*command, "--run-program")
    assert resources(rotated) == (set() if command[0] == "destroy" else {"hv01", "web01"})
    assert NEW_PASSWORD not in rotated.printed + rotated.stored()


def test_a_plain_up_uses_the_new_password_and_then_a_refresh_does(rotated: Workspace) -> None:
    rotated.run("up", "--yes", "--skip-preview")
    rotated.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")


def test_accounts_from_the_environment_are_not_stored_and_follow_a_rotation(
    use: Callable[[str], None], workspace: Callable[..., Workspace]
) -> None:
    stack = workspace(PROGRAM)
    for name in ("username", "password", "guest.username", "guest.password"):
        stack.run("config", "rm", "--path", f"avma:{name}")

    def accounts(password: str) -> dict[str, Any]:
        names = ("AVMA", "AVMA_GUEST")
        return {f"{name}_{key}": value for name in names for key, value in account(password).items()}

    def account(password: str) -> dict[str, str]:
        return {"USERNAME": ADMINISTRATOR, "PASSWORD": password}

    use(PASSWORD)
    stack.run("up", "--yes", "--skip-preview", **accounts(PASSWORD))
    use(NEW_PASSWORD)
    new = accounts(NEW_PASSWORD)
    stack.run("refresh", "--yes", "--skip-preview", "--expect-no-changes", **new)
    stack.run("preview", "--refresh", "--expect-no-changes", **new)
    half = {**new, "AVMA_GUEST_PASSWORD": ""}
    assert "guest.password" in stack.run("refresh", "--yes", "--skip-preview", check=False, **half).stdout
    stack.run("destroy", "--yes", **new)
    assert resources(stack) == set()
    assert ADMINISTRATOR not in stack.stored()
    assert NEW_PASSWORD not in stack.printed + stack.stored()
