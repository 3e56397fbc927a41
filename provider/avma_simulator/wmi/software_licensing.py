"""`SoftwareLicensingProduct` and `SoftwareLicensingService` of one machine: rows and methods.

A machine has one product for every channel of its edition. The installed key makes one of them the current product.
Another kind of key therefore means another row with another ID.
"""

from __future__ import annotations

import asyncio
import uuid

from avma import hresult
from avma_simulator.state.keys import Channel, ProductKey
from avma_simulator.state.licensing import NEVER, License, LicenseStatus
from avma_simulator.state.machine import Machine
from avma_simulator.state.sl_errors import SlError
from avma_simulator.state.windows import EDITIONS
from avma_simulator.wmi.cim import CimClass, Instance, Value, declare
from avma_simulator.wmi.methods import Arguments, Method

WINDOWS_APPLICATION = "55c92734-d682-4d71-983e-d6ec3f16059f"
_NAMESPACE = uuid.UUID(WINDOWS_APPLICATION)
_NOT_APPLICABLE = 4294967295
_AZURE_BASED = 2

_SERVICE_STRINGS = (
    "ClientMachineID DiscoveredKeyManagementServiceMachineIpAddress DiscoveredKeyManagementServiceMachineName"
    " KeyManagementServiceLookupDomain KeyManagementServiceMachine KeyManagementServiceProductKeyID"
    " OA3xOriginalProductKey OA3xOriginalProductKeyDescription OA3xOriginalProductKeyPkPn Version"
)
_SERVICE_NUMBERS = (
    "IsKeyManagementServiceMachine KeyManagementServicePort PolicyCacheRefreshRequired"
    " RemainingWindowsReArmCount RequiredClientCount VLActivationInterval VLRenewalInterval"
)
_SERVICE_SWITCHES = "KeyManagementServiceDnsPublishing KeyManagementServiceHostCaching KeyManagementServiceLowPriority"
SERVICE = declare(
    "root/cimv2",
    "SoftwareLicensingService",
    "Version",
    string=_SERVICE_STRINGS,
    uint32=_SERVICE_NUMBERS,
    boolean=_SERVICE_SWITCHES,
)
# Windows Server 2019 has none of these, 23H2 has them. Inferred (subscription-properties-came-after-2022): they came
# with the builds after 2022.
SERVICE_WITH_SUBSCRIPTION = declare(
    "root/cimv2",
    "SoftwareLicensingService",
    "Version",
    string=f"{_SERVICE_STRINGS} SubscriptionEdition SubscriptionExpiry",
    uint32=f"{_SERVICE_NUMBERS} AzureMetadataResponse EmitWindowsMeter SubscriptionStatus SubscriptionType",
    boolean=_SERVICE_SWITCHES,
)
PRODUCT = declare(
    "root/cimv2",
    "SoftwareLicensingProduct",
    "ID",
    string="ApplicationID AutomaticVMActivationHostDigitalPid2 AutomaticVMActivationHostMachineName Description"
    " DiscoveredKeyManagementServiceMachineName IAID ID KeyManagementServiceLookupDomain KeyManagementServiceMachine"
    " KeyManagementServiceProductKeyID LicenseDependsOn LicenseFamily MachineURL Name OfflineInstallationId"
    " PartialProductKey ProcessorURL ProductKeyChannel ProductKeyID ProductKeyID2 ProductKeyURL UseLicenseURL"
    " ValidationURL",
    uint32="ExtendedGrace GenuineStatus GracePeriodRemaining IsKeyManagementServiceMachine KeyManagementServicePort"
    " LicenseStatus LicenseStatusReason RemainingAppReArmCount RemainingSkuReArmCount RequiredClientCount"
    " VLActivationInterval VLActivationType VLActivationTypeEnabled VLRenewalInterval",
    datetime="AutomaticVMActivationLastActivationTime EvaluationEndDate TrustedTime",
    boolean="LicenseIsAddon",
)


def service_class(machine: Machine) -> CimClass:
    """Return the class of the licensing service for the machine's release."""
    return SERVICE_WITH_SUBSCRIPTION if machine.windows.knows_subscriptions else SERVICE


