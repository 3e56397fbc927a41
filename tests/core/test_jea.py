"""Scripts in a session configuration of `avma jea`: what the host receives, and the errors with their remedies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from avma import errors
from avma.windows import powershell
from avma_simulator import load_estate, running
from core.rights.lab import BARE, HOSTS, LICENSED, LOCAL, Bench, estate_of
from core.runner import HOST_KEY
from rights import Right

RIGHTS = (
    Right.MANAGEMENT,
    Right.CIMV2,
    Right.VIRTUALIZATION,
    Right.HYPER_V,
    Right.JEA,
    Right.GUEST_ADMINISTRATOR,
)


@pytest.fixture
def bench(tmp_path: Path):
    with running(load_estate(estate_of(tmp_path))) as server:
        made = Bench(server, jea=True)
        yield made
        made.close()


def test_a_host_receives_names_of_functions_and_no_script(bench):
    run = bench.runner(RIGHTS)
    run.activate("fresh", LICENSED)
    assert bench.estate.machine("fresh")["status"] == "Licensed"
    texts = [block["text"] for block in bench.estate.script_blocks("licensed")]
    assert set(texts) == {powershell.load("cim-in-guest").function}


def test_all_scripts_of_a_host_share_one_session(bench):
    run = bench.runner(RIGHTS)
    run.activate("fresh", LICENSED)
    run.activate("active", LICENSED)
    assert bench.estate.counts()["licensed"]["pools"] == 1


def test_a_configuration_that_is_not_registered_is_named_with_its_remedy(bench):
    run = bench.runner(RIGHTS)
    run.configuration = replace(run.configuration, configuration_name="other")
    with pytest.raises(errors.Refused, match=r"no session configuration `other`\. Write it with `avma jea`"):
        run.activate("fresh", LICENSED)


def test_a_function_of_another_version_is_missing(bench, monkeypatch):
    run = bench.runner(RIGHTS)
    script = powershell.load("cim-in-guest")
    monkeypatch.setattr(powershell, "load", lambda name: replace(script, function="Invoke-AvmaCimInGuest99"))
    with pytest.raises(errors.Refused, match=r"does not permit the function Invoke-AvmaCimInGuest99\. Write it again"):
        run.activate("fresh", LICENSED)


def test_a_session_without_the_lock_function_still_licenses_with_a_warning(bench, monkeypatch):
    """A session file of an older version lacks the function. The other functions are the same."""
    run = bench.runner((Right.ADMINISTRATOR, Right.JEA))
    load = powershell.load
    unknown = replace(load("license-lock"), function="Lock-AvmaLicense99")
    monkeypatch.setattr(powershell, "load", lambda name: unknown if name == "license-lock" else load(name))
    run.license(BARE, HOST_KEY)
    assert bench.estate.machine("bare")["status"] == "Licensed"
    (warning,) = [text for text in run.told if "could not lock the machine against other runs" in text]
    assert "does not permit the function Lock-AvmaLicense99" in warning
    assert "Let only one run at a time license the machine" in warning


def test_azure_local_takes_its_key_from_an_account_that_is_no_administrator(bench):
    run = bench.runner(RIGHTS)
    run.license(LOCAL, HOST_KEY)
    assert bench.estate.machine("local")["automaticActivation"]["PartialProductKey"] == HOST_KEY[-5:]
    shown = [name for block in bench.estate.script_blocks("local") for name in (block["text"], *block["parameters"])]
    assert {"Invoke-AvmaServerAvmaManager2", "Action", "ProductKey"} <= set(shown)
    assert not any(HOST_KEY in text for text in map(str, bench.estate.script_blocks("local")))


def test_wmi_does_not_use_the_configuration(bench):
    run = bench.runner((Right.ADMINISTRATOR, Right.JEA))
    run.license(LICENSED, None)
    assert {name: bench.estate.counts()[name]["pools"] for name in HOSTS} == dict.fromkeys(HOSTS, 0)
