"""Print the section of CHANGELOG.md about one version: `python tools/release_notes.py 1.2.0`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def notes(changelog: str, version: str) -> str:
    """Return the section about a version, without its heading.

    Raises:
        LookupError: the changelog has no section about that version, or an empty one.
    """
    heading = rf"^## \[?{re.escape(version)}(?=[\s\]])[^\n]*\n"
    section = re.search(rf"{heading}(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL)
    if section is None or not section[1].strip():
        raise LookupError(f"CHANGELOG.md has no notes about version {version}")
    return section[1].strip()


if __name__ == "__main__":
    print(notes(CHANGELOG.read_text("utf-8"), sys.argv[1]))
