"""The license with which a machine of Azure Stack HCI (Azure Local) activates its guests.

It is a Windows Server key or a subscription. See "Activate Windows Server VMs on Azure Local" at learn.microsoft.com.
"""

from __future__ import annotations

from avma_simulator import estate
from avma_simulator.state.keys import COUNTED, KeyStore, ProductKey
from avma_simulator.state.licensing import Licensing
from avma_simulator.state.sl_errors import SlError
from avma_simulator.state.windows import AZURE_EDITION, VERSIONS, Windows

_OLDEST_KEY = "2019"


class AutomaticActivation:
    """The license of one machine for its guests.

    Until `synced` is True, the machine does not see its subscription.
    """

    def __init__(self, licensing: Licensing, store: KeyStore, machine: str, spec: estate.Host) -> None:
        self.subscription = spec.subscription
        self.synced = spec.synced
        self._oem_license = spec.oem_license
        self._licensing = licensing
        self._store = store
        self._machine = machine
        self._key: ProductKey | None = store.find(spec.server_key) if spec.server_key else None
        if self._key is not None:
            store.remember(self._key, machine)

    @property
    def source(self) -> str:
        """The license that activates guests.

        Inferred (subscription-takes-precedence-over-a-server-key): a subscription and an OEM license take precedence
        over a key.
        """
        if self.subscription and self.synced:
            return "Subscription"
        if self._oem_license:
            return "OemLicense"
        return "ProductKey" if self._key is not None else "None"

    def set_key(self, key: str) -> None:
        """Apply a Windows Server key. A rejected key keeps the previous one.

        Inferred (server-key-that-does-not-fit-has-a-licensing-error): the HRESULTs.

        Raises:
            SlError: the key does not fit, is older than the previous one, or cannot be activated.
        """
        found = self._store.find(key)
        if found is None:
            raise SlError("SL_E_INVALID_PRODUCT_KEY")
        if not fits(found):
            raise SlError("SL_E_MISMATCHED_PRODUCT_SKU")
        if self._key is not None and VERSIONS.index(found.version) < VERSIONS.index(self._key.version):
            raise SlError("SL_E_PRODUCT_KEY_INSTALLATION_NOT_ALLOWED")
        if not self._licensing.online:
            raise SlError("WININET_E_NAME_NOT_RESOLVED")
        self._store.activate(found, self._machine)
        self._licensing.activations += 1
        self._key = found

    def require(self, guest: Windows) -> None:
        """Raise SlError unless the machine activates the guest.

        Raises:
            SlError: the machine does not activate the guest.
        """
        if self.source == "None":
            raise SlError("SL_E_IA_PARENT_PARTITION_NOT_ACTIVATED")
        if self.source == "Subscription":
            return
        # Inferred (azure-edition-guest-needs-the-subscription): the guest cannot use a key without Software Assurance.
        # Simplified: no key has Software Assurance.
        if guest.edition == AZURE_EDITION:
            raise SlError("SL_E_IA_ID_MISMATCH")
        if self._oem_license or self._key is None:
            return
        if not Windows(self._key.version, self._key.edition).activates(guest):
            raise SlError("SL_E_IA_ID_MISMATCH")

    def as_json(self) -> dict[str, str]:
        """Return the state as the cmdlets may show it.

        Inferred (automatic-activation-shows-state-source-and-key): all names and values.
        """
        return {
            "AutomaticVMActivation": "Disabled" if self.source == "None" else "Enabled",
            "Source": self.source,
            "KeyVersion": f"Windows Server {self._key.version}" if self._key else "",
            "PartialProductKey": self._key.partial if self._key else "",
        }

    def subscriptions(self) -> list[dict[str, str]]:
        """Return the output of `Get-AzureStackHCISubscriptionStatus`.

        Inferred (missing-subscription-is-inactive): the status of a missing subscription.
        """
        bought = "Active" if self.subscription else "Inactive"
        return [
            {"SubscriptionName": "Azure Stack HCI", "SubscriptionStatus": "Active"},
            {"SubscriptionName": "Windows Server Subscription", "SubscriptionStatus": bought},
        ]


def fits(key: ProductKey) -> bool:
    """Return True if a key can activate guests here: a purchased Datacenter key for 2019 or later."""
    recent = key.version in VERSIONS and VERSIONS.index(key.version) >= VERSIONS.index(_OLDEST_KEY)
    return recent and key.edition == "Datacenter" and key.channel in COUNTED
