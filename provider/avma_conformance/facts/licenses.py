"""Facts about the rows of `SoftwareLicensingProduct`, the licenses of Windows."""

from __future__ import annotations

from collections import Counter

from avma import compatibility, keys
from avma.windows.licensing import WINDOWS, LicenseChannel
from avma.wsman import envelope
from avma.wsman.instance import Instance
from avma_conformance.fact import Area, NotHere, Observation, On, equal, fact, like, one_of, present, true
from avma_conformance.fault_form import fault_form
from avma_conformance.licenses import (
    LICENSED,
    PRODUCT,
    activated_by_host,
    channel,
    installed,
    licenses,
    value_of,
    with_keys,
    without_key,
)
from avma_conformance.subject import CIMV2, Subject

_GUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_KEY_CHANNELS = {
    LicenseChannel.AVMA: ("VT:IA",),
    LicenseChannel.KMS_CLIENT: ("Volume:GVLK",),
    LicenseChannel.KMS_HOST: ("Volume:CSVLK",),
    LicenseChannel.MAK: ("Volume:MAK",),
    LicenseChannel.OEM: ("OEM:DM", "OEM:SLP", "OEM:COA", "OEM:NONSLP"),
    LicenseChannel.RETAIL: ("Retail",),
}
_SKU = "SELECT OperatingSystemSKU FROM Win32_OperatingSystem"
_SERVER_2012_R2 = 9600


@fact(Area.LICENSING, "inferred: from slmgr.vbs, which selects the licenses with a key")
def windows_lists_licenses_without_a_key(subject: Subject) -> Observation:
    """Windows lists a license for each channel of its edition, and most of them have no key."""
    every, keyed = len(licenses(subject)), len(with_keys(subject))
    return true("more licenses than keys", every > keyed, f"{every} licenses, {keyed} with a key")


@fact(Area.LICENSING, "slmgr.vbs, which queries this ID")
def license_of_windows_has_its_application_id(subject: Subject) -> Observation:
    """The licenses of Windows have one ApplicationID in all releases."""
    rows = subject.query(f"SELECT ApplicationID FROM {PRODUCT} WHERE Name LIKE 'Windows%'")
    if not rows:
        raise NotHere("no license has a name that begins with Windows")
    return equal({WINDOWS}, {(row.text("ApplicationID") or "").lower() for row in rows})


@fact(Area.LICENSING, "real listings, also in ansible.windows#834")
def license_is_marked_as_add_on_or_not(subject: Subject) -> Observation:
    """Each license has a value in LicenseIsAddon."""
    rows = present(licenses(subject), "the machine lists no license")
    unknown = sum(row.boolean("LicenseIsAddon") is None for row in rows)
    return equal("0 licenses without a value", f"{unknown} licenses without a value")


@fact(Area.LICENSING, "listings of slmgr on several releases")
def id_of_a_license_is_a_guid(subject: Subject) -> Observation:
    """The ID of a license is a GUID in lower case, without braces. Each license has its own."""
    ids = Counter(row.text("ID") or "" for row in present(licenses(subject), "the machine lists no license"))
    odd = [each for each in ids if not like(_GUID, each).holds]
    return equal("0 of another form, 0 repeated", f"{len(odd)} of another form, {ids.total() - len(ids)} repeated")


@fact(Area.LICENSING, "inferred: from the key property ID in SppWmi.mof")
def license_is_found_by_its_id(subject: Subject) -> Observation:
    """Get with the selector ID returns that license."""
    row = installed(subject)
    found = subject.exchange(envelope.get(CIMV2, PRODUCT, {"ID": row.text("ID") or ""}))
    fault = fault_form(found)
    same = value_of(found, "PartialProductKey") == row.text("PartialProductKey")
    return equal("the same license", str(fault) if fault else "the same license" if same else "another license")


