"""Writes schema.json from what is declared in Python and the programs in docs/programs.

`python tools/package_schema.py` prints it; a test fails when the committed one is stale.
"""

from __future__ import annotations

import programs
from avma.functions import FUNCTIONS
from avma.resources import RESOURCES
from pulumi_resource_avma import schema


def text() -> str:
    """Return the file's text."""
    return schema.text(schema.generate(RESOURCES, FUNCTIONS, programs.examples()))


if __name__ == "__main__":
    print(text(), end="")
