"""The forms in which a text may contain a secret."""

from __future__ import annotations

import json

from avma import characters, keys

_LONG = 25
"""The length of a product key without dashes. Without theirs, shorter secrets could match inside ordinary words."""


def forms_of(secret: str) -> tuple[str, ...]:
    """Return a secret as it is, in `repr`, JSON and XML, and as a normalized product key. Each also without dashes."""
    sent = (keys.normalize(secret),) if keys.syntax_error(secret) is None else ()
    forms = secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], characters.xml_text(secret), *sent
    return *forms, *(dense for form in forms if len(dense := form.replace("-", "")) >= _LONG)