@fact(Area.LICENSING, "SppWmi on Microsoft Learn")
def partial_product_key_has_five_characters(subject: Subject) -> Observation:
    """PartialProductKey consists of the last five characters of the key, in upper case."""
    partial = installed(subject).text("PartialProductKey") or ""
    known = all(each in keys.ALPHABET for each in partial)
    found = f"{len(partial)} characters, {'all' if known else 'not all'} in the alphabet of keys"
    return equal("5 characters, all in the alphabet of keys", found)


@fact(Area.LICENSING, "inferred: from listings of slmgr")
def description_of_a_license_is_in_english(subject: Subject) -> Observation:
    """The Description of a license is in English on each machine, and ends with the name of the channel."""
    return like(r"Windows\(R\) Operating System, [A-Z0-9_-]+ channel", installed(subject).text("Description") or "")


@fact(Area.LICENSING, "slmgr.vbs, which searches for the names of channels")
def description_of_a_license_names_a_known_channel(subject: Subject) -> Observation:
    """The Description of a license with a key contains a channel that slmgr.vbs distinguishes."""
    return one_of([each.name for each in LicenseChannel if each is not LicenseChannel.OTHER], _channel(subject).name)


def _channel(subject: Subject) -> LicenseChannel:
    return channel(installed(subject))


@fact(Area.LICENSING, "listings of slmgr, libraries of the Software Protection Platform")
def key_channel_matches_the_description(subject: Subject) -> Observation:
    """ProductKeyChannel names the same channel as the Description, with another word."""
    row = installed(subject)
    if channel(row) not in _KEY_CHANNELS:
        raise NotHere("the key has another channel")
    return one_of(_KEY_CHANNELS[channel(row)], row.text("ProductKeyChannel"))


@fact(Area.LICENSING, "libraries of the Software Protection Platform", on=On.GUEST)
def avma_key_has_the_channel_vt_ia(subject: Subject) -> Observation:
    """ProductKeyChannel of an AVMA key is VT:IA."""
    _, row = activated_by_host(subject)
    return equal("VT:IA", row.text("ProductKeyChannel"))


@fact(Area.LICENSING, "a listing of slmgr, telemetry of Windows")
def evaluation_key_has_the_channel_retail_tb_eval(subject: Subject) -> Observation:
    """ProductKeyChannel of the key on evaluation media is Retail:TB:Eval."""
    row = installed(subject)
    if channel(row) is not LicenseChannel.EVALUATION:
        raise NotHere("it is not an evaluation")
    return equal("Retail:TB:Eval", row.text("ProductKeyChannel"))


@fact(Area.LICENSING, "inferred: from winnt.h and the names of DISM editions")
def license_family_names_the_edition(subject: Subject) -> Observation:
    """LicenseFamily of the installed license and OperatingSystemSKU name the same edition."""
    family, sku = _family_and_sku(subject)
    return equal(compatibility.edition_of_sku(sku) or f"SKU {sku}", compatibility.edition_of_family(family) or family)


@fact(Area.LICENSING, "winnt.h, DISM output in windowsserverdocs#7017")
def evaluation_shows_in_family_and_sku(subject: Subject) -> Observation:
    """LicenseFamily contains Eval exactly if the SKU is that of an evaluation edition."""
    family, sku = _family_and_sku(subject)
    return equal(_evaluation(sku in compatibility.EVALUATION_SKUS), _evaluation("Eval" in family))


def _evaluation(holds: bool) -> str:
    return "an evaluation" if holds else "not an evaluation"


@fact(Area.LICENSING, "inferred: from DISM output in windowsserverdocs#7017")
def server_core_shows_in_family_and_sku(subject: Subject) -> Observation:
    """LicenseFamily ends with Cor exactly if the SKU is that of Server Core. Before 2016 there is no such edition."""
    family, sku = _family_and_sku(subject)
    core = sku in compatibility.CORE_SKUS and subject.server.system(subject.deadline).build > _SERVER_2012_R2
    return equal(_core(core), _core(family.endswith(("Cor", "Core"))))


def _core(holds: bool) -> str:
    return "an edition of Server Core" if holds else "not an edition of Server Core"


