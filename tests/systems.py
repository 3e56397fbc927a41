"""Marks of tests that need an operating system of one kind."""

from __future__ import annotations

import os

import pytest


def posix_only(reason: str) -> pytest.MarkDecorator:
    """Return the mark of a test that cannot run on Windows. The reason says what Windows lacks."""
    return pytest.mark.skipif(os.name == "nt", reason=reason)
