"""Errors of the core do not change, because several callers can share one."""

from __future__ import annotations

import inspect
import re
from typing import Any

from avma import errors
from avma.resources.guest_network import _SET_ADDRESS, _Failures

FAULT = errors.LicensingFault("activate Windows", "hv01", "0xC004C003", "check the key", 0xC004C003)


def test_a_copy_with_other_texts_keeps_the_kind_and_the_number() -> None:
    other = FAULT.but(answer="blocked", remedy="")
    assert (type(other), other.code, other.topic) == (errors.LicensingFault, FAULT.code, FAULT.topic)
    assert (other.tried, other.where, other.answer, other.remedy) == ("activate Windows", "hv01", "blocked", "")
    assert other.args == ("activate Windows", "hv01", "blocked", "")
    assert (FAULT.answer, FAULT.remedy) == ("0xC004C003", "check the key")


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
