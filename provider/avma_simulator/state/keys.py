"""The product keys of an estate and their remaining activations. It acts as Microsoft's activation service."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from avma import keys
from avma_simulator.state.sl_errors import SlError
from avma_simulator.state.windows import Windows

if TYPE_CHECKING:
    from avma_simulator.estate import Estate


class Channel(Enum):
    """A product channel: the end of a product's Description, and its `ProductKeyChannel`.

    `VT:IA` and `Retail:TB:Eval` are strings in the libraries of the Software Protection Platform. Listings of slmgr
    show the second one.
    """

    KMS_CLIENT = "VOLUME_KMSCLIENT", "Volume:GVLK"
    AVMA = "VIRTUAL_MACHINE_ACTIVATION", "VT:IA"
    MAK = "VOLUME_MAK", "Volume:MAK"
    RETAIL = "RETAIL", "Retail"
    OEM = "OEM_DM", "OEM:DM"
    EVALUATION = "TIMEBASED_EVAL", "Retail:TB:Eval"

    @property
    def description(self) -> str:
        """The `Description` of products of the channel."""
        return f"Windows(R) Operating System, {self.value[0]} channel"

    @property
    def key_channel(self) -> str:
        """The `ProductKeyChannel` of keys of the channel."""
        return self.value[1]


COUNTED = (Channel.MAK, Channel.RETAIL, Channel.OEM)
_DECLARED = {"MAK": Channel.MAK, "Retail": Channel.RETAIL, "OEM": Channel.OEM}
_PUBLISHED = {keys.KeyKind.AVMA: Channel.AVMA, keys.KeyKind.KMS_CLIENT: Channel.KMS_CLIENT}


@dataclass(frozen=True)
class ProductKey:
    """A key, excluded from `repr`, with its release and edition."""

    key: str
    channel: Channel
    version: str
    edition: str

    @property
    def partial(self) -> str:
        """The last five characters."""
        return self.key[-5:]

    def __repr__(self) -> str:
        return f"ProductKey(…{self.partial}, {self.channel.name}, {self.version} {self.edition})"


class KeyStore:
    """All keys of an estate with their use, and the availability of a KMS host."""

    def __init__(self, declared: dict[ProductKey, int], kms: bool = False) -> None:
        self.kms = kms
        self._known = _by_key(declared)
        self._left = {product_key.key: activations for product_key, activations in declared.items()}
        self._activated: set[tuple[str, str]] = set()

    def find(self, key: str) -> ProductKey | None:
        """Return the key, or None if it is unknown.

        Inferred (lower-case-key-is-accepted, key-without-hyphens-is-invalid): Windows accepts lower case, but no other
        variation.
        """
        return self._known.get(key.upper())

    def left(self) -> dict[str, int]:
        """Return the remaining activations, by partial key."""
        return {key[-5:]: count for key, count in self._left.items()}

    def remember(self, product_key: ProductKey, machine: str) -> None:
        """Record that the key activated the machine before the simulation began."""
        self._activated.add((product_key.key, machine))

    def activate(self, product_key: ProductKey, machine: str) -> None:
        """Spend one activation of a counted key on a machine.

        Inferred (repeated-activation-uses-no-second-activation): another activation of the same machine with the same
        key is free. On Windows, it may use up another one. So `Licensing.activations` also counts repeated activations.

        Raises:
            SlError: the key has no activations left.
        """
        use = (product_key.key, machine)
        if use in self._activated:
            return
        if not self._left[product_key.key]:
            name = "SL_E_CHPA_DMAK_LIMIT_EXCEEDED"
            raise SlError(name if product_key.channel is Channel.MAK else "SL_E_CHPA_MAXIMUM_UNLOCK_EXCEEDED")
        self._left[product_key.key] -= 1
        self._activated.add(use)

    def activate_by_phone(self, product_key: ProductKey, machine: str) -> None:
        """Spend an activation by phone.

        Inferred (phone-activation-needs-no-remaining-activation): the activation center grants it even if none is left
        online.
        """
        use = (product_key.key, machine)
        if use not in self._activated:
            self._left[product_key.key] = max(0, self._left[product_key.key] - 1)
            self._activated.add(use)


def _published() -> list[ProductKey]:
    rows = keys.AVMA_KEYS + keys.KMS_CLIENT_KEYS
    return [ProductKey(row.key, _PUBLISHED[row.kind], row.version, row.edition) for row in rows]


def declared_keys(declared: Estate) -> dict[ProductKey, int]:
    """Return the declared keys of an estate with their remaining activations."""
    return {
        ProductKey(key.key, _DECLARED[key.channel], key.version, key.edition): key.activations for key in declared.keys
    }


def of_estate(declared: Estate) -> dict[str, ProductKey]:
    """Return every key that exists: published keys and declared keys."""
    return _by_key(declared_keys(declared))


def _by_key(declared: Iterable[ProductKey]) -> dict[str, ProductKey]:
    return {product_key.key: product_key for product_key in (*_published(), *declared)}


def fits(product_key: ProductKey, windows: Windows) -> bool:
    """Return True if a key is for a release. One published key covers several releases."""
    versions = {Channel.AVMA: windows.avma_keys, Channel.KMS_CLIENT: windows.kms_client_keys}
    return product_key.version == versions.get(product_key.channel, windows.version)


def kms_client_key(windows: Windows) -> ProductKey | None:
    """Return the key that volume media install, or None for a release without a published key."""
    version = windows.kms_client_keys
    found = None if version is None else keys.find(keys.KeyKind.KMS_CLIENT, version, windows.edition)
    return None if found is None else ProductKey(found.key, Channel.KMS_CLIENT, found.version, found.edition)
