"""A temporary certificate authority, and the valid and invalid server certificates of an estate.

The authority's key never leaves the process.
"""

from __future__ import annotations

import ipaddress
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from spnego.channel_bindings import GssChannelBindings

_DAY = timedelta(days=1)


class Authority:
    """A certificate authority. `certificate` is the path of its certificate."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Simulated estate CA")
        builder = _builder(self._name, self._name, self._key.public_key(), _now() + 30 * _DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        builder = builder.add_extension(_usage(ca=True), critical=True)
        self.certificate = directory / "ca.pem"
        self.certificate.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))

    def server(
        self, name: str, address: str, kind: str, clients: str | None = None
    ) -> tuple[ssl.SSLContext, GssChannelBindings]:
        """Return the TLS context of a server and the channel bindings of its certificate.

        `kind` is one of trusted, selfSigned, expired and wrongName. `clients` is a PEM file with the client certificate
        to accept, or with its issuer.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        issuer, signer = (_name(name), key) if kind == "selfSigned" else (self._name, self._key)
        ends = _now() - _DAY if kind == "expired" else _now() + 30 * _DAY
        builder = _builder(_name(name), issuer, key.public_key(), ends)
        builder = builder.add_extension(_names(name, address, kind), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(ca=False), critical=True)
        builder = builder.add_extension(_server_usage(), critical=False)
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        certificate = builder.add_extension(identifier, critical=False).sign(signer, hashes.SHA256())
        context = self._context(key, certificate)
        if clients is not None:
            context.verify_mode = ssl.CERT_OPTIONAL
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
            context.load_verify_locations(clients)
        return context, _bindings(certificate)

    def _context(self, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> ssl.SSLContext:
        path = self._directory / f"{certificate.serial_number:x}.pem"
        path.touch(mode=0o600)
        path.write_bytes(_private(key) + _pem(certificate))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        path.unlink()
        return context


def _bindings(certificate: x509.Certificate) -> GssChannelBindings:
    """Return the bindings of type tls-server-end-point (RFC 5929) for a certificate signed with SHA-256."""
    return GssChannelBindings(application_data=b"tls-server-end-point:" + certificate.fingerprint(hashes.SHA256()))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, ends: datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), ends - 60 * _DAY, ends)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _names(name: str, address: str, kind: str) -> x509.SubjectAlternativeName:
    if kind == "wrongName":
        return x509.SubjectAlternativeName([x509.DNSName("another-machine.invalid")])
    ip = x509.IPAddress(ipaddress.ip_address(address))
    return x509.SubjectAlternativeName([x509.DNSName(name.lower()), x509.DNSName("localhost"), ip])


def _usage(ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _server_usage() -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
