"""The forms in which a text may contain a secret."""

from __future__ import annotations

import json

from avma import characters, keys


def forms_of(secret: str) -> tuple[str, ...]:
    """Return a secret as it is, in `repr`, JSON and XML, and as a normalized product key."""
    sent = (keys.normalize(secret),) if keys.syntax_error(secret) is None else ()
    return secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], characters.xml_text(secret), *sent
