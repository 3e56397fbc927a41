"""What environment variables, and other places that hold nothing but text, say of declared properties."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from avma.properties import Choice, Property, properties


def from_environment(record: type, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the values that environment variables give for a record's properties, as a front end would pass them.

    Numbers and booleans are JSON; what is not is passed on as text, for the check to name.
    """
    found = ((prop, _first(environment, prop.rule.environment)) for prop in properties(record))
    return {prop.name: text_value(prop, text) for prop, text in found if text is not None}


def text_value(prop: Property, text: str) -> Any:
    """Return the value that a text stands for, where configuration can hold nothing but text."""
    if prop.type is str or (isinstance(prop.type, type) and issubclass(prop.type, Choice)):
        return text
    try:
        return json.loads(text.lower() if prop.type is bool else text)
    except ValueError:
        return text


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environment[name] for name in names if environment.get(name)), None)
