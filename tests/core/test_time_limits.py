"""The time limit of an operation holds in each phase, although a machine is silent.

Nothing else can end these operations: the time limits of connections and requests are an hour. The promise is three
seconds after the limit. `LOAD` is for the delays of a busy machine alone.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from avma import errors
from avma.configuration import Configuration, GuestDefaults
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
LIMITED = {name: phase for name, phase in PHASES.items() if not name.startswith(PREVIEWS_AND_READS)}


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
