"""If Windows does not report the key, or the report is lost, the provider does not apply a key twice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from avma import errors
from avma.deadline import Deadline
from avma.resources import host_state
from avma.resources.cluster_license.cluster_resource import ClusterLicenseResource
from avma.resources.key_installation import KeyInstallation
from avma.resources.resource import Stored
from avma.settings import AddressedSettings
from avma.windows import azure_local
from avma.windows.powershell import Answers
from core.azure_local.lab import KEY_2022, KEY_2025, MUTE, PLAIN, left, update
from core.runner import stored
from waiting import PATIENCE


@pytest.mark.parametrize(
    ("shown", "partial", "version", "enabled"),
    [
        (
            {"AutomaticVMActivation": "Enabled", "PartialProductKey": "4678B", "KeyVersion": "2022"},
            "4678B",
            "2022",
            True,
        ),
        ({"Status": "Not Activated", "ProductKey": ""}, None, None, False),
        (
            {"ActivationState": "Activated", "Key": "…4678B", "Key version": "Windows Server 2022 Datacenter"},
            "4678B",
            "2022",
            True,
        ),
        ({"State": "Active", "ActivationStatus": "Disabled"}, None, None, None),
        ({"State": "Something new", "Since": "2022", "KeyDate": "2022-01-01"}, None, None, None),
        ({"ProductKey": "*****-*****-*****-*****-4678b", "OSVersion": "2025"}, "4678B", None, None),
        ({"LastActivationError": "None", "SubscriptionStatus": "Inactive", "OsState": "Off"}, None, None, None),
        ({}, None, None, None),
    ],
)
def test_what_the_cmdlet_shows_is_read_where_it_is_unmistakable(shown, partial, version, enabled):
    activation = azure_local.AutomaticActivation(shown, None)
    assert (activation.partial_product_key, activation.key_version, activation.enabled) == (partial, version, enabled)


def test_a_key_that_windows_does_not_tell_is_the_one_that_was_set_last(estate, run, sets):
    first = run.license(MUTE, KEY_2022)
    assert (first.outputs.partial_product_key, first.outputs.activates_guests) == ("4678B", True)
    assert update(run, first).outputs == first.outputs
    now = run.host.read(MUTE, stored(first), run.operation())
    assert now.outputs == first.outputs
    assert sets == ["4678B"]
    assert run.activate("m22", MUTE).outputs.activated_by_host == "MUTE"


def test_another_machine_does_not_take_over_the_key_that_was_set_last(estate, run):
    first = run.license(PLAIN, KEY_2022)
    other = Stored({**first.inputs, "host": MUTE}, stored(first).outputs)
    found = run.host.read(PLAIN, other, run.operation())
    assert found.outputs.machine_id.startswith("mute.workgroup/")
    assert found.outputs.partial_product_key is None
    nodes = [{"node": MUTE, "machine_id": first.outputs.machine_id, "partial_product_key": "4678B"}]
    wanted = {"nodes": [MUTE], "product_key": KEY_2022}
    cluster = ClusterLicenseResource().read(MUTE, Stored(wanted, {"node_licenses": nodes}), run.operation())
    assert cluster is not None
    (node,) = cluster.outputs.node_licenses
    assert (node.machine_id, node.partial_product_key) == (found.outputs.machine_id, None)


def test_what_activates_guests_and_does_not_say_so_is_adopted_with_a_warning(estate, run):
    result = run.license(MUTE, None)
    assert result.outputs.activates_guests is None
    assert any("does not report whether it activates guests: PSComputerName MUTE" in text for text in run.told)


@pytest.mark.parametrize("host", [PLAIN, MUTE])
def test_when_the_look_afterwards_fails_the_new_key_is_kept(estate, run, sets, monkeypatch, host):
    first = run.license(host, KEY_2022)
    server = run.operation().machine(host, None, run.configuration)
    look, looks = server.automatic_activation, iter((True, True, False))

    def once(deadline):
        if next(looks):
            return look(deadline)
        raise errors.Unreachable("read", host, "gone", "run again")

    monkeypatch.setattr(server, "automatic_activation", once)
    with pytest.raises(errors.PartlyDone) as caught:
        update(run, first, product_key=KEY_2025)
    monkeypatch.setattr(server, "automatic_activation", look)
    reached = caught.value.state
    assert reached.outputs.partial_product_key in ("4678C", "4678B" if host == PLAIN else "4678C")
    assert update(run, reached).outputs.partial_product_key == "4678C"
    assert sets == ["4678B", "4678C"]


@pytest.mark.parametrize("host", [PLAIN, MUTE])
@pytest.mark.parametrize("answer", ["garbage", "accessDenied", "drop"])
def test_a_key_counts_as_applied_when_the_end_of_the_script_is_not_seen(estate, run, sets, host, answer):
    name = "plain" if host == PLAIN else "mute"

    class Sabotage(list):
        """The messages to the user. When the key is about to be applied, the next answers to Receive are lost."""

        def append(self, text):
            super().append(text)
            if "applying key" in text:
                estate.faults(name, [{"operation": "Pipeline/Receive", "answer": answer, "times": 1}])

    run.told = Sabotage()
    try:
        result = run.license(host, KEY_2022)
    except errors.PartlyDone as partly:
        result = partly.state
    assert result.outputs.partial_product_key == "4678B"
    assert update(run, result).outputs.partial_product_key == "4678B"
    assert left(estate, KEY_2022) == 1


def test_two_that_license_one_machine_apply_the_key_once(estate, run, sets):
    operation = run.operation()
    state = host_state.read_host_state(operation.machine(PLAIN, None, run.configuration), operation)
    run.license(PLAIN, KEY_2022)
    other = operation.machine("plain", AddressedSettings(address=PLAIN), run.configuration)
    for machine in (state.server, other):
        KeyInstallation(replace(state, server=machine), operation).apply(KEY_2022)
    assert sets == ["4678B"]


def test_a_full_key_in_the_output_is_masked():
    console: Any = Console([{"ProductKey": KEY_2022.lower(), "Value": 5}, {"ProductKey": "x"}])
    activation = azure_local.read(console, Deadline(PATIENCE))
    assert activation.shown == {"ProductKey": "…4678b", "Value": "5", "ProductKey2": "x"}
    assert activation.partial_product_key == "4678B"


class Console:
    """A PowerShell whose cmdlet shows these objects."""

    where = "n1"

    def __init__(self, rows: list[dict]) -> None:
        self.rows = rows

    def run(self, context, script, parameters):
        return Answers(({"result": self.rows},), "")


@pytest.mark.usefixtures("lost")
def test_a_key_whose_answer_was_lost_is_not_applied_twice(estate, run, sets):
    with pytest.raises(
        errors.PartlyDone,
        match=r"does not apply it again by itself.* not used up twice.*replace this resource",
    ) as caught:
        run.license(MUTE, KEY_2022)
    assert [text for text in run.told if "stays locked" in text]
    reached = caught.value.state
    assert reached.outputs.partial_product_key == "4678B"
    assert update(run, reached).outputs.partial_product_key == "4678B"
    assert sets == ["4678B"]


@pytest.mark.usefixtures("lost")
def test_a_lost_answer_is_no_matter_where_the_key_shows(estate, run, sets):
    assert run.license(PLAIN, KEY_2022).outputs.partial_product_key == "4678B"
    assert sets == ["4678B"]
    assert not [text for text in run.told if "stays locked" in text]
