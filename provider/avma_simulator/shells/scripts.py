"""The scripts that the simulated PowerShell supports, by name and version."""

from __future__ import annotations

from avma_simulator.shells import cim_in_guest, license_lock, server_avma_manager
from avma_simulator.shells.interpreter import Scripts

SCRIPTS: Scripts = {
    ("cim-in-guest", "4"): cim_in_guest.run,
    ("license-lock", "2"): license_lock.run,
    ("server-avma-manager", "2"): server_avma_manager.run,
}
