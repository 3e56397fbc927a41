"""The authentication schemes in `WWW-Authenticate`, in the forms of RFC 9110."""

import pytest

from avma.wsman.http_adapter import schemes


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], ()),
        (["Negotiate"], ("Negotiate",)),
        (["Negotiate", "Kerberos", 'Basic realm="WSMAN"'], ("Negotiate", "Kerberos", "Basic")),
        (['Negotiate, Basic realm="WSMAN"'], ("Negotiate", "Basic")),
        (['Basic realm="Negotiate, Kerberos", charset="UTF-8", CredSSP'], ("Basic", "CredSSP")),
        (['Basic realm="a \\"quoted\\", realm"', "Negotiate"], ("Basic", "Negotiate")),
        (['Digest realm = "x" , nonce= "y, z", algorithm =MD5, Negotiate'], ("Digest", "Negotiate")),
        (["Negotiate YII=, Kerberos YII=="], ("Negotiate", "Kerberos")),
        (["Negotiate", "Negotiate oRQ="], ("Negotiate",)),
        ([" , Negotiate ,, "], ("Negotiate",)),
        (["", '"', "= , ="], ()),
    ],
)
def test_schemes(headers, expected):
    assert schemes(headers) == expected
