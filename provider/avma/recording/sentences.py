"""Sentences for a recording: whatever in them can say whose machine it is becomes a stand-in.

Windows and PowerShell write names into texts for people in forms of their own. Each form is looked for, and so is every
name that was met elsewhere; what is neither cannot be told from the words around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from avma.recording.standins import Standins, is_address

_SHORTEST = 3
"""A shorter name is looked for in quotes alone: it would be found in the middle of what a sentence says."""
_LABEL = r"[\w$-]+"
_DNS = rf"{_LABEL}(?:\.{_LABEL})*"
_QUOTED = r"(?:'[^'\r\n]+'|\"[^\"\r\n]+\")"
_PATH_PART = r"[^\\/:*?\"'<>|\s]+"
_COMMON_NAME = r"(?:CN|OU|DC|UID)=(?:\\.|[^,;\"'<>\r\n\\])+"
_THING = r"(?:machine|server|host|computer(?: ?name)?|node|cluster|domain|user(?: ?name)?|account|vm)"
_KEPT = re.compile(
    r"(?:System|Microsoft|Windows)\..*|.*\.(?:exe|dll|ps1|psm1|psd1|cmd|bat|vbs|mof|xml|sys|msc)"
    r"|(?:.*\.)?(?:microsoft\.com|w3\.org|xmlsoap\.org|dmtf\.org)",
    re.IGNORECASE,
)
"""Types of .NET, programs, and the hosts of namespaces and of public help."""
_FORMS = {
    "url": rf"(?<=://)(?:\[[0-9A-F:.]+\]|{_DNS})",
    "unc": rf"(?<![\w\\])\\\\(?!\.\\){_DNS}(?:\\[^\s\\'\"<>|:]+)*",
    "profile": rf"(?<=:\\Users\\)(?:{_PATH_PART}(?: {_PATH_PART})*(?=\\)|{_PATH_PART})",
    "distinguished": rf"\b{_COMMON_NAME}(?:,\s*(?:{_COMMON_NAME}|(?:O|L|ST|C)=[^,;\"'<>\r\n]+))*",
    "sid": r"\bS-1-\d+(?:-\d+){3,}\b",
    "principal": rf"[\w.+-]+@{_DNS}",
    "mac": r"(?<![\w-])(?:[0-9A-F]{2}(?P<between>[:-])(?:[0-9A-F]{2}(?P=between)){4}[0-9A-F]{2}"
    r"|(?:[0-9A-F]{4}\.){2}[0-9A-F]{4}|[0-9A-F]{12})(?![\w-])",
    "ip": r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)"
    r"|(?<![\w:.])(?:[0-9A-F]{0,4}:){2,7}(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-F]{0,4})(?:%\w+)?(?![\w:])",
    "account": rf"(?<![\w:\\.-])(?!root\\){_DNS}\\[\w.$-]+(?![\w\\])",
    "quoted": rf"\b{_THING}(?:\s*[=:]\s*|\s+){_QUOTED}",
    "dns": rf"(?<![\w.\\/-])(?:{_LABEL}\.)+[A-Z]{{2,}}(?![\w-])",
}
"""The forms in which a sentence identifies something, the first that fits."""
_KNOWN = "known"


class Sentences:
    """Clears the sentences of one recording."""

    def __init__(self, standins: Standins) -> None:
        self._standins = standins
        self._replace: dict[str, Callable[[str], str]] = {
            "url": self._host,
            "unc": self._unc,
            "profile": standins.account,
            "distinguished": lambda _: "[distinguished name]",
            "sid": lambda _: "[SID]",
            "principal": standins.account,
            "mac": lambda _: "[MAC address]",
            "ip": self._address,
            "account": standins.account,
            "quoted": self._quoted,
            "dns": self._dns,
            _KNOWN: standins.known,
        }

    def cleared(self, sentence: str) -> str:
        """Return a sentence with stand-ins."""
        forms = {**_FORMS, _KNOWN: self._known_names()}
        pattern = re.compile("|".join(f"(?P<{kind}>{form})" for kind, form in forms.items()), re.IGNORECASE)
        return pattern.sub(self._standin, sentence)

    def _standin(self, found: re.Match[str]) -> str:
        kind = next(kind for kind in self._replace if found[kind] is not None)
        return self._replace[kind](found[0])

    def _known_names(self) -> str:
        """Return the form of all names that are known by now; one that stands in a longer word is that word's."""
        names = sorted(self._standins.names(), key=len, reverse=True)
        long = [re.escape(name) for name in names if len(name) >= _SHORTEST]
        short = [re.escape(name) for name in names if 0 < len(name) < _SHORTEST]
        forms = [
            rf"(?<![^\W_])(?:{'|'.join(long)})(?![^\W_])" if long else "",
            rf"(?<=['\"])(?:{'|'.join(short)})(?=['\"])" if short else "",
        ]
        return "|".join(filter(None, forms)) or r"(?!)"

    def _host(self, name: str) -> str:
        if name.startswith("["):
            return f"[{self._address(name[1:-1])}]"
        return name if _KEPT.fullmatch(name) else self._standins.name(name)

    def _dns(self, name: str) -> str:
        if _KEPT.fullmatch(name):
            return re.sub(self._known_names(), lambda found: self._standins.known(found[0]), name, flags=re.IGNORECASE)
        return self._standins.name(name)

    def _unc(self, path: str) -> str:
        """Keep of a path what names a namespace of WMI."""
        server, _, share = path[2:].partition("\\")
        kept = share if share.lower().startswith("root\\") else "[path]" if share else ""
        return rf"\\{self._standins.name(server)}" + (rf"\{kept}" if kept else "")

    def _quoted(self, phrase: str) -> str:
        quote = phrase[-1]
        before, _, value = phrase[:-1].partition(quote)
        given = self._standins.account if "\\" in value or "@" in value else self._standins.name
        return f"{before}{quote}{given(value)}{quote}"

    def _address(self, text: str) -> str:
        return self._standins.address(text) if is_address(text) else text
