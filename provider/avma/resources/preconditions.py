"""The rules of AVMA: reasons not to license a host or to activate a guest, each with its remedy.

Sources: learn.microsoft.com/windows-server/get-started/automatic-vm-activation and, for Azure Stack HCI / Azure Local,
learn.microsoft.com/azure/azure-local/manage/vm-activate. The rules work on data from earlier reads.
"""

from __future__ import annotations

from collections.abc import Mapping

from avma import compatibility, errors, keys, topics
from avma.keys import KeyKind, PublishedKey
from avma.resources.host_state import HostState
from avma.resources.resource import Operation
from avma.windows import licensing
from avma.windows.computer import System
from avma.windows.licensing import LicenseChannel
from avma.wording import DEPEND_ON_IT, RUN_AGAIN, setting

_FIRST_ON_AZURE_LOCAL = "2019"
_PAY_AS_YOU_GO = (
    "Azure Arc pay-as-you-go licenses Windows on the host but not in its guests, and each guest needs its own license"
)
_KEY_FOR_AZURE_LOCAL = "a Datacenter key of Windows Server 2019 or later"
_SUBSCRIBE = (
    "turn on the Windows Server subscription, which is billed per core (Azure portal, or `Set-AzStackHCI "
    "-EnableWSSubscription $true`); if the subscription is already on, wait up to 12 hours for the next sync with "
    "Azure, or run `Sync-AzureStackHCI` on the machine, but not right after a restart"
)
_WAYS_ON_AZURE_LOCAL = f"set {setting('product_key')} to {_KEY_FOR_AZURE_LOCAL}, or {_SUBSCRIBE}"
_WAIT_FOR_SYNC = (
    "wait up to 12 hours for the next sync with Azure, or run `Sync-AzureStackHCI` on the machine, but not right after "
    f"a restart; then {RUN_AGAIN}"
)


@topics.explained_by(topics.INVALID_KEY)
def host_key_error(key: str) -> str | None:
    """Return the reason why a key cannot license a host, None if it can."""
    published = keys.published(key)
    if published is None:
        return keys.syntax_error(key)
    return (
        f"is the generic {published.kind.value} key of Windows Server {published.version} {published.edition}, which "
        "does not license a host. Set the Datacenter key that you bought for this host"
    )


@topics.explained_by(topics.INVALID_KEY)
def avma_key_error(key: str) -> str | None:
    """Return the reason why a key cannot be an AVMA key, None if it can."""
    published = keys.published(key)
    if published is None or published.kind is KeyKind.AVMA:
        return keys.syntax_error(key)
    return (
        f"is the generic {published.kind.value} key of Windows Server {published.version} {published.edition}. Leave "
        "it out to use the AVMA key of the guest's version and edition"
    )


def kms_client_key(system: System) -> PublishedKey | None:
    """Return the KMS client key of a Windows Server. None if no key for its build and edition is known."""
    release = compatibility.kms_release_of_build(system.build, system.semi_annual)
    return keys.find(KeyKind.KMS_CLIENT, release, system.edition) if release else None


def require_host(state: HostState, tried: str) -> None:
    """Raise Refused unless the machine can host automatic activation: Windows Server Datacenter, or Azure Local.

    Raises:
        Refused: it runs another edition.
        Evaluation: it runs an evaluation edition.
    """
    system, where = state.system, state.server.where
    if system.azure_local:
        return
    if system.evaluation:
        remedy = _conversion(compatibility.DATACENTER, system.core, "on the host", "your Datacenter key")
        raise errors.Evaluation(tried, where, f"it runs an evaluation edition ({system})", remedy)
    if system.edition != compatibility.DATACENTER:
        remedy = (
            "upgrade the host to Datacenter, because only Datacenter activates guests; or give each guest its own key"
        )
        raise errors.Refused(tried, where, f"it runs {system}", remedy)


