"""Faults of connections with Kerberos: a sample, against a real KDC."""

from __future__ import annotations

import pytest

from avma.settings import Auth
from core.kdc import Realm
from core.test_kerberos import NAME
from faults.scenarios import SCENARIOS
from faults.sockets import Sample

CREATE = next(scenario for scenario in SCENARIOS if scenario.name == "HostLicense: create")
FAULTY = ("cut after", "truncated", "401", "flipped byte")


@pytest.mark.parametrize("https", [False, True], ids=["http", "https"])
def test_a_host_is_licensed_once_with_kerberos(realm: Realm, https: bool) -> None:
    sample = Sample(CREATE, https, Auth.KERBEROS, kerberos_hostname=NAME)
    cases = [case for case in sample.cases() if case.fault.name in FAULTY and "Activate" in str(case.request)]
    outcomes = [sample.run(case) for case in cases]
    assert len(outcomes) == len(FAULTY)
    assert all(outcome.happened for outcome in outcomes)
    assert [outcome.findings for outcome in outcomes if outcome.findings] == []
