"""Client certificates for tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True)
class Holder:
    """A client certificate for a test: the PEM texts of the certificate and of its key."""

    certificate: str
    key: str


def holder(folder: Path, name: str) -> Holder:
    """Create a self-signed certificate with its key. The certificate is also in the file NAME.pem."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(timezone.utc)
    builder = x509.CertificateBuilder(who, who, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    made = builder.add_extension(usage, critical=False).sign(key, hashes.SHA256())
    form, no_passphrase = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    holds = Holder(made.public_bytes(pem).decode(), key.private_bytes(pem, form, no_passphrase).decode())
    (folder / f"{name}.pem").write_text(holds.certificate)
    (folder / f"{name}.key").write_text(holds.key)
    return holds
