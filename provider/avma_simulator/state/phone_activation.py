"""Activation by phone: the installation ID of a machine, and the matching confirmation ID.

Simplified: the simulator derives both from the machine and the key. Microsoft does not publish its algorithm.
"""

from __future__ import annotations

import hashlib

from avma_simulator.state.keys import ProductKey

_INSTALLATION_DIGITS, _CONFIRMATION_DIGITS = 63, 48


def installation_id(machine: str, product_key: ProductKey) -> str:
    """Return the installation ID of a key on a machine."""
    return _digits(f"installation/{machine}/{product_key.key}", _INSTALLATION_DIGITS)


def confirmation_id(installation: str) -> str:
    """Return the confirmation ID that the activation center reads out."""
    return _digits(f"confirmation/{installation}", _CONFIRMATION_DIGITS)


def _digits(text: str, count: int) -> str:
    return str(int(hashlib.sha512(text.encode()).hexdigest(), 16))[-count:].zfill(count)
