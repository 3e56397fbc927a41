"""Sentences that the plugin adds to errors: how to go on with stored settings, and after a failed deletion."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from avma import errors
from avma.resources.resource import Stored
from pulumi_resource_avma.grpc_errors import Noted

UNREACHABLE = (
    " Or set the environment variable AVMA_DELETE_UNREACHABLE=true for this run. `pulumi destroy` reads "
    "`deleteUnreachable: true` from the configuration only with `--run-program`."
)


_SIGN_IN = (errors.LogonRefused, errors.LogonUncertain)
_STORED = (
    "`pulumi refresh` and `pulumi destroy` use the settings that the last `pulumi up` saved. If the password or a "
    "setting has changed since then, add `--run-program`, or run `pulumi up` first."
)


def ways_out(error: errors.AvmaError, urn: str, more: str = "") -> str:
    """Return what the user can do after a failed deletion: correct the settings, or forget the resource."""
    forget = f"To forget the resource and leave the machine unchanged, run `pulumi state delete '{urn}'`.{more}"
    return f"{_STORED} {forget}" if _is_rejected_sign_in(error) else forget


def _is_rejected_sign_in(error: errors.AvmaError) -> bool:
    """Return True if a machine rejected the account. For a cluster, one node is enough."""
    causes = error.causes if isinstance(error, errors.NodesFailed) else (error,)
    return any(isinstance(cause, _SIGN_IN) for cause in causes)


def text_of_stored(error: errors.AvmaError) -> str:
    """Return the text of an error from a connection with stored settings."""
    return error.with_note(_STORED) if _is_rejected_sign_in(error) else error.message


@contextlib.contextmanager
def stored_settings_explained(stored: Stored | None) -> Iterator[None]:
    """Add a note about stored settings to a rejected sign-in. An import has no stored settings."""
    try:
        yield
    except (*_SIGN_IN, errors.NodesFailed) as error:
        if stored is None or not _is_rejected_sign_in(error):
            raise
        raise Noted(error, _STORED) from error
