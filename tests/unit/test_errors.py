"""Errors of the core do not change, because several callers can share one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from avma import errors
from avma.context import Context
from avma.deadline import Deadline
from avma.resources.guest_network import _SET_ADDRESS, _Failures
from avma.windows.machine import _NotedWmi
from avma.windows.shared_reads import Changes
from avma.wsman.envelope import CimMethod

FAULT = errors.LicensingFault("activate Windows", "hv01", "0xC004C003", "check the key", 0xC004C003)


def test_a_copy_with_other_texts_keeps_the_kind_and_the_number() -> None:
    other = FAULT.but(answer="blocked", remedy="")
    assert (type(other), other.code, other.topic) == (errors.LicensingFault, FAULT.code, FAULT.topic)
    assert (other.tried, other.where, other.answer, other.remedy) == ("activate Windows", "hv01", "blocked", "")
    assert other.args == ("activate Windows", "hv01", "blocked", "")
    assert (FAULT.answer, FAULT.remedy) == ("0xC004C003", "check the key")


@pytest.mark.parametrize(
    ("kind", "in_doubt"), [(errors.AnswerLost, True), (errors.UnexpectedAnswer, True), (errors.ServiceBusy, False)]
)
def test_the_error_of_a_change_that_may_have_run_is_in_doubt_and_that_of_a_read_is_not(
    kind: type[errors.AvmaError], in_doubt: bool
) -> None:
    def fail(*_: Any) -> Any:
        raise kind("ask", "hv01", "nothing", "look")

    context = Context("ask", "hv01", Deadline(5))
    inner: Any = SimpleNamespace(invoke=fail, invoke_then_query=fail, query=fail, query_all=fail, close=fail)
    wmi = _NotedWmi(inner, Changes().change)
    method = CimMethod("root/cimv2", "SoftwareLicensingProduct", "Activate")
    changes: list[Callable[[], Any]] = [
        lambda: wmi.invoke(context, method, {}, {}),
        lambda: wmi.invoke_then_query(context, method, {}, {}, "SELECT * FROM A"),
    ]
    for change in changes:
        with pytest.raises(kind) as caught:
            change()
        assert caught.value.in_doubt is in_doubt
        assert caught.value.but(tried="activate").in_doubt is in_doubt
    with pytest.raises(kind) as caught:
        wmi.query(context, "root/cimv2", "SELECT * FROM A")
    assert not caught.value.in_doubt


def test_mypy_rejects_an_assignment_to_an_error() -> None:
    assert re.findall(r"self\.\w+ =.*", inspect.getsource(errors)) == []
    assert "self.remedy: Final = remedy" in inspect.getsource(errors)


def test_the_errors_of_several_addresses_are_combined_in_another_one() -> None:
    placement: Any = type("Place", (), {"where": "web01 (host hv01)"})
    first = errors.Unreachable("connect", "192.0.2.1", "no answer", "check the network")
    second = errors.Unreachable("connect", "192.0.2.2", "refused", "check the network")
    for _ in range(2):
        combined = _Failures([("192.0.2.1", first), ("192.0.2.2", second)]).combined(placement, [])
        assert combined.answer == "all of its addresses failed (192.0.2.1: no answer; 192.0.2.2: refused)"
        assert combined.remedy == f"check the network; or {_SET_ADDRESS}"
    assert str(first) == str(errors.Unreachable("connect", "192.0.2.1", "no answer", "check the network"))
