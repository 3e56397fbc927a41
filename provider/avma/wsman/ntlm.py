"""A check for NTLM: only its second version, even if the environment requests another."""

from __future__ import annotations

import os

from avma import errors
from avma.connection import Connection
from avma.settings import Auth

_LEVEL = "LM_COMPAT_LEVEL"
"""The variable from which pyspnego, like gss-ntlmssp, reads Windows' LmCompatibilityLevel. The default is 3."""
_VERSION_2 = ("3", "4", "5")
"""The levels at which a client sends only NTLMv2 (MS-NLMP 3.1.1.1)."""
_USED_BY = (Auth.NTLM, Auth.NEGOTIATE, Auth.CREDSSP)


def require_version_2(connection: Connection) -> None:
    """Raise InvalidInput if the environment requests an older version, whose answers reveal passwords.

    Raises:
        InvalidInput: the environment requests one.
    """
    level = os.environ.get(_LEVEL)
    if connection.auth in _USED_BY and level is not None and level not in _VERSION_2:
        answer = f"the environment variable {_LEVEL} is `{level}`, which allows NTLM before version 2"
        raise errors.InvalidInput("open a connection", connection.where, answer, f"unset {_LEVEL}, or set it to 3")
