"""The modules of Python with functions that only POSIX systems have, for tools and tests that need such a system.

They have no types here, because a type checker for Windows does not find the functions.
"""

from __future__ import annotations

import importlib
import os as _os
import signal as _signal
from typing import Any

os: Any = _os
signal: Any = _signal


def resource() -> Any:
    """Return the module `resource`, which Windows does not have."""
    return importlib.import_module("resource")
