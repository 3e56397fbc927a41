"""Whether a host activates a guest.

The module knows licences and releases. It knows no VM and does not say how the two speak with each other.
"""

from __future__ import annotations

from avma_simulator.licensing import Licensing
from avma_simulator.refusal import Refusal
from avma_simulator.windows import Windows

_NOT_ACTIVATED, _MISMATCH = "SL_E_IA_PARENT_PARTITION_NOT_ACTIVATED", "SL_E_IA_ID_MISMATCH"


def require(host: Licensing, guest: Windows) -> None:
    """Check that a host of Windows Server activates a guest.

    Raises:
        Refusal: the host does not.
    """
    # Inferred: an evaluation host is refused like one that is not activated.
    windows = host.windows
    if windows.edition != "Datacenter" or windows.evaluation or not host.licensed or host.paid_as_it_goes:
        raise Refusal(_NOT_ACTIVATED)
    if not windows.activates(guest):
        raise Refusal(_MISMATCH)