def service(machine: Machine) -> Instance:
    """Return the licensing service.

    Its Version is the file version of the service. On enablement releases it is lower than the release (recorded: 26200
    shows 10.0.26100.8737). Simplified: the last number of the default is 1.
    """
    values: dict[str, Value] = {
        "ClientMachineID": str(uuid.uuid5(_NAMESPACE, machine.identifier)),
        "IsKeyManagementServiceMachine": 0,
        "KeyManagementServiceDnsPublishing": True,
        "KeyManagementServiceHostCaching": True,
        "KeyManagementServiceLowPriority": False,
        "KeyManagementServicePort": 0,
        "PolicyCacheRefreshRequired": 0,
        "RemainingWindowsReArmCount": 1000,
        "RequiredClientCount": _NOT_APPLICABLE,
        "VLActivationInterval": _NOT_APPLICABLE,
        "VLRenewalInterval": _NOT_APPLICABLE,
        "Version": machine.spec.service_version or f"{machine.windows.release}.1",
    }
    if machine.windows.knows_subscriptions:
        values |= _subscription(machine)
    return Instance(service_class(machine), values)


def _subscription(machine: Machine) -> dict[str, Value]:
    """Return the Pay-as-you-go properties. The type is Azure based.

    Inferred (pay-as-you-go-has-status-one-and-type-two, server-without-pay-as-you-go-has-no-subscription): all other
    values.
    """
    pays = machine.licensing.pay_as_you_go
    return {
        "AzureMetadataResponse": 0,
        "EmitWindowsMeter": int(pays),
        "SubscriptionEdition": machine.windows.family if pays else None,
        "SubscriptionExpiry": None,
        "SubscriptionStatus": int(pays),
        "SubscriptionType": _AZURE_BASED if pays else _NOT_APPLICABLE,
    }


def products(machine: Machine) -> list[Instance]:
    """Return the products: one for every channel of the edition, leftovers of upgrades, and add-ons.

    The current product is not always first. Reported: add-ons of Extended Security Updates come before it.
    """
    current = machine.licensing.license
    channels = [Channel.EVALUATION] if machine.windows.evaluation else list(Channel)[:-1]
    rows = [_product(machine, channel, current) for channel in channels]
    leftover = machine.licensing.leftover
    bought = machine.licensing.extended_security_updates
    return [
        *(_addon(machine, year, installed=True) for year in bought),
        *([_leftover(machine, leftover)] if leftover else []),
        *rows,
        *([] if bought else [_addon(machine, 1, installed=False)]),
    ]


def _leftover(machine: Machine, product_key: ProductKey) -> Instance:
    """Return the product of a second installed key, as upgrades leave them behind."""
    edition = EDITIONS[product_key.edition]
    # Inferred (converted-evaluation-keeps-its-license): it leaves the product of the evaluation.
    family = edition.family + ("Eval" if product_key.channel is Channel.EVALUATION else "")
    values: dict[str, Value] = {
        **_blank(machine, f"leftover/{product_key.version}/{product_key.channel.name}"),
        **_installed(License(product_key, LicenseStatus[machine.spec.leftover_status])),
        "Description": product_key.channel.description,
        "LicenseFamily": family,
        "LicenseIsAddon": False,
        "Name": f"Windows(R), {family} edition",
    }
    return Instance(PRODUCT, values)


def _product(machine: Machine, channel: Channel, current: License | None) -> Instance:
    installed = current if current is not None and current.product_key.channel is channel else None
    values: dict[str, Value] = {
        **_blank(machine, channel.name),
        "Description": channel.description,
        "LicenseFamily": machine.windows.family,
        "LicenseIsAddon": False,
        "Name": f"Windows(R), {machine.windows.family} edition",
    }
    if installed is not None:
        values |= {**_installed(installed), "OfflineInstallationId": machine.licensing.installation_id}
    return Instance(PRODUCT, values)


def _addon(machine: Machine, year: int, installed: bool) -> Instance:
    """Return an add-on of Extended Security Updates.

    Reported: a key of its own licenses it. Simplified: each year has one key.
    """
    family = f"Server-ESU-Year{year}"
    product_key = ProductKey(f"BCDFG-HJKMN-PQRTV-WXY23-HXTR{year + 1}", Channel.MAK, machine.windows.version, "")
    values: dict[str, Value] = {
        **_blank(machine, "add-on" if year == 1 else f"add-on/{year}"),
        **(_installed(License(product_key, LicenseStatus.Licensed)) if installed else {}),
        "Description": Channel.MAK.description,
        "LicenseDependsOn": WINDOWS_APPLICATION,
        "LicenseFamily": family,
        "LicenseIsAddon": True,
        "Name": f"Windows(R), {family} add-on",
    }
    return Instance(PRODUCT, values)


