"""The scripts that the simulated PowerShell knows, by name and version."""

from __future__ import annotations

from collections.abc import Mapping

from avma_simulator import cim_in_guest, server_avma_manager
from avma_simulator.interpreter import Scripts
from avma_simulator.powershell import Script

SCRIPTS: Mapping[tuple[str, str], Script] = {}
"""Those that run from a command line."""

REMOTE_SCRIPTS: Scripts = {
    ("cim-in-guest", "2"): cim_in_guest.run,
    ("server-avma-manager", "2"): server_avma_manager.run,
}
"""Those that run in a pipeline of a runspace pool."""
