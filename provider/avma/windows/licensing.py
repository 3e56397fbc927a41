"""The Software Protection Platform of one machine: its licenses, their keys, and the methods to change them.

The WMI classes are `SoftwareLicensingService` and `SoftwareLicensingProduct` in root\\cimv2 (learn.microsoft.com,
SppWmi). The return value of a method proves nothing: after a change, callers read the state again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from avma import errors, hresult, keys
from avma.context import Context
from avma.deadline import Deadline
from avma.properties import Choice
from avma.windows import computer
from avma.windows.computer import NAMESPACE, System
from avma.windows.wmi import LICENSING_PRODUCTS, LICENSING_SERVICE, Wmi, require_row
from avma.wsman import retry
from avma.wsman.envelope import CimMethod
from avma.wsman.instance import Instance

WINDOWS = "55c92734-d682-4d71-983e-d6ec3f16059f"
"""The ApplicationID of Windows itself. Other products, such as Office, use the platform too."""

_FIRST_WITH_SUBSCRIPTION = 25398
"""The first build with subscription properties in its licensing service."""
_SUBSCRIBED, _AZURE_BASED = 1, 2
"""`SubscriptionStatus` and `SubscriptionType` of a pay-as-you-go server.

Inferred (pay-as-you-go-has-status-one-and-type-two): the status, from its name.
"""

_SERVICE_QUERY = "SELECT Version FROM SoftwareLicensingService"
# The query names its columns, because Windows computes some of them row by row, such as OfflineInstallationId. Without
# the second condition a machine returns one row for each existing edition and channel.
_ALL_QUERY = (
    "SELECT ID,Description,LicenseFamily,LicenseStatus,LicenseStatusReason,PartialProductKey,GracePeriodRemaining,"
    "LicenseIsAddon,AutomaticVMActivationHostMachineName,AutomaticVMActivationLastActivationTime "
    f"FROM SoftwareLicensingProduct WHERE ApplicationID = '{WINDOWS}'"
)
_QUERY = f"{_ALL_QUERY} AND PartialProductKey IS NOT NULL"

_SERVICE, _PRODUCT = "SoftwareLicensingService", "SoftwareLicensingProduct"
_INSTALL_PRODUCT_KEY = CimMethod(NAMESPACE, _SERVICE, "InstallProductKey")
_REFRESH_LICENSE_STATUS = CimMethod(NAMESPACE, _SERVICE, "RefreshLicenseStatus")
_ACTIVATE = CimMethod(NAMESPACE, _PRODUCT, "Activate")
_DEPOSIT_CONFIRMATION_ID = CimMethod(NAMESPACE, _PRODUCT, "DepositOfflineConfirmationId")
_UNINSTALL_PRODUCT_KEY = CimMethod(NAMESPACE, _PRODUCT, "UninstallProductKey")

_READ_SERVICE, _READ_PRODUCTS = "read the licensing service", "read the installed licenses"


class LicenseStatus(Choice):
    """The license status of Windows, in the terms of WMI (`SoftwareLicensingProduct.LicenseStatus`)."""

    UNLICENSED = "Unlicensed", "Not licensed."
    LICENSED = "Licensed", "Licensed."
    OOB_GRACE = "OOBGrace", "In the grace period after installation."
    OOT_GRACE = "OOTGrace", "In the grace period after a hardware change or a lapsed KMS activation."
    NON_GENUINE_GRACE = "NonGenuineGrace", "In the grace period after Windows found the copy not genuine."
    NOTIFICATION = "Notification", "The grace period is over, and Windows is not licensed."
    EXTENDED_GRACE = "ExtendedGrace", "In an extended grace period."


_STATUS = tuple(LicenseStatus)


class LicenseChannel(Choice):
    """The channel of a product key, as in `SoftwareLicensingProduct.Description`."""

    AVMA = "VIRTUAL_MACHINE_ACTIVATION", "A generic AVMA key. The Hyper-V host activates the guest."
    KMS_CLIENT = "VOLUME_KMSCLIENT", "A generic KMS client key. A KMS host or Active Directory activates the machine."
    KMS_HOST = "VOLUME_KMS", "The key of a KMS host."
    MAK = "VOLUME_MAK", "A Multiple Activation Key."
    EVALUATION = "TIMEBASED", "An evaluation, or another license with a time limit."
    OEM = "OEM", "A key that came with the hardware."
    RETAIL = "RETAIL", "A retail key."
    OTHER = "other", "Any other channel."


OWN = (LicenseChannel.MAK, LicenseChannel.RETAIL, LicenseChannel.OEM, LicenseChannel.KMS_HOST)
"""The channels of keys for one machine. A machine with such a key does not pay as it goes."""
BOUGHT = (LicenseChannel.MAK, LicenseChannel.RETAIL, LicenseChannel.OEM)
"""The channels of keys that Microsoft sells and activates."""


@dataclass(frozen=True)
class Product:
    """A license of the installed Windows: one row of `SoftwareLicensingProduct`."""

    activation_id: str
    channel: LicenseChannel
    family: str
    status: LicenseStatus
    reason: int
    """`LicenseStatusReason`, an HRESULT."""
    partial_product_key: str
    grace_minutes: int
    """`GracePeriodRemaining`. 0 in a licensed product means that the license does not end."""
    activated_by_host: str
    """`AutomaticVMActivationHostMachineName`, empty if no host activated the product."""
    activated_at: str | None
    """`AutomaticVMActivationLastActivationTime` in ISO 8601. None if no host activated the product."""

    @property
    def licensed(self) -> bool:
        """Whether Windows reports the product as licensed."""
        return self.status is LicenseStatus.LICENSED


@dataclass(frozen=True)
class Licensing:
    """The licensing of a machine at one moment. Without an installed key, it has no `product`."""

    service_version: str
    system: System
    product: Product | None
    others: tuple[Product, ...] = ()
    """Further products with an installed key. Upgrades leave them behind."""

    def preferring(self, partial_product_key: str | None) -> Licensing:
        """Return the same state with the licensed product of that key as `product`, if there is one."""
        products = [product for product in (self.product, *self.others) if product is not None]
        wanted = next((p for p in products if p.licensed and p.partial_product_key == partial_product_key), None)
        if wanted is None:
            return self
        return replace(self, product=wanted, others=tuple(p for p in products if p is not wanted))

    @property
    def licensed(self) -> bool:
        """Whether Windows reports that it is licensed."""
        return self.product is not None and self.product.licensed

    @property
    def status(self) -> LicenseStatus:
        """The license status. A machine without a key is not licensed."""
        return self.product.status if self.product else LicenseStatus.UNLICENSED


class LicensingReader:
    """A reader of the licensing of one machine. Its Windows stays the same, so only the first read asks for it."""

    def __init__(self, wmi: Wmi) -> None:
        self._wmi = wmi
        self.system: System | None = None
        """The Windows release and edition, after the first read."""

    def read(self, deadline: Deadline) -> Licensing:
        """Read the installed licenses of the machine.

        This takes two requests, one more in the first read, and one more if no key is installed. The first ones go out
        together if the connection supports it. The version of the licensing service is not the version of Windows: it
        lags behind on enablement releases. Each read asks for it: its row proves that the account still sees the
        licenses and that the service runs.

        Raises:
            EmptyAnswer: the licensing service does not list itself or its licenses.
            AvmaError: the machine could not be queried, or does not run Windows Server.
        """
        context = Context(_READ_SERVICE, self._wmi.where, deadline)
        found = self.found_in(context, self._wmi.query_all(context, NAMESPACE, self.queries))
        if found.product is not None:
            return found
        # Microsoft does not document Azure Local's licenses, so an empty listing of them may be true.
        products = _with_keys(replace(context, tried=_READ_PRODUCTS), self._wmi, or_none=found.system.azure_local)
        return _licensing(found.service_version, found.system, _ranked(products))

    @property
    def queries(self) -> tuple[str, ...]:
        """The queries of the next read."""
        return (_SERVICE_QUERY, _QUERY) if self.system else (_SERVICE_QUERY, _QUERY, computer.SYSTEM_QUERY)

    def found_in(self, context: Context, results: Sequence[Sequence[Instance]]) -> Licensing:
        """Return the licensing in the results of `queries`. Without a product, a key may still be installed.

        Raises:
            EmptyAnswer: the licensing service does not list itself.
            AvmaError: the machine does not run Windows Server.
        """
        services, rows, *systems = results
        require_row(context, services, LICENSING_SERVICE)
        ranked = _ranked(rows)
        if self.system is None:
            family = ranked[0].family if ranked else ""
            self.system = computer.system_of(replace(context, tried=computer.READ_SYSTEM), systems[0], family)
        return _licensing(services[0].text("Version") or "", self.system, ranked)


def _licensing(service_version: str, system: System, ranked: list[Product]) -> Licensing:
    ranked = _of_edition(ranked, system)
    return Licensing(service_version, system, next(iter(ranked), None), tuple(ranked[1:]))


def read_product(wmi: Wmi, deadline: Deadline, partial_product_key: str = "") -> Product | None:
    """Return the installed Windows product, None if no key is installed.

    Upgraded machines can have several products. One with the given partial key comes first, then a licensed one.

    Raises:
        EmptyAnswer: the licensing service does not list its licenses.
        AvmaError: the machine could not be queried.
    """
    context = Context(_READ_PRODUCTS, wmi.where, deadline)
    rows = wmi.query(context, NAMESPACE, _QUERY) or _with_keys(context, wmi)
    return _preferred(rows, partial_product_key)


def _with_keys(context: Context, wmi: Wmi, or_none: bool = False) -> list[Instance]:
    """Return the licenses with a key, out of a listing of all licenses. Without `or_none`, it is never empty.

    "No key is installed" is a reason to install one, so it must not rest on an answer without rows.
    """
    rows = wmi.query(context, NAMESPACE, _ALL_QUERY)
    if not or_none:
        require_row(context, rows, LICENSING_PRODUCTS)
    return [row for row in rows if row.text("PartialProductKey")]


def _of_edition(products: list[Product], system: System) -> list[Product]:
    """Return the products that can license this Windows, or all of them if none can.

    A converted evaluation edition may still list the evaluation product, even as licensed. Win32_OperatingSystem
    decides whether Windows is an evaluation edition.
    """
    return [p for p in products if (p.channel is LicenseChannel.EVALUATION) is system.evaluation] or products


def _preferred(rows: Iterable[Instance], partial_product_key: str) -> Product | None:
    return next(iter(_ranked(rows, partial_product_key)), None)


def _ranked(rows: Iterable[Instance], partial_product_key: str = "") -> list[Product]:
    """Return the products in order of relevance: the wanted one, a licensed one, one in grace.

    An evaluation product comes after the others: next to them, it is left over from a conversion.
    """
    products = [_product(row) for row in rows if not row.boolean("LicenseIsAddon")]

    def rank(product: Product) -> tuple[bool, bool, bool, bool, str]:
        unlicensed = product.status is LicenseStatus.UNLICENSED
        return (
            product.partial_product_key != partial_product_key,
            product.channel is LicenseChannel.EVALUATION,
            not product.licensed,
            unlicensed,
            product.activation_id,
        )

    return sorted(products, key=rank)


def pays_as_it_goes(wmi: Wmi, found: Licensing, deadline: Deadline) -> bool:
    """Return True if Azure Arc pay-as-you-go licenses a Windows Server. This gives its guests no rights.

    The function queries only licensed servers without their own key, from build 25398 on. Others cannot pay as they go.
    Source: learn.microsoft.com, "Windows Server Pay-as-you-go".

    Raises:
        AvmaError: the machine could not be queried.
    """
    own = found.product is not None and found.product.channel in OWN
    if own or not found.licensed or found.system.build < _FIRST_WITH_SUBSCRIPTION:
        return False
    context = Context(_READ_SERVICE, wmi.where, deadline)
    rows = wmi.query(context, NAMESPACE, "SELECT SubscriptionStatus,SubscriptionType FROM SoftwareLicensingService")
    require_row(context, rows, LICENSING_SERVICE)
    return any(
        (row.integer("SubscriptionStatus"), row.integer("SubscriptionType")) == (_SUBSCRIBED, _AZURE_BASED)
        for row in rows
    )


def install_product_key(wmi: Wmi, service_version: str, product_key: str, deadline: Deadline) -> Product | None:
    """Install a product key. It silently replaces the existing one.

    Return the product with the key if the connection can read it in the same request. None proves nothing.

    Raises:
        LicensingFault: Windows rejected the key. The previous key is still installed.
        AnswerLost: no answer came. The key may be installed.
    """
    context = Context("install the product key", wmi.where, deadline)
    key, parameters = _key_of_service(context, service_version), {"ProductKey": product_key}
    attempts = retry.changing(context)
    while True:
        with attempts:
            rows = wmi.invoke_then_query(context, _INSTALL_PRODUCT_KEY, key, parameters, _QUERY)
            return _preferred(rows or (), keys.partial(product_key))


def refresh_license_status(wmi: Wmi, service_version: str, deadline: Deadline) -> None:
    """Make the licensing service evaluate its licenses again.

    Raises:
        WsmanFault: Windows rejected the call.
    """
    context = Context("refresh the license status", wmi.where, deadline)
    _change(context, wmi, _REFRESH_LICENSE_STATUS, _key_of_service(context, service_version), {})


def activate(wmi: Wmi, activation_id: str, partial_product_key: str, deadline: Deadline) -> Product | None:
    """Activate the product with that key. This can use up one activation of a Multiple Activation Key.

    Return the product if the connection can read it in the same request. None proves nothing.

    Raises:
        LicensingFault: Windows, its host or Microsoft's server rejected the activation.
        AnswerLost: no answer came. The product may be activated.
    """
    context = Context("activate Windows", wmi.where, deadline)
    rows = wmi.invoke_then_query(context, _ACTIVATE, {"ID": activation_id}, {}, _QUERY)
    return _preferred(rows or (), partial_product_key)


def installation_id(wmi: Wmi, activation_id: str, deadline: Deadline) -> str:
    """Return the installation ID for activation by phone: `OfflineInstallationId`. Empty if Windows has no such ID.

    Raises:
        AvmaError: the machine could not be queried.
    """
    query = f"SELECT OfflineInstallationId FROM SoftwareLicensingProduct WHERE ID = '{activation_id}'"
    context = Context("read the installation ID", wmi.where, deadline)
    rows = wmi.query(context, NAMESPACE, query)
    require_row(context, rows, LICENSING_PRODUCTS)
    return rows[0].text("OfflineInstallationId") or ""


def deposit_confirmation_id(wmi: Wmi, activation_id: str, ids: Mapping[str, str], deadline: Deadline) -> None:
    """Activate a product by phone, with its `InstallationId` and the activation center's `ConfirmationId`.

    Raises:
        LicensingFault: the confirmation ID does not belong to the installation ID.
        AnswerLost: no answer came. The product may be activated.
    """
    context = Context("activate Windows by phone", wmi.where, deadline)
    wmi.invoke(context, _DEPOSIT_CONFIRMATION_ID, {"ID": activation_id}, ids)


def uninstall_product_key(wmi: Wmi, activation_id: str, deadline: Deadline) -> None:
    """Uninstall a product's key. Windows is then unlicensed, and Microsoft does not return the used activation.

    Raises:
        WsmanFault: Windows rejected the call.
        AnswerLost: no answer came. The key may be gone.
    """
    context = Context("uninstall the product key", wmi.where, deadline)
    _change(context, wmi, _UNINSTALL_PRODUCT_KEY, {"ID": activation_id}, {})


def reason_text(product: Product | None) -> str:
    """Return the reason why a product is not licensed, in words."""
    if product is None:
        return "no product key is installed"
    if product.reason == 0:
        return f"its license status is {product.status.value}"
    return f"its license status is {product.status.value} ({hresult.describe(product.reason)})"


def _key_of_service(context: Context, version: str) -> dict[str, str]:
    """Return the key of the licensing service, which is its version."""
    if not version:
        remedy = "check the Software Protection service (sppsvc) on the machine"
        raise context.error(errors.UnexpectedAnswer, "WMI lists no SoftwareLicensingService", remedy)
    return {"Version": version}


def _change(
    context: Context, wmi: Wmi, method: CimMethod, keys: Mapping[str, str], parameters: Mapping[str, str]
) -> Instance:
    """Call a method that changes the machine. Repeat the call only if the machine refused it before it began."""
    attempts = retry.changing(context)
    while True:
        with attempts:
            return wmi.invoke(context, method, keys, parameters)


def _product(row: Instance) -> Product:
    status = row.integer("LicenseStatus") or 0
    return Product(
        activation_id=row.text("ID") or "",
        channel=_channel(row.text("Description") or ""),
        family=row.text("LicenseFamily") or "",
        status=_STATUS[status] if 0 <= status < len(_STATUS) else LicenseStatus.UNLICENSED,
        reason=row.integer("LicenseStatusReason") or 0,
        partial_product_key=row.text("PartialProductKey") or "",
        grace_minutes=row.integer("GracePeriodRemaining") or 0,
        activated_by_host=row.text("AutomaticVMActivationHostMachineName") or "",
        activated_at=_iso_8601(row.time("AutomaticVMActivationLastActivationTime")),
    )


def _iso_8601(moment: datetime | None) -> str | None:
    """Return a time in ISO 8601."""
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


def _channel(description: str) -> LicenseChannel:
    """Find the channel's name as slmgr.vbs does. VOLUME_KMSCLIENT comes first, because it contains VOLUME_KMS."""
    return next((c for c in LicenseChannel if c.value in description), LicenseChannel.OTHER)
