"""The conditions under which a host activates a guest."""

from __future__ import annotations

from avma_simulator.state.licensing import Licensing
from avma_simulator.state.sl_errors import SlError
from avma_simulator.state.windows import Windows

_NOT_ACTIVATED, _MISMATCH = "SL_E_IA_PARENT_PARTITION_NOT_ACTIVATED", "SL_E_IA_ID_MISMATCH"


def require(host: Licensing, guest: Windows) -> None:
    """Raise SlError unless a Windows Server host activates the guest.

    Raises:
        SlError: the host does not activate the guest.
    """
    # Inferred (evaluation-host-activates-no-guest): a guest on an evaluation gets the same error as on a host that is
    # not activated.
    windows = host.windows
    if windows.edition != "Datacenter" or windows.evaluation or not host.licensed or host.licensed_by_pay_as_you_go:
        raise SlError(_NOT_ACTIVATED)
    if not windows.activates(guest):
        raise SlError(_MISMATCH)
