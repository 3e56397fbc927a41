"""Reading WWW-Authenticate, in the forms that servers and proxies send."""

from __future__ import annotations

import pytest

from avma.wsman.challenges import schemes


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        ([], ()),
        ([""], ()),
        (["Negotiate", 'Basic realm="WSMAN"', "CredSSP"], ("Negotiate", "Basic", "CredSSP")),
        (['Negotiate, Basic realm="WSMAN", CredSSP'], ("Negotiate", "Basic", "CredSSP")),
        (['Digest realm="a, Kerberos b", qop="auth,auth-int", nonce=abc==, Basic'], ("Digest", "Basic")),
        (["Negotiate TlRMTVNTUAA=", "Negotiate"], ("Negotiate",)),
        ([' Basic  realm = "x" '], ("Basic",)),
    ],
)
def test_schemes(fields: list[str], offered: tuple[str, ...]) -> None:
    assert schemes(fields) == offered