def require_license_to_adopt(state: HostState, tried: str) -> None:
    """Raise Refused unless a host without a declared key has its own license for its guests.

    Raises:
        Refused: the host has no license, one without rights for guests, or several without a clear priority.
    """
    where, product = state.server.where, state.found.product
    if state.activation is not None:
        if state.activates_guests is False:
            remedy = _WAIT_FOR_SYNC if state.activation.subscribed else _WAYS_ON_AZURE_LOCAL
            raise errors.Refused(tried, where, _not_activating(state), remedy)
        return
    if not state.found.licensed:
        answer = f"{setting('product_key')} is not set, and {licensing.reason_text(product)}"
        raise errors.Refused(tried, where, answer, f"set {setting('product_key')} to the Datacenter key of the host")
    if state.licensed_as_it_goes:
        remedy = f"set {setting('product_key')} to a Datacenter key for the host"
        raise errors.Refused(tried, where, _PAY_AS_YOU_GO, remedy)
    rivals = [other for other in state.found.others if other.licensed]
    if product is not None and rivals:
        names = ", ".join(f"…{each.partial_product_key} ({each.channel.value})" for each in (product, *rivals))
        remedy = (
            f"set {setting('product_key')} to the key to use, or uninstall the other key on the machine: `slmgr /dlv "
            "all` lists the activation IDs, then run `slmgr /upk ACTIVATION-ID`"
        )
        raise errors.Refused(tried, where, f"Windows reports several keys as licensed: {names}", remedy)


def warn_if_unlicensed(state: HostState, operation: Operation) -> None:
    """Warn about an imported host that does not activate guests."""
    try:
        require_license_to_adopt(state, "import the host")
    except errors.Refused as found:
        operation.warn(
            f"{state.server.name}: imported, but the host does not activate its guests: {found.answer}. "
            f"{errors.sentences(found.remedy)}"
        )


def warn_without_hyper_v(state: HostState, operation: Operation) -> None:
    """Warn about a host that cannot run guests, so its license activates none."""
    if not state.hyper_v:
        command = "Install-WindowsFeature Hyper-V -IncludeManagementTools -Restart"
        operation.warn(
            f"{state.server.name}: the Hyper-V role is not installed, so the host activates no guests. Run `{command}` "
            "on the host"
        )


def warn_if_activated_as_a_guest(state: HostState, operation: Operation) -> None:
    """Warn about a host that is a guest itself. It stays activated only while its own host renews the activation."""
    product = state.found.product
    if product is not None and product.licensed and product.channel is LicenseChannel.AVMA:
        operation.warn(
            f"{state.server.name}: this host is itself a VM that its own host activated through AVMA (key "
            f"…{product.partial_product_key}). Its guests stay activated only as long as it does. To license it "
            f"independently, set {setting('product_key')} to a Datacenter key"
        )


def require_subscription(state: HostState, tried: str) -> None:
    """Raise Refused unless the Windows Server subscription of Azure Local activates the guests."""
    where, activation = state.server.where, state.activation
    if activation is None:
        answer = f"it runs {state.system}, and the Windows Server subscription is for Azure Local"
        remedy = f"set {setting('license_source', 'existing')}, or set {setting('product_key')}"
        raise errors.Refused(tried, where, answer, remedy)
    if activation.subscription_error:
        answer = f"its subscriptions could not be read: {activation.subscription_error}"
        remedy = f"check that the machine is registered with Azure and online (`Get-AzureStackHCI`), then {RUN_AGAIN}"
        raise errors.Refused(tried, where, answer, remedy)
    if not activation.subscribed:
        status = activation.subscription_status or "nothing, so the module AzureStackHCI may be missing or too old"
        answer = f"it has no active Windows Server subscription. Get-AzureStackHCISubscriptionStatus reports {status}"
        raise errors.Refused(tried, where, answer, _WAYS_ON_AZURE_LOCAL)
    if state.activates_guests is False:
        raise errors.Refused(tried, where, _not_activating(state), _WAIT_FOR_SYNC)


