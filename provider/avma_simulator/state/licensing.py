"""The Software Protection Platform of one machine: the installed key, its state, and the operations on both.

It asks its owner for the host that activates the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import IntEnum

from avma import hresult
from avma_simulator.clock import Clock
from avma_simulator.state import phone_activation
from avma_simulator.state.keys import COUNTED, Channel, KeyStore, ProductKey, fits, kms_client_key
from avma_simulator.state.sl_errors import SlError
from avma_simulator.state.windows import Windows

NEVER = datetime(1601, 1, 1, tzinfo=timezone.utc)
_DAY = 24 * 60
# Inferred (avma-license-lasts-at-most-seven-days): an AVMA activation lasts seven days unless it is renewed.
_VALIDITY = {Channel.AVMA: 7 * _DAY, Channel.KMS_CLIENT: 180 * _DAY, Channel.EVALUATION: 180 * _DAY}
# The keys of evaluation media. Only their last five characters are visible anywhere. A listing of slmgr shows those of
# 2025 Datacenter. Simplified: one key for all others.
_EVALUATION_KEYS = {("2025", "Datacenter"): "BCDFG-HJKMN-PQRTV-WXY23-J2T92"}
_OTHER_EVALUATION_KEY = "BCDFG-HJKMN-PQRTV-WXY23-T2M9C"
# Inferred (azure-local-shows-a-licensed-retail-license, azure-local-rejects-keys-of-windows-server): Azure Stack HCI
# shows a licensed retail product of its own. No key changes it.
_AZURE_LOCAL_KEY = "BCDFG-HJKMN-PQRTV-WXY23-H4C7K"


class LicenseStatus(IntEnum):
    """`SoftwareLicensingProduct.LicenseStatus`, with Microsoft's names."""

    Unlicensed = 0
    Licensed = 1
    OOBGrace = 2
    OOTGrace = 3
    NonGenuineGrace = 4
    Notification = 5
    ExtendedGrace = 6


# Reported: the reason of Unlicensed. Inferred (extended-grace-has-the-reason-of-additional-grace,
# first-grace-period-lasts-at-most-thirty-days): the reason of ExtendedGrace, and the 30 days of every grace period.
_REASONS = {
    LicenseStatus.Unlicensed: "SL_E_PKEY_NOT_INSTALLED",
    LicenseStatus.OOBGrace: "SL_I_OOB_GRACE_PERIOD",
    LicenseStatus.OOTGrace: "SL_I_OOT_GRACE_PERIOD",
    LicenseStatus.NonGenuineGrace: "SL_E_NOT_GENUINE",
    LicenseStatus.Notification: "SL_E_GRACE_TIME_EXPIRED",
    LicenseStatus.ExtendedGrace: "SL_I_OOT_GRACE_PERIOD",
}
_FAILED_BY_ITSELF = "SL_E_IA_INVALID_VIRTUALIZATION_PLATFORM"
_GRACE = 30 * _DAY


@dataclass(frozen=True)
class License:
    """An installed key and its state."""

    product_key: ProductKey
    status: LicenseStatus
    activated_by: str = ""
    activated_at: datetime = NEVER
    why: str = ""
    declared_reason: int | None = None

    @property
    def reason(self) -> int:
        """The `LicenseStatusReason`."""
        if self.declared_reason is not None:
            return self.declared_reason
        name = self.why or _REASONS.get(self.status)
        return hresult.by_name(name).value if name else 0

    @property
    def minutes_left(self) -> int:
        """The `GracePeriodRemaining`. It is 0 for a license without an end and for an expired one."""
        if self.status is LicenseStatus.Licensed:
            return _VALIDITY.get(self.product_key.channel, 0)
        return 0 if self.status in (LicenseStatus.Unlicensed, LicenseStatus.Notification) else _GRACE


