"""Generates schema.json from the Python declarations and the programs in docs/programs.

`python tools/package_schema.py` prints the schema. A test fails if the committed file is stale.
"""

from __future__ import annotations

import programs
from avma.functions import FUNCTIONS
from avma.resources import RESOURCES
from pulumi_resource_avma import schema


def text() -> str:
    """Return the text of schema.json."""
    return schema.text(schema.generate(RESOURCES, FUNCTIONS, programs.examples()))


if __name__ == "__main__":
    print(text(), end="")