def _family_and_sku(subject: Subject) -> tuple[str, int]:
    """Return the family of the license that belongs to this Windows. A leftover license may have another one."""
    sku = subject.row(_SKU).integer("OperatingSystemSKU") or 0
    rows = [row for row in with_keys(subject) if not row.boolean("LicenseIsAddon")]
    evaluation = sku in compatibility.EVALUATION_SKUS
    own = [row for row in rows if (channel(row) is LicenseChannel.EVALUATION) is evaluation] or rows
    if not own:
        raise NotHere("no key is installed")
    return own[0].text("LicenseFamily") or "", sku


@fact(Area.LICENSING, "a listing of slmgr for a KMS client, in Microsoft's support articles")
def license_with_a_key_has_an_installation_id(subject: Subject) -> Observation:
    """OfflineInstallationId of a license with a key has 63 digits, whatever its channel."""
    if subject.server.system(subject.deadline).azure_local:
        raise NotHere("Azure Local has a license of another kind")
    return equal("63 digits", _digits(_installation_id(subject, installed(subject))))


@fact(Area.LICENSING, "inferred: from a license in ansible.windows#834")
def license_without_a_key_has_no_installation_id(subject: Subject) -> Observation:
    """OfflineInstallationId of a license without a key is empty."""
    return equal("nothing", _digits(_installation_id(subject, without_key(subject))))


def _installation_id(subject: Subject, row: Instance) -> str:
    query = f"SELECT OfflineInstallationId FROM {PRODUCT} WHERE ID = '{row.text('ID')}'"
    return subject.row(query).text("OfflineInstallationId") or ""


def _digits(text: str) -> str:
    if not text:
        return "nothing"
    return f"{len(text)} {'digits' if text.isdecimal() else 'characters'}"


@fact(Area.LICENSING, "reported in massgravel/Microsoft-Activation-Scripts#1125")
def extended_security_updates_have_a_key_of_their_own(subject: Subject) -> Observation:
    """An add-on for Extended Security Updates is licensed by its own key."""
    rows = with_keys(subject)
    add_ons = [row for row in rows if row.boolean("LicenseIsAddon")]
    if not add_ons or len(add_ons) == len(rows):
        raise NotHere("not both Windows and an add-on have a key")
    own = {row.text("PartialProductKey") for row in rows} - {row.text("PartialProductKey") for row in add_ons}
    return true("a key that Windows does not use", bool(own), "another key" if own else "the key of Windows")


@fact(Area.LICENSING, "inferred: from slmgr.vbs, and from recorded datetimes")
def time_that_never_was_is_in_1601(subject: Subject) -> Observation:
    """A datetime without a value is the beginning of 1601, in UTC."""
    row = installed(subject)
    if channel(row) is LicenseChannel.AVMA:
        raise NotHere("a host may have activated the machine")
    return equal("1601-01-01T00:00:00Z", row.text("AutomaticVMActivationLastActivationTime"))


@fact(Area.LICENSING, "inferred: from the editions without a key of a user", on=On.AZURE_LOCAL)
def azure_local_shows_a_licensed_retail_license(subject: Subject) -> Observation:
    """Azure Local lists a licensed license of its own, with the retail channel."""
    row = installed(subject)
    licensed = row.integer("LicenseStatus") == LICENSED
    return equal("RETAIL, licensed", f"{channel(row).name}, {'licensed' if licensed else 'not licensed'}")


@fact(Area.LICENSING, "inferred: from the names of the releases")
def semi_annual_release_has_no_number_in_its_name(subject: Subject) -> Observation:
    """The Caption of a semi-annual release contains no year."""
    if not subject.server.system(subject.deadline).semi_annual:
        raise NotHere("it is not a semi-annual release")
    caption = subject.row("SELECT Caption FROM Win32_OperatingSystem").text("Caption") or ""
    years = [word for word in caption.split() if word.isdecimal()]
    return equal("0 numbers", f"{len(years)} numbers")
