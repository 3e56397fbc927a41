"""Facts about changes of a license. They leave a change behind, or use something up."""

from __future__ import annotations

from avma import keys
from avma.keys import KeyKind
from avma.windows import licensing
from avma.windows.licensing import LicenseChannel
from avma_conformance.fact import Area, Effect, NotHere, Observation, On, equal, fact, one_of
from avma_conformance.fault_form import NO_FAULT
from avma_conformance.licenses import (
    LICENSED,
    PRODUCT,
    Unchanged,
    activated_by_host,
    bought,
    call,
    channel,
    install,
    installed,
    installed_published_key,
    number,
    version_of_service,
    with_keys,
)
from avma_conformance.subject import Subject


@fact(Area.LICENSING, "inferred: from the key, which is the same", effect=Effect.SPENDS)
def same_key_again_changes_nothing(subject: Subject) -> Observation:
    """Another installation of the installed key changes neither the license nor its status."""
    return _install_again(subject, installed_published_key(subject).key)


@fact(Area.LICENSING, "inferred: from slmgr.vbs, which passes the text unchanged", effect=Effect.SPENDS)
def lower_case_key_is_accepted(subject: Subject) -> Observation:
    """Windows accepts a key in lower case."""
    return _install_again(subject, installed_published_key(subject).key.lower())


def _install_again(subject: Subject, key: str) -> Observation:
    unchanged = Unchanged(subject)
    fault = install(subject, key)
    return equal(NO_FAULT, f"{number(fault)}{unchanged.note()}")


@fact(Area.LICENSING, "inferred: from the error for other dashes in Microsoft's list", effect=Effect.SPENDS)
def key_without_hyphens_is_invalid(subject: Subject) -> Observation:
    """Windows rejects a key without hyphens."""
    key = installed_published_key(subject).key.replace("-", "")
    return equal("0xC004F050", number(install(subject, key)))


@fact(Area.LICENSING, "slmgr.vbs, which avoids it because it may use up an activation", effect=Effect.SPENDS)
def repeated_activation_is_accepted(subject: Subject) -> Observation:
    """Activate of a license that a purchased key has activated succeeds, and the license stays licensed."""
    row = bought(subject)
    if row.integer("LicenseStatus") != LICENSED:
        raise NotHere("the purchased key is not activated")
    fault = call(subject, PRODUCT, "Activate", {"ID": row.text("ID") or ""}, {})
    return equal(f"{NO_FAULT}, status 1", f"{number(fault)}, status {installed(subject).integer('LicenseStatus')}")


@fact(Area.LICENSING, "slmgr.vbs, KMS client documentation", effect=Effect.SPENDS)
def kms_client_key_can_be_uninstalled_and_installed_again(subject: Subject) -> Observation:
    """A KMS client key can be uninstalled, which leaves no key, and installed again."""
    published = installed_published_key(subject)
    if published.kind is not KeyKind.KMS_CLIENT:
        raise NotHere("the installed key is not a KMS client key")
    row = installed(subject)
    try:
        removed = call(subject, PRODUCT, "UninstallProductKey", {"ID": row.text("ID") or ""}, {})
        left = [each for each in with_keys(subject) if not each.boolean("LicenseIsAddon")]
    finally:
        version = version_of_service(subject)["Version"]
        licensing.install_product_key(subject.server.wmi, version, published.key, subject.deadline)
    restored = installed(subject).text("PartialProductKey") == keys.partial(published.key)
    found = f"{number(removed)}, {len(left)} keys, then {'the same key' if restored else 'another key'}"
    return equal(f"{NO_FAULT}, 0 keys, then the same key", found)


@fact(Area.LICENSING, "Microsoft's list of activation errors", effect=Effect.SPENDS)
def kms_client_without_a_kms_host_is_not_activated(subject: Subject) -> Observation:
    """Activate of a KMS client that finds no KMS host fails with 0xC004F074 or an error of DNS."""
    row = installed(subject)
    if channel(row) is not LicenseChannel.KMS_CLIENT or row.integer("LicenseStatus") == LICENSED:
        raise NotHere("it is not a KMS client without a KMS host")
    fault = call(subject, PRODUCT, "Activate", {"ID": row.text("ID") or ""}, {})
    if fault == NO_FAULT:
        raise NotHere("a KMS host activated the machine")
    return one_of(("0xC004F074", "0x8007232B"), number(fault))


@fact(Area.LICENSING, "inferred: from the renewal of these licenses", on=On.GUEST, effect=Effect.SPENDS)
def avma_activation_can_be_repeated(subject: Subject) -> Observation:
    """Activate of a guest that its host has activated succeeds, and the guest stays licensed."""
    guest, row = activated_by_host(subject)
    licensing.activate(guest.wmi, row.text("ID") or "", row.text("PartialProductKey") or "", subject.deadline)
    _, now = activated_by_host(subject)
    return equal(LICENSED, now.integer("LicenseStatus"))
