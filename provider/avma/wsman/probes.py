"""The certificates that endpoints show to anyone: each endpoint is asked once, however many connections break."""

from __future__ import annotations

import hashlib
import ssl
import threading
import time
from dataclasses import dataclass

from avma.connection import Connection

_TIMEOUT = 5.0
_HOLDS = 60.0
"""Seconds for which an endpoint is not asked for its certificate again."""


def thumbprint(connection: Connection) -> str | None:
    """Return the thumbprint of the certificate that is shown, as Windows writes it: SHA-1 in hexadecimal digits.

    The result is None if the endpoint does not speak TLS.
    """
    return _PROBES.ask((connection.address, connection.port), min(_TIMEOUT, connection.connect_timeout))


@dataclass
class _Probe:
    """What one endpoint showed."""

    lock: threading.Lock
    expires: float = 0.0
    thumbprint: str | None = None


class _Probes:
    """What all endpoints showed; each is asked by one thread at a time, and the answer holds for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of: dict[tuple[str, int], _Probe] = {}

    def ask(self, endpoint: tuple[str, int], timeout: float) -> str | None:
        """Return the thumbprint, None if the endpoint does not speak TLS."""
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
