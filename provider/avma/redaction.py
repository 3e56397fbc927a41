"""The last step of all texts that leave the process: errors, logs and reports lose their secrets.

The same step renders the parts of a text in the words of the front end. A product key keeps its last five characters,
which Windows also shows. Front ends register the secret values that they receive.

A text of a machine arrives here after other code has joined its lines and cut it. So redaction also recognizes a secret
with single spaces (`secret_forms.py`), and the beginning of a secret at the end of a text that was cut.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable

from avma import characters
from avma.wording import NEUTRAL, Wording

SHORTEST = 4
"""The minimum length of a secret. A shorter one would match inside ordinary words."""

_ORDINARY = frozenset({"true", "false", "null"})
"""Texts that stay, although a secret setting that is not text may have them as its value."""

REPLACEMENT = "[secret]"

_DASH = f"[-{characters.DASHES}]"
_KEY = re.compile(rf"(?<![A-Za-z0-9])(?:[A-Za-z0-9]{{5}}{_DASH}){{4}}([A-Za-z0-9]{{5}})(?![A-Za-z0-9])")


class Redactor:
    """A function that replaces all registered secrets and all product keys in a text, and renders its parts."""

    def __init__(self, wording: Wording = NEUTRAL) -> None:
        self._wording = wording
        self._lock = threading.Lock()
        self._learned: set[str] = set()
        self._secrets: tuple[str, ...] = ()

    def learn(self, secrets: Iterable[str]) -> None:
        """Register secret values, in the forms in which a text may contain them."""
        new = {secret for secret in secrets if secret not in self._learned}
        if new:
            self._learn(new)

    def _learn(self, secrets: set[str]) -> None:
        # A plugin starts without secrets, and loads product keys and JSON when the first one arrives.
        from avma.secret_forms import forms_of

        forms = {form for secret in secrets for form in forms_of(secret) if _tells_something(form)}
        with self._lock:
            self._secrets = tuple(sorted(forms.union(self._secrets), key=len, reverse=True))
            self._learned |= secrets

    def __call__(self, text: str) -> str:
        """Return the text without secrets and invisible characters. Machines may report such characters in names."""
        text = _KEY.sub(_masked, self._wording.render(text))
        for secret in self._secrets:
            text = text.replace(secret, REPLACEMENT)
        if characters.CUT in text:
            text = self._without_beginnings(text)
        return characters.visible(text)

    def _without_beginnings(self, text: str) -> str:
        """Return a text without the beginnings of secrets before each mark of a cut."""
        *cut, last = text.split(characters.CUT)
        return characters.CUT.join([*map(self._without_beginning, cut), last])

    def _without_beginning(self, text: str) -> str:
        """Return a cut text without the beginning of a secret at its end."""
        end = len(text.rstrip())
        start = min((_start_of(secret, text, end) for secret in self._secrets), default=end)
        return text if start == end else f"{text[:start]}{REPLACEMENT}{text[end:]}"


def _masked(key: re.Match[str]) -> str:
    return f"…{key[1]}"


def _start_of(secret: str, text: str, end: int) -> int:
    """Return the place where the text up to `end` ends with the beginning of a secret, or `end`."""
    start = text.find(secret[:SHORTEST], max(0, end - len(secret)), end)
    while start >= 0:
        if secret.startswith(text[start:end]):
            return start
        start = text.find(secret[:SHORTEST], start + 1, end)
    return end


def _tells_something(form: str) -> bool:
    return len(form) >= SHORTEST and form not in _ORDINARY
