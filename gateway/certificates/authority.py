"""The CA, and what it signs: ECDSA on P-256, extensions as RFC 5280 and today's clients want them."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.certificates import names

AUTHORITY_DAYS: Final = 3_650
_ORGANISATION: Final = "adt-gateway"
_BACKDATED: Final = dt.timedelta(hours=1)
"""The clock of a client that runs behind must not make a new certificate invalid."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate alone: clients have the CA."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """PKCS#8, not encrypted: the listener could not ask anybody for a password."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


class Authority:
    """A CA that can sign."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    @property
    def certificate(self) -> x509.Certificate:
        """What clients trust."""
        return self.pair.certificate

    @classmethod
    def make(cls, hosts: Sequence[str], now: dt.datetime) -> "Authority":
        """A new CA that may sign for loopback and these hosts only."""
        key = ec.generate_private_key(ec.SECP256R1())
        identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        # The end of the name tells several such CAs in one trust store apart.
        subject = _name(f"adt-gateway local CA {identifier.digest.hex()[:8]}")
        builder = (
            _builder(subject, subject, key.public_key(), now, now + dt.timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(names.constraints(hosts), critical=True)
            .add_extension(identifier, critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
            )
        )
        return cls(Pair(builder.sign(key, hashes.SHA256()), key))

    def issue_server(self, hosts: Sequence[str], days: int, now: dt.datetime) -> Pair:
        """A certificate for a listener with these hosts; it never outlives the CA."""
        alternative = x509.SubjectAlternativeName([names.general_name(host) for host in hosts])
        return self._issue("adt-gateway listener", ExtendedKeyUsageOID.SERVER_AUTH, days, now, alternative)

    def issue_client(self, name: str, days: int, now: dt.datetime) -> Pair:
        """A certificate for an app that shows who it is (mTLS)."""
        return self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, days, now)

    def has_signed(self, certificate: x509.Certificate) -> bool:
        """Whether the certificate is one of this CA's."""
        try:
            certificate.verify_directly_issued_by(self.certificate)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True

    def _issue(
        self,
        name: str,
        purpose: x509.ObjectIdentifier,
        days: int,
        now: dt.datetime,
        alternative: x509.SubjectAlternativeName | None = None,
    ) -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        authority = self.certificate
        identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        end = min(now + dt.timedelta(days=days), authority.not_valid_after_utc)
        builder = (
            _builder(_name(name), authority.subject, key.public_key(), now, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
            )
        )
        if alternative is not None:
            builder = builder.add_extension(alternative, critical=False)
        return Pair(builder.sign(self.pair.key, hashes.SHA256()), key)


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime, end: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(end)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
