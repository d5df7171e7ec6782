"""Certificates in files, made for one test run."""

from dataclasses import dataclass
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A CA, a server's certificate with its key, and the same key encrypted."""

    ca: Path
    certificate: Path
    key: Path
    encrypted_key: Path


def write_certificates(folder: Path, host: str = "localhost") -> CertificateFiles:
    """A new CA and a certificate of it for the host, as PEM files in the folder."""
    files = CertificateFiles(
        folder / "ca.pem", folder / "tls.crt", folder / "tls.key", folder / "encrypted.key"
    )
    authority = trustme.CA()
    issued = authority.issue_cert(host)
    authority.cert_pem.write_to_path(files.ca)
    files.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(files.key)
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    files.encrypted_key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    )
    return files
