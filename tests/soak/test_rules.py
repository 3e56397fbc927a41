"""The rules of random runs: they find what they are for."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from soak import program
from soak.diagnostics import provider_errors
from soak.judging import Judge, removed_by_refresh, removed_by_up
from soak.program import Kept, Outcome

VM = "urn:pulumi:dev::soak::avma:index:VmActivation::vm-a"


class Stack:
    """A stack with the activation of one VM in its state."""

    def __init__(self, declared: str | None = "a") -> None:
        self.program = {} if declared is None else {"vm-a": program.vm_activation(declared)}
        self.kept = {"vm-a": Kept("VmActivation", "hosts/1", {"vmName": "a"}, {"vmName": "a", "vmId": "1"})}

    def state(self) -> dict[str, Kept]:
        return self.kept


def world(vm_id: str | None) -> Any:
    return SimpleNamespace(id_of=lambda _: vm_id)


def lose(rule: Any, stack: Any, present: str | None) -> None:
    judge = Judge(stack, rule(world(present), stack))
    stack.kept = {}
    judge.judge(Outcome())


@pytest.mark.parametrize("rule", [removed_by_up, removed_by_refresh])
def test_a_command_may_not_remove_a_declared_vm(rule: Any) -> None:
    with pytest.raises(AssertionError, match="left the state"):
        lose(rule, Stack(), "1")


@pytest.mark.parametrize("rule", [removed_by_up, removed_by_refresh])
@pytest.mark.parametrize("present", [None, "2"], ids=["deleted", "created again"])
def test_a_command_may_remove_a_vm_that_is_gone(rule: Any, present: str | None) -> None:
    lose(rule, Stack(), present)


@pytest.mark.parametrize("declared", [None, "b"], ids=["withdrawn", "another VM"])
def test_an_update_may_remove_a_vm_that_is_no_longer_declared(declared: str | None) -> None:
    lose(removed_by_up, Stack(declared), "1")


def test_only_errors_about_resources_of_the_provider_need_an_explanation() -> None:
    lines = [
        {"severity": "error", "message": "update failed"},
        {"severity": "error", "message": "resource 'hv01/a' does not exist", "urn": VM},
        {"severity": "warning", "message": "a: the guest keeps its key", "urn": VM},
        {"severity": "error", "message": "a: failed", "urn": VM},
    ]
    log = "\n".join(json.dumps({"diagnosticEvent": line}) for line in lines)
    assert provider_errors(f'{{"resourcePreEvent": {{}}}}\n{log}\n{{"diagn') == ["a: failed"]
