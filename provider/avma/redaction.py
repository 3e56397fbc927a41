"""The one place where secrets are taken out of texts before they leave: errors, logs, reports.

A product key keeps its last five characters, which Windows shows as well. It knows no front end; they tell it the
secret values they meet.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable
from xml.sax.saxutils import escape

from avma import characters, keys

SHORTEST = 4
"""A shorter secret is left alone: it would be found inside ordinary words."""

_ORDINARY = frozenset({"true", "false", "null"})
"""Nor are these taken out, which a secret setting that is no text may be written as."""

REPLACEMENT = "[secret]"

_DASH = "[-\u2010-\u2015\u2212]"
_KEY = re.compile(rf"(?<![A-Za-z0-9])(?:[A-Za-z0-9]{{5}}{_DASH}){{4}}([A-Za-z0-9]{{5}})(?![A-Za-z0-9])")


class Redactor:
    """Replaces every secret value it was told of, and every product key, in a text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._secrets: tuple[str, ...] = ()

    def learn(self, secrets: Iterable[str]) -> None:
        """Remember secret values, in the forms in which a text may hold them."""
        forms = {form for secret in secrets for form in _forms(secret) if _tells_something(form)}
        with self._lock:
            if not forms.issubset(self._secrets):
                self._secrets = tuple(sorted(forms.union(self._secrets), key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """Return the text without secrets and without invisible characters, which a machine may report in names."""
        text = _KEY.sub(r"…\1", text)
        for secret in self._secrets:
            text = text.replace(secret, REPLACEMENT)
        return characters.visible(text)


def _forms(secret: str) -> tuple[str, ...]:
    """Return the value itself, as `repr`, JSON and XML show it inside a text, and a product key as it is sent."""
    sent = (keys.normalize(secret),) if keys.syntax_error(secret) is None else ()
    return secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], escape(secret), *sent


def _tells_something(form: str) -> bool:
    return len(form) >= SHORTEST and form not in _ORDINARY
