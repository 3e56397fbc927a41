"""Product keys: their syntax, and the generic keys that Microsoft publishes.

A published key licenses nothing by itself. An AVMA key makes a guest request activation from its Hyper-V host
(learn.microsoft.com/windows-server/get-started/automatic-vm-activation). A KMS client key makes a machine request it
from a KMS host (learn.microsoft.com/windows-server/get-started/kms-client-activation-keys).
"""

from __future__ import annotations

import re
import string
import unicodedata
from dataclasses import dataclass
from enum import Enum

from avma import characters

ALPHABET = "BCDFGHJKMNPQRTVWXY2346789"
_SYNTAX = re.compile(rf"(?:[{ALPHABET}]{{5}}-){{4}}[{ALPHABET}]{{5}}")
_QUOTES = "\"'`\u00ab\u00bb\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u2039\u203a"
_LABEL = re.compile(r"\A[\w ]{0,60}\bkey\s*[:=]?\s*", re.IGNORECASE)
"""A label that users copy along with a key, such as "Product Key: ". No key contains the letter E."""
_MOST_GROUPS = 8
"""The maximum number of groups that an error about a malformed key lists."""
_MINUS_SIGN = "\u2212"


class KeyKind(str, Enum):
    """The purpose of a published key."""

    AVMA = "AVMA"
    KMS_CLIENT = "KMS client"


@dataclass(frozen=True)
class PublishedKey:
    """A generic key from Microsoft's documentation, with the Windows Server version and edition that accept it."""

    version: str
    edition: str
    kind: KeyKind
    key: str

    @property
    def partial(self) -> str:
        """The last five characters."""
        return self.key[-5:]


def normalize(key: str) -> str:
    """Return the key in the form that Windows accepts, without extra characters from copy and paste.

    This removes format characters, white space, surrounding quotes and the label "Product Key:". Full-width and other
    compatibility characters become ordinary ones. Dashes become hyphens, and letters become upper case.
    """
    return "".join(_pasted(key).upper().split())


def syntax_error(key: str) -> str | None:
    """Return what is wrong with the syntax of a key, or None if it is valid. The error does not repeat the key.

    Keys of the Windows 8 era and later contain the letter N exactly once.
    """
    candidate = normalize(key)
    if not candidate:
        return "is empty" if not key.strip() else "contains no key"
    if not _SYNTAX.fullmatch(candidate):
        reason = _foreign(candidate) or _sizes(candidate)
        return f"is not a product key, which has five groups of five characters, separated by hyphens: {reason}"
    if candidate.count("N") != 1:
        return "is not a product key of Windows Server 2012 R2 or later, which contains the letter N exactly once"
    return None


def _pasted(key: str) -> str:
    """Return the key in ordinary characters, without the text around it."""
    visible = "".join(each for each in key if unicodedata.category(each) != "Cf")
    folded = "".join(_plain_dash(each) for each in unicodedata.normalize("NFKC", visible))
    surroundings = _QUOTES + string.whitespace
    return _LABEL.sub("", folded.strip(surroundings), count=1).strip(surroundings)


def _plain_dash(character: str) -> str:
    return "-" if unicodedata.category(character) == "Pd" or character == _MINUS_SIGN else character


def _foreign(candidate: str) -> str:
    """Return a description of the first character that no key contains, or an empty text."""
    allowed = f"{ALPHABET}-"
    position, foreign = next(((at, each) for at, each in enumerate(candidate, 1) if each not in allowed), (0, ""))
    return (
        f"a key cannot contain the character at position {position} ({characters.describe(foreign)})" if foreign else ""
    )


def _sizes(candidate: str) -> str:
    sizes = [str(len(group)) for group in candidate.split("-")]
    more = ", …" if len(sizes) > _MOST_GROUPS else ""
    return f"the groups have {', '.join(sizes[:_MOST_GROUPS])}{more} characters"


def partial(key: str) -> str:
    """Return the last five characters. Windows shows them as `PartialProductKey`."""
    return normalize(key)[-5:]


def masked(key: str) -> str:
    """Return a form of the key that is safe to show."""
    return f"…{partial(key)}"


def _table(kind: KeyKind, rows: str) -> tuple[PublishedKey, ...]:
    cells = [[cell.strip() for cell in row.split("|")] for row in rows.strip().splitlines()]
    return tuple(PublishedKey(version, edition, kind, key) for version, edition, key in cells)


