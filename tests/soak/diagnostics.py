"""The errors of the provider in an event log of Pulumi's engine."""

from __future__ import annotations

import json
from typing import Any

_PROVIDER = "avma:index:"
_OF_ENGINE = ("does not exist", "error reading from server", "code = Unavailable", "transport is closing")
"""Texts of the engine about a resource: an import found nothing, or the plugin was killed."""


def provider_errors(log: str) -> list[str]:
    """Return the errors about resources of the provider. A killed engine can leave half a line."""
    found = (line["diagnosticEvent"] for line in map(_parsed, log.splitlines()) if "diagnosticEvent" in line)
    texts = [event["message"] for event in found if event["severity"] == "error" and _PROVIDER in event.get("urn", "")]
    return [text for text in texts if "avma explain" in text or not any(known in text for known in _OF_ENGINE)]


def _parsed(line: str) -> dict[str, Any]:
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:
        return {}
    return event
