"""What forbids to license a host or to activate a guest: the rules of AVMA, each with its remedy.

Source: learn.microsoft.com/windows-server/get-started/automatic-vm-activation. It looks at what was read and asks no
machine.
"""

from __future__ import annotations

from avma import compatibility, errors, keys
from avma.keys import KeyKind
from avma.windows import licensing
from avma.windows.licensing import Licensing
from avma.windows.machine import Machine
from avma.windows.operating_system import System


def host_key_error(key: str) -> str | None:
    """Say why a key cannot license a host."""
    published = keys.published(key)
    if published is None:
        return keys.syntax_error(key)
    return (
        f"is the generic {published.kind.value} key of Windows Server {published.version} {published.edition}, which "
        "licenses nothing by itself; give the Datacenter key that was bought for this host"
    )


def avma_key_error(key: str) -> str | None:
    """Say why a key cannot be an AVMA key."""
    published = keys.published(key)
    if published is None or published.kind is KeyKind.AVMA:
        return keys.syntax_error(key)
    return (
        f"is the generic {published.kind.value} key of Windows Server {published.version} {published.edition}; leave "
        "it out, and the AVMA key of the guest's version and edition is used"
    )


def require_datacenter(found: Licensing, where: str, tried: str) -> None:
    """Return if the machine is a Windows Server that can host automatic activation.

    Raises:
        Refused: another edition, or an evaluation.
    """
    system = found.system
    if system.edition == compatibility.AZURE_LOCAL:
        remedy = "use Windows Admin Center or Set-VMAutomaticActivation for it until this provider can"
        raise errors.Refused(tried, where, "it runs Azure Stack HCI / Azure Local, not Windows Server", remedy)
    if system.evaluation:
        remedy = "convert it with DISM /Set-Edition:ServerDatacenter and a Datacenter key, restart it, and run again"
        raise errors.Refused(tried, where, f"it runs an evaluation ({system})", remedy)
    if system.edition != compatibility.DATACENTER:
        remedy = "only Datacenter hosts activate their guests: upgrade the host, or give its guests keys of their own"
        raise errors.Refused(tried, where, f"it runs {system}", remedy)


def require_licensed(found: Licensing, where: str, tried: str) -> None:
    """Return if the host has a licence to adopt.

    Raises:
        Refused: it has none.
    """
    if not found.licensed:
        answer = f"no productKey is declared and {licensing.reason_text(found.product)}"
        raise errors.Refused(tried, where, answer, "declare the host's Datacenter key in `productKey`")


def require_activating(on_host: Licensing, host: Machine, will_be_licensed: bool) -> None:
    """Return if the host can activate guests."""
    require_datacenter(on_host, host.where, "activate guests")
    if not on_host.licensed and not will_be_licensed:
        answer = f"the host cannot, because {licensing.reason_text(on_host.product)}"
        remedy = "license it first (HostLicense, with `dependsOn` from this resource)"
        raise errors.Refused("activate guests", host.where, answer, remedy)


def avma_key(guest: System, host: System, product_key: str | None, machine: Machine) -> str:
    """Return the key to install in the guest.

    Raises:
        Refused: no AVMA key exists for this guest, this host cannot activate it, or the given key is for another.
    """
    tried = "activate the guest"
    if guest.evaluation:
        remedy = "convert it to a full edition first (DISM /Set-Edition), and restart it"
        raise errors.Refused(tried, machine.where, f"it runs an evaluation ({guest})", remedy)
    published = keys.find(KeyKind.AVMA, guest.version, guest.edition)
    if published is None and not (product_key and _unknown(guest)):
        answer = f"no AVMA key for {guest} is known"
        remedy = "AVMA is for Windows Server 2012 R2 and later: Datacenter, Standard and, up to 2019, Essentials"
        raise errors.Refused(tried, machine.where, answer, remedy)
    if guest.edition == compatibility.AZURE_EDITION:
        answer = f"it runs {guest}, which only Azure and Azure Local hosts activate, and the host runs {host}"
        raise errors.Refused(tried, machine.where, answer, "run it on Azure Local, or use another edition")
    # Of releases that the tables do not know, newer ones perhaps, Windows is left to judge.
    if not (_unknown(guest) or _unknown(host) or compatibility.activates(host.version, guest.version)):
        answer = f"it runs {guest} and its host {host}, and a host activates guests up to its own version only"
        raise errors.Refused(tried, machine.where, answer, "move the VM to a newer host, or upgrade the host")
    given = keys.published(product_key) if product_key else None
    if published is not None and given is not None and given != published:
        answer = f"it runs {guest}, and the declared key is for Windows Server {given.version} {given.edition}"
        raise errors.Refused(tried, machine.where, answer, "leave `productKey` out, and the right key is used")
    return keys.normalize(product_key or (published.key if published else ""))


def _unknown(system: System) -> bool:
    return system.version not in compatibility.VERSIONS
