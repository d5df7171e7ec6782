"""A certificate as people know it: whose it is, who signed it, until when it is valid."""

from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.certificates.names import hosts_of

_PEM: Final = b"-----BEGIN"
_MOST_HOSTS: Final = 100


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is told of a certificate; all of it is text of its maker's, and may be anything."""

    subject: str
    issuer: str
    hosts: tuple[str, ...]
    """At most 100."""
    not_before: float
    """Seconds since the epoch."""
    not_after: float


def read_sheet(encoded: bytes) -> Sheet | None:
    """The (first) certificate in PEM or DER; None where it cannot be read."""
    try:
        certificate = (
            x509.load_pem_x509_certificate(encoded)
            if _PEM in encoded
            else x509.load_der_x509_certificate(encoded)
        )
        return Sheet(
            _known_as(certificate.subject),
            _known_as(certificate.issuer),
            hosts_of(certificate)[:_MOST_HOSTS],
            certificate.not_valid_before_utc.timestamp(),
            certificate.not_valid_after_utc.timestamp(),
        )
    except ValueError:
        return None


def _known_as(name: x509.Name) -> str:
    """The common name, else the whole name."""
    for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME):
        return str(attribute.value)
    return name.rfc4514_string() or "no name"