def require_key_version(state: HostState, version: str | None, tried: str) -> None:
    """Raise Refused unless a key of the declared release fits the host. Without a declared release, every key passes.

    Raises:
        Refused: Windows would reject the key.
    """
    where, system = state.server.where, state.system
    if version is None:
        return
    declared = f"{setting('product_key_version')} is {version}"
    remedy = f"correct {setting('product_key_version')}, or set {setting('product_key')} to "
    if state.activation is None:
        if version != system.version and not _unknown(system):
            remedy += "a key for the release of the host"
            raise errors.Refused(tried, where, f"it runs {system}, but {declared}", remedy)
        return
    if not compatibility.activates(version, _FIRST_ON_AZURE_LOCAL):
        answer = f"{declared}, but Azure Local requires a key of 2019 or later"
        raise errors.Refused(tried, where, answer, remedy + _KEY_FOR_AZURE_LOCAL)
    present = state.activation.key_version
    if present is not None and not compatibility.activates(version, present):
        answer = f"its key is for Windows Server {present}, and it accepts no older key, but {declared}"
        remedy += f"a key for {present} or later: it also activates guests of all older releases"
        raise errors.Refused(tried, where, answer, remedy)


def require_possible(state: HostState, declared: Mapping[tuple[str, object], bool], tried: str) -> None:
    """Raise Refused unless the host supports the declared settings: names and values (`avma.wording.setting`).

    Azure Local activates a key when it is applied, and never removes it.

    Raises:
        Refused: the host runs Azure Local, and a declared setting is for Windows Server only.
    """
    found = [each for each, given in declared.items() if given and state.activation is not None]
    if found:
        ruled_out = " or ".join(setting(name, value) for name, value in found)
        answer = (
            f"it runs Azure Local, which does not support {ruled_out}: it activates each key immediately, and never "
            "removes one"
        )
        wrong = " and ".join(setting(name) for name, _ in found)
        raise errors.Refused(tried, state.server.where, answer, f"remove {wrong}")


def require_activating(state: HostState) -> None:
    """Raise Refused unless the host can activate guests, or will after the same run has licensed it."""
    tried = "activate guests"
    require_host(state, tried)
    if state.licensed_for_guests is not False or state.will_be_licensed:
        return
    answer = f"the host is not licensed for its guests: {_not_activating(state)}"
    raise errors.Refused(tried, state.server.where, answer, _to_license_first(state))


def _to_license_first(state: HostState) -> str:
    """Return the remedy for a VmActivation on a host without a license for its guests."""
    if state.activation is not None and state.activation.subscribed:
        return _WAIT_FOR_SYNC
    if state.activation is not None:
        key = f"{_KEY_FOR_AZURE_LOCAL} (its {setting('product_key')})"
        return f"license the host first: add a HostLicense with {key}, and {DEPEND_ON_IT}; or {_SUBSCRIBE}"
    if state.licensed_as_it_goes:
        return f"set {setting('product_key')} of its HostLicense to a Datacenter key"
    return f"license the host first: add a HostLicense, and {DEPEND_ON_IT}"


def published_key(guest: System, product_key: str | None, where: str) -> PublishedKey | None:
    """Return the published AVMA key of a guest. None for a release newer than the tables, if it has a declared key.

    Raises:
        Evaluation: the guest runs an evaluation edition.
        NotEligible: no AVMA key exists for the guest.
    """
    tried = "activate the guest"
    if guest.evaluation:
        remedy = _conversion(guest.edition, guest.core, "in the guest", _key_to_convert(guest))
        raise errors.Evaluation(tried, where, f"it runs an evaluation edition ({guest})", remedy)
    published = keys.find(KeyKind.AVMA, guest.version, guest.edition)
    if published is None and not (product_key and _unknown(guest)):
        answer = f"the provider has no AVMA key for {guest}"
        remedy = "use Windows Server 2012 R2 or later in the edition Datacenter, Standard or, up to 2019, Essentials"
        raise errors.NotEligible(tried, where, answer, remedy)
    return published


