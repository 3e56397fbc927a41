"""The committed schema: where it lies, and how it is served. It knows a file, not how that came to be."""

from __future__ import annotations

import json
from pathlib import Path

_PACKAGED = Path(__file__).with_name("schema.json")
_IN_REPOSITORY = Path(__file__).parents[2] / "schema.json"


def text(version: str) -> str:
    """Return the schema with its version, which the file does not have.

    It is inside an installed package, and at the repository's root when the package is installed editable.
    """
    path = _PACKAGED if _PACKAGED.exists() else _IN_REPOSITORY
    return json.dumps({**json.loads(path.read_text("utf-8")), "version": version}, ensure_ascii=False)
