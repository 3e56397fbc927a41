"""The committed schema: its location and its text with the version."""

from __future__ import annotations

import json
from pathlib import Path

_PACKAGED = Path(__file__).with_name("schema.json")
_IN_REPOSITORY = Path(__file__).parents[2] / "schema.json"


def text(version: str) -> str:
    """Return the schema with its version, which the file does not contain.

    The file is inside an installed package. For an editable install it is in the repository root.
    """
    path = _PACKAGED if _PACKAGED.exists() else _IN_REPOSITORY
    return json.dumps({**json.loads(path.read_text("utf-8")), "version": version}, ensure_ascii=False)
