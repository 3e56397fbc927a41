"""Every property of the schema whose name sounds secret is secret, or is here with the reason why it is not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from schema_inputs import SCHEMA

SOUNDS_SECRET = re.compile(
    "pass|key|secret|token|credential|confirmation|installation|private|cert|ticket|pin$", re.IGNORECASE
)
PUBLIC = {
    "caCert": "certificates are public",
    "clientCert": "certificates are public. Its key is `clientKey`",
    "installationId": "Windows shows it to every user. Its confirmation ID is the secret",
    "kerberosKeytab": "the path of a file, and not its content",
    "keyVersion": "a release of Windows Server",
    "partialProductKey": "Windows shows the last five characters to every user",
    "productKeyVersion": "a release of Windows Server",
}
"""The properties that only sound secret, each with its reason."""


def all_properties() -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield the owner, name and schema of all properties: configuration, inputs, outputs and nested ones."""
    yield from _of("configuration", SCHEMA["config"]["variables"])
    yield from _of("provider", SCHEMA["provider"]["inputProperties"])
    for token, resource in SCHEMA["resources"].items():
        yield from _of(f"inputs of {token}", resource["inputProperties"])
        yield from _of(f"outputs of {token}", resource["properties"])
    for token, kind in SCHEMA["types"].items():
        yield from _of(token, kind.get("properties", {}))
    for token, function in SCHEMA["functions"].items():
        yield from _of(f"inputs of {token}", function.get("inputs", {}).get("properties", {}))
        yield from _of(f"outputs of {token}", function["outputs"]["properties"])


def _of(owner: str, described: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    yield from ((owner, name, entry) for name, entry in described.items())


def sounds_secret() -> list[tuple[str, str, Mapping[str, Any]]]:
    return [each for each in all_properties() if SOUNDS_SECRET.search(each[1])]


def test_what_sounds_secret_is_or_has_a_reason() -> None:
    exposed = [f"{owner}.{name}" for owner, name, entry in sounds_secret() if not entry.get("secret")]
    assert [path for path in exposed if path.rpartition(".")[2] not in PUBLIC] == []


def test_the_list_of_exceptions_has_only_properties_that_need_it() -> None:
    assert {name for _, name, entry in sounds_secret() if not entry.get("secret")} == set(PUBLIC)


def test_secrets_are_leaves() -> None:
    """If a whole object is secret, a diff shows nothing of it."""
    objects = [f"{owner}.{name}" for owner, name, entry in all_properties() if entry.get("secret") and "$ref" in entry]
    assert objects == []
