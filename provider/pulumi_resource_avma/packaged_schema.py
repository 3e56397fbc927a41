"""The committed schema of the package, as the plugin returns it."""

from __future__ import annotations

import json
from pathlib import Path

_PACKAGED_SCHEMA = Path(__file__).with_name("schema.json")
_SCHEMA_IN_REPOSITORY = Path(__file__).parents[2] / "schema.json"


def schema_text(version: str) -> str:
    """Return the committed schema with its version, which the file does not contain.

    The file is inside an installed package. For an editable install it is in the repository root.
    """
    path = _PACKAGED_SCHEMA if _PACKAGED_SCHEMA.exists() else _SCHEMA_IN_REPOSITORY
    return json.dumps({**json.loads(path.read_text("utf-8")), "version": version}, ensure_ascii=False)
