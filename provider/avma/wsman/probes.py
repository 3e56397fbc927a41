"""The certificates that endpoints show without a sign-in, cached for a minute however many connections break."""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from dataclasses import dataclass

from avma.connection import Connection

_TIMEOUT = 5.0
_HOLDS = 60.0
"""Seconds. The provider requests the certificate of an endpoint only once in this time."""


def thumbprint(connection: Connection) -> str | None:
    """Return the SHA-1 thumbprint of an endpoint's certificate as Windows shows it, or None if it does not use TLS."""
    return _PROBES.ask((connection.address, connection.port), min(_TIMEOUT, connection.connect_timeout))


@dataclass
class _Probe:
    """The certificate of one endpoint."""

    lock: threading.Lock
    expires: float = 0.0
    thumbprint: str | None = None


class _Probes:
    """The certificates of all endpoints. Only one thread at a time requests a certificate from the same endpoint."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[tuple[str, int], _Probe] = {}

    def ask(self, endpoint: tuple[str, int], timeout: float) -> str | None:
        """Return the thumbprint, or None if the endpoint does not use TLS."""
        with self._lock:
            probe = self._of.setdefault(endpoint, _Probe(threading.Lock()))
        with probe.lock:
            if time.monotonic() >= probe.expires:
                probe.thumbprint = _look(endpoint, timeout)
                probe.expires = time.monotonic() + _HOLDS
            return probe.thumbprint


_PROBES = _Probes()


def _look(endpoint: tuple[str, int], timeout: float) -> str | None:
    try:
        shown = ssl.get_server_certificate(endpoint, timeout=timeout)
        digest = hashlib.sha1(ssl.PEM_cert_to_DER_cert(shown), usedforsecurity=False)
    except (OSError, ValueError):
        return None
    return digest.hexdigest().upper()