def _blank(machine: Machine, product: str) -> dict[str, Value]:
    windows = machine.windows
    identity = f"{windows.version}/{windows.family}/{product}"
    return {
        "ApplicationID": WINDOWS_APPLICATION,
        "AutomaticVMActivationLastActivationTime": NEVER,
        "EvaluationEndDate": NEVER,
        "ExtendedGrace": _NOT_APPLICABLE,
        "GenuineStatus": 0,
        "GracePeriodRemaining": 0,
        "ID": str(uuid.uuid5(_NAMESPACE, identity)),
        "IsKeyManagementServiceMachine": 0,
        "KeyManagementServicePort": 0,
        "LicenseStatus": 0,
        "LicenseStatusReason": hresult.by_name("SL_E_PKEY_NOT_INSTALLED").value,
        "RemainingAppReArmCount": _NOT_APPLICABLE,
        "RemainingSkuReArmCount": _NOT_APPLICABLE,
        "RequiredClientCount": _NOT_APPLICABLE,
        "TrustedTime": NEVER,
        "VLActivationInterval": _NOT_APPLICABLE,
        "VLActivationType": 0,
        "VLActivationTypeEnabled": 0,
        "VLRenewalInterval": _NOT_APPLICABLE,
    }


def _installed(current: License) -> dict[str, Value]:
    return {
        "AutomaticVMActivationHostMachineName": current.activated_by or None,
        "AutomaticVMActivationLastActivationTime": current.activated_at,
        "GracePeriodRemaining": current.minutes_left,
        "LicenseStatus": int(current.status),
        "LicenseStatusReason": current.reason,
        "PartialProductKey": current.product_key.partial,
        "ProductKeyChannel": current.product_key.channel.key_channel,
        "RemainingAppReArmCount": 1000,
        "RemainingSkuReArmCount": 1001,
    }


async def _install_product_key(machine: Machine, service: Instance, arguments: Arguments) -> None:
    machine.licensing.install_key(arguments.text("ProductKey"))


async def _nothing(machine: Machine, instance: Instance, arguments: Arguments) -> None:
    return None


async def _activate(machine: Machine, product: Instance, arguments: Arguments) -> None:
    if _is_leftover(machine, product):
        raise SlError("SL_E_PRODUCT_SKU_NOT_INSTALLED")
    _require_current(product)
    if product.get("LicenseIsAddon"):
        return
    started = machine.licensing.begin_activation()
    await asyncio.sleep(machine.licensing.activation_delay)
    machine.licensing.finish_activation(started)


async def _uninstall_product_key(machine: Machine, product: Instance, arguments: Arguments) -> None:
    if _is_leftover(machine, product):
        machine.licensing.leftover = None
        return
    _require_current(product)
    if product.get("LicenseIsAddon"):
        left = (year for year in machine.licensing.extended_security_updates if not _is_addon_of(product, year))
        machine.licensing.extended_security_updates = tuple(left)
        return
    machine.licensing.uninstall_key()


async def _deposit(machine: Machine, product: Instance, arguments: Arguments) -> None:
    if not _is_leftover(machine, product):
        _require_current(product)
    if product.get("LicenseIsAddon"):
        raise SlError("SL_E_INVALID_PRODUCT_KEY_TYPE")
    installation, confirmation = arguments.text("InstallationId"), arguments.text("ConfirmationId")
    machine.licensing.deposit_confirmation_id(installation, confirmation)


def _is_addon_of(product: Instance, year: int) -> bool:
    return product.get("LicenseFamily") == f"Server-ESU-Year{year}"


def _is_leftover(machine: Machine, product: Instance) -> bool:
    leftover = machine.licensing.leftover
    return leftover is not None and product.get("ID") == _leftover(machine, leftover).get("ID")


def _require_current(product: Instance) -> None:
    if product.get("PartialProductKey") is None:
        raise SlError("SL_E_PKEY_NOT_INSTALLED")


METHODS: dict[str, dict[str, Method]] = {
    SERVICE.name: {
        "InstallProductKey": _install_product_key,
        "RefreshLicenseStatus": _nothing,
        "ClearProductKeyFromRegistry": _nothing,
    },
    PRODUCT.name: {
        "Activate": _activate,
        "UninstallProductKey": _uninstall_product_key,
        "DepositOfflineConfirmationId": _deposit,
    },
}
