"""The scripts that the simulated PowerShell knows, by name and version."""

from __future__ import annotations

from collections.abc import Mapping

from avma_simulator import cim_in_guest, server_avma_manager
from avma_simulator.interpreter import Scripts
from avma_simulator.powershell import Script

SCRIPTS: Mapping[tuple[str, str], Script] = {
    ("cim-in-guest", "1"): cim_in_guest.run,
    ("server-avma-manager", "1"): server_avma_manager.run,
}

REMOTE_SCRIPTS: Scripts = {}
"""Those that run in a pipeline of a runspace pool."""