class Licensing:
    """The license state of one machine and the methods that change it.

    `activating_host` returns the name of the Hyper-V host that activates this machine, or raises `SlError`.
    """

    def __init__(
        self,
        machine: str,
        windows: Windows,
        store: KeyStore,
        clock: Clock,
        activating_host: Callable[[], str],
        activation_delay: float = 0,
    ) -> None:
        self.activation_delay = activation_delay
        self.windows = windows
        self.online = True
        self.pay_as_you_go = False
        self.activations = 0
        """The activations with purchased keys that took effect, including repeated ones."""
        self.leftover: ProductKey | None = None
        self.extended_security_updates: tuple[int, ...] = ()
        self._machine = machine
        self._store = store
        self._clock = clock
        self._activating_host = activating_host
        self._license: License | None = None
        self._activating = False
        self._activates_itself_at: float | None = None

    @property
    def license(self) -> License | None:
        """The installed license."""
        self._activate_if_due()
        return self._license

    @property
    def licensed(self) -> bool:
        """Whether the machine is activated."""
        return self.license is not None and self.license.status is LicenseStatus.Licensed

    @property
    def licensed_by_pay_as_you_go(self) -> bool:
        """Whether Pay-as-you-go alone licenses the machine. A purchased key takes precedence."""
        current = self.license
        return self.pay_as_you_go and (current is None or current.product_key.channel not in COUNTED)

    @property
    def installation_id(self) -> str | None:
        """The installation ID of the installed key, or None. Windows shows it for keys of every channel."""
        current = self.license
        if current is None or self.windows.azure_local:
            return None
        return phone_activation.installation_id(self._machine, current.product_key)

    @property
    def activates_by_phone(self) -> bool:
        """Whether the installed key activates by phone. Only purchased keys do."""
        current = self.license
        return current is not None and current.product_key.channel in COUNTED and not self.windows.azure_local

    def install_media(self) -> None:
        """Set the license that installation media leave behind."""
        version, edition = self.windows.version, self.windows.edition
        if self.windows.evaluation:
            key = evaluation_key(self.windows)
            self._license = License(key, LicenseStatus.Licensed)
            return
        if self.windows.azure_local:
            key = ProductKey(_AZURE_LOCAL_KEY, Channel.RETAIL, version, edition)
            self._license = License(key, LicenseStatus.Licensed)
            return
        client_key = kms_client_key(self.windows)
        if client_key is None:
            self._license = None
            return
        # Inferred (pay-as-you-go-keeps-the-installed-key): Pay-as-you-go licenses the installation.
        status = LicenseStatus.Licensed if self.pay_as_you_go else LicenseStatus.OOBGrace
        self._license = License(client_key, status)

    def restore(self, product_key: ProductKey, status: LicenseStatus, host: str, reason: int | None = None) -> None:
        """Restore a state from before the simulation began."""
        self._license = License(product_key, status)
        self.set_status(status, host, reason)

    def set_status(self, status: LicenseStatus, host: str = "", reason: int | None = None) -> None:
        """Change the state of the installed key from outside.

        Without a `reason`, the `LicenseStatusReason` is the usual one of that state.

        Raises:
            SlError: no key is installed.
        """
        product_key = self._installed().product_key
        if status is not LicenseStatus.Licensed:
            self._license = License(product_key, status, declared_reason=reason)
        else:
            self._license = self._activated(product_key, host)
            self._store.remember(product_key, self._machine)

    def install_key(self, key: str) -> None:
        """Install a key instead of the current one.

        Inferred (same-key-again-changes-nothing): another installation of the same key changes nothing.

        Raises:
            SlError: the key is unknown, or not for this release and edition.
        """
        product_key = self._store.find(key)
        if product_key is None:
            raise SlError("SL_E_INVALID_PRODUCT_KEY")
        if self.windows.azure_local:
            raise SlError("SL_E_MISMATCHED_PRODUCT_SKU")
        # Inferred (key-of-another-release-is-not-in-the-configuration): the key configuration of a release contains
        # only its own keys.
        if not fits(product_key, self.windows):
            raise SlError("SL_E_PKEY_INVALID_CONFIG")
        if self.windows.evaluation or product_key.edition != self.windows.edition:
            raise SlError("SL_E_MISMATCHED_PRODUCT_SKU")
        if self.license is None or self.license.product_key != product_key:
            self._license = License(product_key, LicenseStatus.OOBGrace)
            self._activates_itself_at = None
        self.try_to_activate_itself()

    def uninstall_key(self) -> None:
        """Remove the installed key.

        Raises:
            SlError: no key is installed.
        """
        self._installed()
        self._license = None
        self._activates_itself_at = None

    def try_to_activate_itself(self) -> None:
        """Start the silent activation that follows the installation of an AVMA key and each boot."""
        if self._license is not None and self._license.product_key.channel is Channel.AVMA:
            self._activates_itself_at = self._clock.monotonic() + self.activation_delay
            self._activate_if_due()

    def activate_on_new_host(self) -> None:
        """Activate through the new host after a live migration.

        Inferred (migrated-guest-is-activated-by-its-new-host,
        migrated-guest-without-a-licensed-host-becomes-notification): all of it. If the new host activates the guest, it
        becomes the activating host. If not, an activated guest changes to Notification, as it is no longer bound to a
        licensed host.
        """
        current = self.license
        if current is None or current.product_key.channel is not Channel.AVMA:
            return
        try:
            self._activate(current.product_key)
        except SlError:
            if current.status is LicenseStatus.Licensed:
                unbound = "SL_E_IA_MACHINE_NOT_BOUND"
                self._license = License(current.product_key, LicenseStatus.Notification, why=unbound)

    def begin_activation(self) -> License:
        """Begin a requested activation and return its license.

        Raises:
            SlError: no key is installed, or an activation is in progress.
        """
        current = self._installed()
        if self._activating or self._activates_itself_at is not None:
            raise SlError("SL_E_ACTIVATION_IN_PROGRESS")
        self._activating = True
        return current

    def finish_activation(self, started: License) -> None:
        """Finish a requested activation.

        Raises:
            SlError: the key cannot activate the machine.
        """
        self._activating = False
        product_key = self._installed().product_key
        if product_key != started.product_key:
            raise SlError("SL_E_PKEY_NOT_INSTALLED")
        self._activate(product_key)

    def deposit_confirmation_id(self, installation_id: str, confirmation_id: str) -> None:
        """Activate with a confirmation ID from the activation center.

        Raises:
            SlError: one of the IDs is wrong, or keys of this kind do not activate by phone.
        """
        product_key = self._installed().product_key
        own = self.installation_id
        if own is None or not self.activates_by_phone:
            raise SlError("SL_E_INVALID_PRODUCT_KEY_TYPE")
        if installation_id != own or confirmation_id != phone_activation.confirmation_id(own):
            raise SlError("SL_E_CIDIID_INVALID_CHECK_DIGITS")
        self._store.activate_by_phone(product_key, self._machine)
        self.activations += 1
        self._license = self._activated(product_key)

    def _installed(self) -> License:
        current = self.license
        if current is None:
            raise SlError("SL_E_PKEY_NOT_INSTALLED")
        return current

    def _activate(self, product_key: ProductKey) -> None:
        if self.windows.azure_local:
            return
        if product_key.channel in COUNTED:
            if not self.online:
                raise SlError("WININET_E_NAME_NOT_RESOLVED")
            self._store.activate(product_key, self._machine)
            self.activations += 1
            self._license = self._activated(product_key)
        elif product_key.channel is Channel.AVMA:
            self._license = self._activated(product_key, self._activating_host())
        elif product_key.channel is Channel.KMS_CLIENT:
            if not self._store.kms:
                raise SlError("SL_E_VL_BINDING_SERVICE_UNAVAILABLE")
            self._license = self._activated(product_key)

    def _activated(self, product_key: ProductKey, host: str = "") -> License:
        if product_key.channel is not Channel.AVMA:
            return License(product_key, LicenseStatus.Licensed)
        return License(product_key, LicenseStatus.Licensed, host, self._clock.now())

    def _activate_if_due(self) -> None:
        due = self._activates_itself_at
        if due is None or self._clock.monotonic() < due:
            return
        self._activates_itself_at = None
        if self._license is None:
            return
        current = self._license
        try:
            self._activate(current.product_key)
        except SlError:
            # Reported for guests after a failed attempt of their own: Notification with this reason, regardless of the
            # result of Activate. Inferred (avma-license-lasts-until-its-end-without-a-host): a licensed guest stays
            # licensed until its validity ends.
            if current.status is not LicenseStatus.Licensed:
                self._license = License(current.product_key, LicenseStatus.Notification, why=_FAILED_BY_ITSELF)


def evaluation_key(windows: Windows) -> ProductKey:
    """Return the key that evaluation media install."""
    key = _EVALUATION_KEYS.get((windows.version, windows.edition), _OTHER_EVALUATION_KEY)
    return ProductKey(key, Channel.EVALUATION, windows.version, windows.edition)
