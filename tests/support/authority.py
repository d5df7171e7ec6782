"""A local Entra authority over TLS, and sources that trust it."""

import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.config import Entra
from gateway.tokens.entra import EntraSource
from tests.support.issuer import Issuer
from tests.support.token_sources import SCOPE

WHO: dict[str, Any] = {"tenant_id": "tenant", "client_id": "me"}


@asynccontextmanager
async def running_authority(folder: Path) -> AsyncIterator[Issuer]:
    """An issuer over TLS, whose CA is `ca.pem` in the folder."""
    ca, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    async with Issuer(tls=tls) as issuer:
        yield issuer


def clear_azure_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """azure-identity reads the process's environment; tests decide what is in it."""
    for name in ("AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_AUTHORITY_HOST", "AZURE_TOKEN_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)


def entra_source(
    issuer: Issuer,
    tmp_path: Path,
    environ: dict[str, str] | None = None,
    timeout: float = 10,
    **settings: Any,
) -> EntraSource:
    """A source that trusts the authority's CA; `settings` are those of `auth.entra`."""
    return EntraSource(
        Entra.model_validate({"authority": issuer.origin} | settings),
        scope=SCOPE,
        timeout=timeout,
        environ=environ or {},
        pipeline={"connection_verify": str(tmp_path / "ca.pem")},
    )


def client_certificate() -> bytes:
    """A self-signed certificate with its key, in PEM."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