AVMA_KEYS = _table(
    KeyKind.AVMA,
    """
    2025    | Datacenter               | YQB4H-NKHHJ-Q6K4R-4VMY6-VCH67
    2025    | Standard                 | WWVGQ-PNHV9-B89P4-8GGM9-9HPQ4
    2025    | Datacenter Azure Edition | 6NMQ9-T38WF-6MFGM-QYGYM-88J4F
    2022    | Datacenter               | W3GNR-8DDXR-2TFRP-H8P33-DV9BG
    2022    | Standard                 | YDFWN-MJ9JR-3DYRK-FXXRW-78VHK
    2022    | Datacenter Azure Edition | F7TB6-YKN8Y-FCC6R-KQ484-VMK3J
    2019    | Datacenter               | H3RNG-8C32Q-Q8FRX-6TDXV-WMBMW
    2019    | Standard                 | TNK62-RXVTB-4P47B-2D623-4GF74
    2019    | Essentials               | 2CTP7-NHT64-BP62M-FV6GG-HFV28
    2016    | Datacenter               | TMJ3Y-NTRTM-FJYXT-T22BY-CWG3J
    2016    | Standard                 | C3RCX-M6NRP-6CXC9-TW2F2-4RHYD
    2016    | Essentials               | B4YNW-62DX9-W8V6M-82649-MHBKQ
    2012 R2 | Datacenter               | Y4TGP-NPTV9-HTC2H-7MGQ3-DV4TW
    2012 R2 | Standard                 | DBGBW-NPF86-BJVTX-K3WKJ-MTB6V
    2012 R2 | Essentials               | K2XGM-NMBT3-2R6Q8-WF2FK-P36R2
    """,
)

KMS_CLIENT_KEYS = _table(
    KeyKind.KMS_CLIENT,
    """
    2025    | Standard                 | TVRH6-WHNXV-R9WG3-9XRFY-MY832
    2025    | Datacenter               | D764K-2NDRG-47T6Q-P8T8W-YP6DF
    2025    | Datacenter Azure Edition | XGN3F-F394H-FD2MY-PP6FD-8MCRC
    2022    | Standard                 | VDYBN-27WPP-V4HQT-9VMD4-VMK7H
    2022    | Datacenter               | WX4NM-KYWYW-QJJR4-XV3QB-6VM33
    2022    | Datacenter Azure Edition | NTBV8-9K7Q8-V27C6-M2BTV-KHMXV
    2019    | Standard                 | N69G4-B89J2-4G8F4-WWYCC-J464C
    2019    | Datacenter               | WMDGN-G9PQG-XVVXX-R3X43-63DFG
    2019    | Essentials               | WVDHN-86M7X-466P6-VHXV7-YY726
    20H2    | Standard                 | N2KJX-J94YW-TQVFB-DG9YT-724CC
    20H2    | Datacenter               | 6NMRW-2C8FM-D24W7-TQWMY-CWH2D
    1803    | Standard                 | PTXN8-JFHJM-4WC78-MPCBR-9W4KR
    1803    | Datacenter               | 2HXDN-KRXHB-GPYC7-YCKFJ-7FVDG
    1709    | Standard                 | DPCNP-XQFKJ-BJF7R-FRC8D-GF6G4
    1709    | Datacenter               | 6Y6KB-N82V8-D8CQV-23MJW-BWTG6
    2016    | Standard                 | WC2BQ-8NRM3-FDDYY-2BFGV-KHKQY
    2016    | Datacenter               | CB7KF-BWN84-R7R2Y-793K2-8XDDG
    2016    | Essentials               | JCKRF-N37P4-C2D82-9YXRT-4M63B
    2012 R2 | Standard                 | D2N9P-3P6X9-2R39C-7RTCD-MDVJX
    2012 R2 | Datacenter               | W3GGN-FT8W3-Y4M27-J84CP-Q3VJ9
    2012 R2 | Essentials               | KNC87-3J2TX-XB4WP-VCPJV-M4FWM
    """,
)

_BY_KEY = {published.key: published for published in AVMA_KEYS + KMS_CLIENT_KEYS}


def published(key: str) -> PublishedKey | None:
    """Return Microsoft's data about a generic key, or None for any other key."""
    return _BY_KEY.get(normalize(key))


def find(kind: KeyKind, version: str, edition: str) -> PublishedKey | None:
    """Return the published key of that kind for a Windows Server version and edition, or None."""
    found = (k for k in _BY_KEY.values() if k.version == version and k.edition == edition and k.kind is kind)
    return next(found, None)
