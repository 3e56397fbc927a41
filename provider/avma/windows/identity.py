"""The identity of a host, independent of the name or address of the connection.

The firmware UUID (`Win32_ComputerSystemProduct.UUID`, SMBIOS structure 1) is not enough. Firmware without a UUID
reports all zeros or all F (DMTF DSP0134 7.2.1). FOGProject/fogproject#196 shows many machines with all F. Some products
ship one UUID in every unit (tianocore/edk2-platforms#276). So the computer name and its domain (`Win32_ComputerSystem`)
are part of the identity. Two names of one machine report the same pair, and two machines with one UUID differ by name.
"""

from __future__ import annotations

from avma import errors
from avma.context import Context
from avma.deadline import Deadline
from avma.windows import required_rows
from avma.windows.operating_system import NAMESPACE
from avma.windows.wmi import Wmi

_QUERIES = (
    "SELECT UUID FROM Win32_ComputerSystemProduct",
    "SELECT Name,Domain FROM Win32_ComputerSystem",
)


def read(wmi: Wmi, deadline: Deadline) -> str:
    """Return the identity of a host, such as `hv01.example.com/4c4c4544-0042-3510-8052-b4c04f4d3132`.

    Without a usable firmware UUID, the identity is the computer name and domain alone.

    Raises:
        EmptyAnswer: the account may not read it. Without its UUID, the host would seem to be another machine.
        AvmaError: the host could not be queried.
        UnexpectedAnswer: the host reports no computer name.
    """
    context = Context("identify the machine", wmi.where, deadline)
    products, systems = wmi.query_all(context, NAMESPACE, _QUERIES)
    required_rows.require(context, products, required_rows.COMPUTER)
    required_rows.require(context, systems, required_rows.COMPUTER_SYSTEM)
    firmware, system = (products[0].text("UUID") or "").strip("{} ").lower(), systems[0]
    name = (system.text("Name") or "").lower()
    if not name:
        remedy = "check WMI on the host: the class Win32_ComputerSystem must report a name"
        raise context.error(errors.UnexpectedAnswer, "WMI reports no computer name", remedy)
    domain = (system.text("Domain") or "").lower()
    full_name = f"{name}.{domain}" if domain else name
    return f"{full_name}/{firmware}" if _usable(firmware) else full_name


def may_be_same(first: str, second: str) -> bool:
    """Return True if two identities can belong to one machine: they are equal, or share a firmware UUID.

    The computer name can have changed since an identity was stored.
    """
    if first == second:
        return True
    firmware = [identity.partition("/")[2] for identity in (first, second)]
    return bool(firmware[0]) and firmware[0] == firmware[1]


def _usable(firmware: str) -> bool:
    return len(set(firmware) - {"-", "0"}) > 0 and set(firmware) != {"f", "-"}
