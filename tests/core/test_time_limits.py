"""The time limit of an operation holds in each phase, although a machine is silent.

Nothing else can end these operations: the time limits of connections and requests are an hour. The promise is three
seconds after the limit. `LOAD` is for the delays of a busy machine alone.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import cast

import pytest

from avma import errors
from avma.configuration import Configuration, GuestDefaults
from avma.resources.cluster_activation.activation_properties import ActivationState
from avma.resources.resource import Result
from core.phases import PHASES, causes, changes, open_shells, serving
from core.powershell_direct.lab import GUEST_PASSWORD
from core.runner import ADMINISTRATOR, PASSWORD
from core.silence import LOAD, Silence

LIMIT = 3.0
MOST = LIMIT + 3
"""Seconds. The end of an operation by the promise."""
HOUR = "1h"
PREVIEWS_AND_READS = ("preview", "import", "function", "refresh of a cluster")
"""Phases that wait as the others do. A preview or a refresh of a cluster ends without an error if a node is silent."""
OF_ALL_GUESTS = ("reading all guests", "refresh of all guests")
"""Phases that end without an error in half of the time: their guests are unreachable."""
LIMITED = {name: phase for name, phase in PHASES.items() if not name.startswith((*PREVIEWS_AND_READS, *OF_ALL_GUESTS))}


@pytest.fixture
def configuration() -> Configuration:
    guest = GuestDefaults(username=ADMINISTRATOR, password=GUEST_PASSWORD, ready_timeout=HOUR)
    fixed = Configuration(https=False, username=ADMINISTRATOR, password=PASSWORD, guest=guest)
    return replace(fixed, connect_timeout=HOUR, operation_timeout=HOUR)


@pytest.mark.parametrize("phase", LIMITED.values(), ids=LIMITED)
def test_the_time_limit_holds_while_a_machine_is_silent(tmp_path, new_runner, phase):
    silence, run = Silence(phase.machine, phase.request, skip=phase.skip), new_runner()
    with serving(tmp_path, phase.estate, silence) as estate:
        call = phase.begin(run, estate, silence)
        run.seconds = LIMIT
        begun = time.monotonic()
        with pytest.raises(errors.AvmaError) as caught:
            call()
        assert time.monotonic() - begun < MOST + LOAD
        assert silence.holds
        assert {type(cause) for cause in causes(caught.value)} == {errors.TimedOut}
        run.machines.close()
        assert changes(estate) <= phase.most
        assert open_shells(estate) == phase.locked


@pytest.mark.parametrize("name", OF_ALL_GUESTS)
def test_silent_guests_are_unreachable_within_the_time_limit(tmp_path, new_runner, name):
    phase, run = PHASES[name], new_runner()
    silence = Silence(phase.machine, phase.request, skip=phase.skip)
    with serving(tmp_path, phase.estate, silence) as estate:
        call = phase.begin(run, estate, silence)
        run.seconds = LIMIT
        begun = time.monotonic()
        result = cast(Result, call())
        assert time.monotonic() - begun < LIMIT + LOAD
        assert silence.holds
        assert {guest.state for guest in result.outputs.guest_activations} == {ActivationState.UNREACHABLE}
        run.machines.close()
        assert (changes(estate), open_shells(estate)) == (0, 0)
