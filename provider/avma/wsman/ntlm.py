"""NTLM for a connection: its second version and no other, whatever the environment says."""

from __future__ import annotations

import os

from avma import errors
from avma.connection import Connection
from avma.settings import Auth

_LEVEL = "LM_COMPAT_LEVEL"
"""The variable by which pyspnego, like gss-ntlmssp, is told Windows' LmCompatibilityLevel; 3 unless set."""
_VERSION_2 = ("3", "4", "5")
"""The levels at which a client sends nothing but NTLMv2 (MS-NLMP 3.1.1.1)."""
_USED_BY = (Auth.NTLM, Auth.NEGOTIATE, Auth.CREDSSP)


def require_version_2(connection: Connection) -> None:
    """Check that the environment asks for nothing weaker: answers of the older versions can be turned into passwords.

    Raises:
        InvalidInput: it does.
    """
    level = os.environ.get(_LEVEL)
    if connection.auth in _USED_BY and level is not None and level not in _VERSION_2:
        answer = f"{_LEVEL} is `{level}` in the environment, which is not NTLMv2"
        raise errors.InvalidInput("open a connection", connection.where, answer, f"unset {_LEVEL}, or set it to 3")