def choose_key(guest: System, host: HostState, product_key: str | None, where: str) -> str:
    """Return the key to install in the guest.

    Raises:
        Evaluation: the guest runs an evaluation edition.
        NotEligible: no AVMA key exists for the guest, or only Azure Local activates its edition.
        NewerThanHost: the guest runs a newer release than its host.
        Refused: this host cannot activate the guest, or the given key is for another.
    """
    published = published_key(guest, product_key, where)
    _require_covered(guest, host, where)
    given = keys.published(product_key) if product_key else None
    if published is not None and given is not None and given != published:
        answer = f"it runs {guest}, and the declared key is for Windows Server {given.version} {given.edition}"
        remedy = f"remove {setting('product_key')}: the provider then uses the matching key"
        raise errors.Refused("activate the guest", where, answer, remedy)
    return keys.normalize(product_key or (published.key if published else ""))


def _require_covered(guest: System, host: HostState, where: str) -> None:
    """Raise unless the host's license covers the guest's release and edition, as far as known.

    On Azure Local, a key covers Azure Edition only with Software Assurance. The provider cannot read that, so Windows
    decides.
    """
    tried, covered = "activate the guest", _newest_covered(host)
    if guest.edition == compatibility.AZURE_EDITION and host.activation is None:
        answer = f"it runs {guest}, which only Azure and Azure Local can activate, and the host runs {host.system}"
        raise errors.NotEligible(tried, where, answer, "run it on Azure Local, or use another edition")
    # The guest's release can be newer than the tables. Then Windows decides.
    if covered is None or _unknown(guest) or compatibility.activates(covered, guest.version):
        return
    if host.activation is None:
        answer = (
            f"it runs {guest} and its host runs {host.system}, and a host activates guests only up to its own version"
        )
        raise errors.NewerThanHost(tried, where, answer, "move the VM to a newer host, or upgrade the host")
    answer = f"it runs {guest}, and the key of its host activates guests only up to Windows Server {covered}"
    remedy = f"set a Datacenter key for Windows Server {guest.version} or later in the HostLicense"
    if guest.edition == compatibility.AZURE_EDITION:
        remedy = (
            f"set a Datacenter key with Software Assurance for Windows Server {guest.version} or later in the "
            "HostLicense, or turn on the Windows Server subscription"
        )
    raise errors.Refused(tried, where, answer, remedy)


def _newest_covered(host: HostState) -> str | None:
    """Return the newest release of guests that the host activates. None for all releases, or if unknown."""
    if host.activation is None:
        return None if _unknown(host.system) else host.system.version
    if host.will_be_licensed:
        return host.coming_key_version
    return None if host.activation.subscribed else host.activation.key_version


def _not_activating(state: HostState) -> str:
    """Return the reason why a host activates no guest."""
    if state.activation is None:
        return _PAY_AS_YOU_GO if state.licensed_as_it_goes else licensing.reason_text(state.found.product)
    if state.activation.subscribed:
        return (
            "its Windows Server subscription is not in effect on the machine yet (Get-VMAutomaticActivation reports: "
            f"{state.activation})"
        )
    return f"it has no key and no subscription for guests (Get-VMAutomaticActivation reports: {state.activation})"


def _key_to_convert(guest: System) -> str:
    """Return the name of a key that converts an evaluation edition. Errors never contain whole keys."""
    own, published = "your own key for this edition", kms_client_key(guest)
    if published is None:
        return own
    name = f"Windows Server {published.version} {published.edition}"
    return f"{own}, or the KMS client key that Microsoft publishes for {name} ({keys.masked(published.key)})"


def _conversion(edition: str, core: bool, place: str, key: str) -> str:
    """Return the remedy for an evaluation edition: the command to convert it, the place to run it, and the key."""
    command = f"DISM /Online /Set-Edition:{compatibility.dism_target(edition, core)} /ProductKey:KEY /AcceptEula"
    return f"run `{command}` {place} with {key} as KEY, restart it, then {RUN_AGAIN}"


def _unknown(system: System) -> bool:
    return system.version not in compatibility.VERSIONS
