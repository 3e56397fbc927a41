"""The conditions under which a host activates a guest."""

from __future__ import annotations

from avma_simulator.state.licensing import Licensing
from avma_simulator.state.sl_errors import Refusal
from avma_simulator.state.windows import Windows

_NOT_ACTIVATED, _MISMATCH = "SL_E_IA_PARENT_PARTITION_NOT_ACTIVATED", "SL_E_IA_ID_MISMATCH"


def require(host: Licensing, guest: Windows) -> None:
    """Raise Refusal unless a Windows Server host activates the guest.

    Raises:
        Refusal: the host does not activate the guest.
    """
    # Inferred: an evaluation host gets the same error as a host that is not activated.
    windows = host.windows
    if windows.edition != "Datacenter" or windows.evaluation or not host.licensed or host.paid_as_it_goes:
        raise Refusal(_NOT_ACTIVATED)
    if not windows.activates(guest):
        raise Refusal(_MISMATCH)
