"""Anonymous sentences, in any language: faults, events, errors. Only plain words and numbers stay.

A plain word becomes a stand-in only if it is a known name, because its spelling does not reveal one. Capitals, digits
within words, dots, dashes, backslashes, equals signs and quotation marks do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from avma.recording import shapes
from avma.recording.standins import STANDIN, Standins
from avma.recording.vocabulary import Vocabulary

_ABBREVIATIONS = """a i os sp wmi kms mak avma dns tls ssl http https wsman wql cim spn ntlm credssp xml soap uri url
spp sku oem epr dcom com rpc tcp udp ip id sid uuid guid vm vms hresult cpu bios uefi utc ad oob oot sl eval volume
retail timebased select from where and or not like null is true false ok"""
_PARTS = """ws management addressing man hyper v v2 root cimv2 virtualization mscluster standardcimv2 winrm winrs config
service auth client listener powershell exe dll windows system32 systemroot microsoft server error code hkey hklm
software currentversion www authenticate x64 r2 sign in"""
_KEPT = frozenset(f"{_ABBREVIATIONS} {_PARTS}".split())
"""Words in lower case that stay in any context."""
_PLAIN = re.compile(
    rf"[+-]?\d{{1,10}}(?:[.,]\d+)?%?|0x[0-9A-Fa-f]{{1,16}}|\d{{1,2}}\.\d{{1,2}}(?:\.\d{{1,5}}){{0,2}}|{shapes.TIME}"
    r"|\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{4}|\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?"
    rf"|…[A-Z0-9]{{5}}|{shapes.CIM_CLASS}|(?:Microsoft|System)(?:\.[A-Za-z]+)+|{shapes.WELL_KNOWN_SID}|{STANDIN}"
    r"|(?:SL|ERROR|E|WBEM|MI|RPC|MAX)_[A-Z0-9_]+|\*+(?:-\*+)*"
)
_DISTINGUISHED = r"(?:CN|OU|DC|O|L|ST|C|UID|E|T|STREET|SERIALNUMBER)"
_VALUE = r'\s*=\s*(?:"[^"]*"|(?:\\.|[^,;+="\n\\])+)'
_FIRST, _LAST = '"`\u201c\u201e\u201e\u00ab\u2039\u300c', '"`\u201d\u201c\u201d\u00bb\u203a\u300d'
_QUOTED = "|".join(rf"{first}[^{last}\n]{{0,500}}{last}" for first, last in zip(_FIRST, _LAST, strict=True))
_MARKS = _FIRST + _LAST
_SPACELESS = r"\u2e80-\ua4cf\uac00-\ud7af\uff00-\uffef"
"""Scripts without spaces between words."""
_PIECES = re.compile(
    r"(?P<secret>\[(?:secret|installation ID)\])"
    rf"|(?P<distinguished>(?<!\w){_DISTINGUISHED}{_VALUE}(?:\s*[,;+]\s*{_DISTINGUISHED}{_VALUE})*)"
    rf"|(?P<quoted>{_QUOTED}|(?<!\w)'[^'\n]*'(?!\w)|(?<!\w)\u2018[^\u2019\n]*\u2019(?!\w))"
    rf"|(?P<chunk>(?:(?!(?<!\w){_DISTINGUISHED}\s*=)(?:[^\s{_MARKS}'\u2018\u2019{_SPACELESS}]|(?<=\w)['\u2019](?=\w)))+)",
    re.IGNORECASE,
)
_WORD = re.compile(r"([^\W\d_]+)((?:['\u2019][^\W\d_]{1,2})?)")
_LISTED = re.compile(r"([,;|]+)")
_PART = re.compile(r"[^\W_]+")
_TOKEN = re.compile(r"[^\s,;()\[\]{}<>'\"]+")
_WITH_PORT = re.compile(r"([0-9A-Fa-f:.]+(?:%[\w.]+)?)(\]?(?:[:/]\d{1,5})?)")
_URL = re.compile(r"[a-z][a-z0-9+]*://.+", re.IGNORECASE)
_SCHEMA = re.compile(shapes.SCHEMA_URI, re.IGNORECASE)
_IDENTIFIER = re.compile(rf"{shapes.SID}|{shapes.MAC}")
_DNS_NAME = re.compile(rf"{shapes.DNS_NAME}(?!\w)")
_ACCOUNT = re.compile(r"[^\\@/:=]+\\[^\\@/:=]+|[^\\@/:=]+@[^\\@/:=]+")
_TELLS_NOTHING = 2
"""The maximum length of a number that stays inside a longer text."""
_PATHS = ("", "/", "/wsman")


class Sentences:
    """Removes identifying words from sentences."""

    def __init__(self, standins: Standins) -> None:
        self._standins = standins

    def clear(self, sentence: str) -> str:
        """Return a sentence without identifying words."""
        return self._replaced(sentence, _PIECES, self._piece, self._standins.phrases(sentence))

    def without_names(self, text: str, vocabulary: Vocabulary) -> str:
        """Return a text of this project without the names, addresses and identifiers of machines. Other words stay."""
        phrases = [each for each in self._standins.phrases(text) if not vocabulary.covers(each)]
        return self._replaced(text, _TOKEN, lambda found: self._name(found[0], vocabulary), phrases)

    def _replaced(
        self, text: str, pieces: re.Pattern[str], rewrite: Callable[[re.Match[str]], str], phrases: Iterable[str]
    ) -> str:
        pattern = "|".join(map(_bounded, phrases))
        if not pattern:
            return pieces.sub(rewrite, text)
        # Known names of several words, and those in scripts without spaces, come first: `pieces` would split them.
        parts = re.split(f"({pattern})", text, flags=re.IGNORECASE)
        return "".join(
            (self._standins.known(part) or "name0") if at % 2 else pieces.sub(rewrite, part)
            for at, part in enumerate(parts)
        )

    def url(self, url: str) -> str:
        """Return a URL with a stand-in for its host, and without any path but WinRM's."""
        if _SCHEMA.fullmatch(url):
            return url
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
        except ValueError:
            return self._standins.name(url, from_field=False)
        if parts.scheme not in ("http", "https"):
            return self._standins.name(url, from_field=False)
        given = self._standins.of(host) if host else ""
        path = parts.path if parts.path in _PATHS else "/path"
        return f"{parts.scheme}://{f'[{given}]' if ':' in given else given}{port}{path}"

    def _name(self, token: str, vocabulary: Vocabulary) -> str:
        if token in vocabulary or _SCHEMA.fullmatch(token):
            return token
        if re.fullmatch(shapes.GUID, token):
            return self._standins.guid(token)
        if _IDENTIFIER.fullmatch(token):
            return self._standins.identifier(token)
        if shapes.address_in(token):
            return self._standins.address(token)
        known = self._standins.known(token)
        return known or _PART.sub(lambda part: self._name_in_token(part[0], vocabulary), token)

    def _name_in_token(self, part: str, vocabulary: Vocabulary) -> str:
        return part if part in vocabulary else self._standins.known(part) or part

    def _piece(self, found: re.Match[str]) -> str:
        piece = found[0]
        if found["secret"]:
            return piece
        if found["distinguished"]:
            return f"CN={self._standins.name(piece, from_field=False)}"
        if found["quoted"]:
            return f"{piece[0]}{self._quoted(piece[1:-1])}{piece[-1]}"
        before, core, after = _split(piece)
        return self._standins.known(piece) or f"{before}{self._token(core)}{after}"

    def _quoted(self, text: str) -> str:
        """Return the text inside quotation marks. It becomes a stand-in unless all of it stays in any context."""
        parts = [_split(part) for part in text.split()]
        known = self._standins.known(text)
        if known or not parts or all(_stays(core) for _, core, _ in parts):
            return known or text
        before, core, after = parts[0]
        if len(parts) == 1 and not _WORD.fullmatch(core):
            return f"{before}{self._token(core)}{after}"
        return self._standins.name(text, from_field=False)

    def _token(self, core: str) -> str:
        """Return a word, or another text between spaces, without identifying parts."""
        known = self._standins.known(core)
        if known:
            return known
        word = _WORD.fullmatch(core)
        if word:
            return self._word(*word.groups())
        if _PLAIN.fullmatch(core) and not shapes.address_in(core):
            return core
        rewrite = next((rewrite for form, rewrite in self._forms if form.fullmatch(core)), self._compound)
        return rewrite(core)

    def _word(self, word: str, ending: str) -> str:
        shouts = len(word) > 1 and word.isupper() and word.isascii() and word.lower() not in _KEPT
        if shouts or _IDENTIFIER.fullmatch(word):
            return self._standins.name(word, from_field=False) + ending
        return (self._standins.known(word) or word) + ending

    @property
    def _forms(self) -> tuple[tuple[re.Pattern[str], Callable[[str], str]], ...]:
        return (
            (_URL, self.url),
            (_WITH_PORT, self._address),
            (_IDENTIFIER, self._standins.identifier),
            (_ACCOUNT, self._account),
            (_DNS_NAME, self._dns_name),
        )

    def _address(self, text: str) -> str:
        found = _WITH_PORT.fullmatch(text)
        if found and shapes.address_in(found[1]):
            return self._standins.address(found[1]) + found[2]
        address, colon, port = text.rpartition(":")
        if colon and shapes.address_in(address):
            return f"{self._standins.address(address)}:{port}"
        return self._standins.identifier(text) if _IDENTIFIER.fullmatch(text) else self._compound(text)

    def _account(self, text: str) -> str:
        if all(map(_stays, _PART.findall(text))):
            return text
        return self._standins.account(text, from_field=False)

    def _dns_name(self, text: str) -> str:
        if all(map(_stays, _PART.findall(text))):
            return text
        return self._standins.name(text, from_field=False)

    def _compound(self, text: str) -> str:
        """Return a text of several words, such as a path, with a stand-in for each possible name."""
        listed = _LISTED.split(text)
        if len(listed) > 1:
            return "".join(part if at % 2 or not part else self._token(part) for at, part in enumerate(listed))
        parts = re.split(f"({shapes.GUID})", text)
        return "".join(
            self._standins.guid(part) if at % 2 else _PART.sub(self._part, part) for at, part in enumerate(parts)
        )

    def _part(self, found: re.Match[str]) -> str:
        part = found[0]
        is_key = part.isalpha() and found.string[found.end() :].startswith("=")
        if is_key or (part.isdecimal() and len(part) <= _TELLS_NOTHING):
            return part
        known = self._standins.known(part)
        return known or (part if _stays(part) else self._standins.name(part, from_field=False))


def _bounded(name: str) -> str:
    """Return a pattern for a name that does not match inside a longer word of Latin letters."""
    before = r"(?<![A-Za-z0-9])" if name[0].isascii() and name[0].isalnum() else ""
    after = r"(?![A-Za-z0-9])" if name[-1].isascii() and name[-1].isalnum() else ""
    return f"{before}{re.escape(name)}{after}"


def _stays(word: str) -> bool:
    """Return True if a word identifies nobody in any context."""
    plain = _PLAIN.fullmatch(word) is not None and not word.isdecimal()
    return plain or word.lower() in _KEPT or _SCHEMA.fullmatch(word) is not None


def _split(text: str) -> tuple[str, str, str]:
    """Split a word from the punctuation around it."""
    rest = text.lstrip("([{<*")
    core = rest.rstrip(")]}>.,;:!?*")
    return text[: len(text) - len(rest)], core, rest[len(core) :]
