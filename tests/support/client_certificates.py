"""Client certificates with any subjectAltName, well-formed or not, and a CA that signs them all."""

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtensionOID, NameOID

EMAIL, DNS, DIRECTORY, URI, ADDRESS, REGISTERED = 0x81, 0x82, 0xA4, 0x86, 0x87, 0x88
"""Tags of `GeneralName` in DER (RFC 5280, section 4.2.1.6)."""

_SEQUENCE = 0x30
_DAY = dt.timedelta(days=1)


def der(tag: int, content: bytes) -> bytes:
    """One value in DER (X.690)."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


class ClientAuthority:
    """Signs what it is asked to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "client CA")])
        self._number = 1
        self.file = folder / "clients.pem"
        own = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), True)
        self.file.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(self, *names: tuple[int, bytes], cn: str = "app.example", san: bool = True) -> Path:
        """A certificate with its key in one PEM file; `names` are tag and content, `san` False for no SAN."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, cn)]), key)
        if san:
            encoded = der(_SEQUENCE, b"".join(der(tag, content) for tag, content in names))
            extension = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, encoded)
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        file = self._folder / f"client-{self._number}.pem"
        file.write_bytes(
            certificate.public_bytes(Encoding.PEM)
            + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return file

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        self._number += 1
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(self._number)
            .not_valid_before(now - _DAY)
            .not_valid_after(now + _DAY)
        )


def showing(certificate: Path, server_ca: Path) -> ssl.SSLContext:
    """A client's context that shows the certificate, and trusts the server's CA."""
    context = ssl.create_default_context(cafile=server_ca)
    context.load_cert_chain(certificate)
    return context
