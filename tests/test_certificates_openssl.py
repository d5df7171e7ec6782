"""The certificates in the eyes of OpenSSL: well-formed, and the CA bound to its hosts."""

import asyncio
import datetime as dt
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.certificates import prepare
from gateway.certificates.authority import Authority, Pair
from tests.support.programs import require_program

NOW = dt.datetime.now(dt.UTC)
HOSTS = ("localhost", "127.0.0.1", "::1", "gateway.internal", "10.1.2.3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with everything."""
    prepare(tmp_path, HOSTS, days=365, renew=False, client="app", now=NOW)
    return tmp_path


def verified(folder: Path, certificate: Path, *arguments: str) -> tuple[int, str]:
    """What `openssl verify` says, in its strict mode."""
    openssl = require_program("openssl", "apt-get install openssl")
    ended = subprocess.run(  # noqa: S603 - our own files
        [openssl, "verify", "-x509_strict", "-CAfile", folder / "ca.pem", *arguments, certificate],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    return ended.returncode, ended.stdout + ended.stderr


def stolen(folder: Path, *hosts: str) -> Path:
    """A certificate that somebody signed with the CA's key, for any host."""
    key = load_pem_private_key((folder / "ca.key").read_bytes(), None)
    from cryptography import x509  # noqa: PLC0415

    authority = Authority(
        Pair(x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes()), key)  # type: ignore[arg-type]
    )
    pair = authority.issue_server(hosts, 10, NOW)
    (folder / "stolen.crt").write_bytes(pair.certificate_pem)
    (folder / "stolen.key").write_bytes(pair.key_pem)
    return folder / "stolen.crt"


def test_strictly_valid(folder: Path) -> None:
    """Both certificates pass OpenSSL's strict checks, for every host, and for their own purpose alone."""
    for host in ("localhost", "gateway.internal"):
        assert verified(folder, folder / "tls.crt", "-purpose", "sslserver", "-verify_hostname", host)[0] == 0
    for address in ("127.0.0.1", "::1", "10.1.2.3"):
        assert verified(folder, folder / "tls.crt", "-purpose", "sslserver", "-verify_ip", address)[0] == 0
    assert verified(folder, folder / "client-app.crt", "-purpose", "sslclient")[0] == 0
    for certificate, purpose in (("tls.crt", "sslclient"), ("client-app.crt", "sslserver")):
        code, said = verified(folder, folder / certificate, "-purpose", purpose)
        assert (code, "unsuitable certificate purpose" in said) == (2, True)


@pytest.mark.parametrize(
    "host",
    ["login.microsoftonline.com", "evilgateway.internal", "internal", "10.1.2.4", "8.8.8.8", "2001:db8::1"],
)
def test_a_stolen_key_is_of_no_use_elsewhere(folder: Path, host: str) -> None:
    """A certificate that the CA's key signed for another host is refused, alone and beside one of ours."""
    for hosts in ((host,), ("localhost", host)):
        code, said = verified(folder, stolen(folder, *hosts))
        assert (code, "permitted subtree violation" in said) == (2, True)


async def test_python_refuses_it_too(folder: Path) -> None:
    """A handshake with such a certificate fails in Python's ssl, whose strict mode takes ours."""
    for certificate, host, accepted in (
        ("tls", "gateway.internal", True),
        ("stolen", "login.microsoftonline.com", False),
    ):
        if certificate == "stolen":
            stolen(folder, host)
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(folder / f"{certificate}.crt", folder / f"{certificate}.key")
        trusting = ssl.create_default_context(cafile=folder / "ca.pem")
        trusting.verify_flags |= ssl.VERIFY_X509_STRICT
        async with await asyncio.start_server(
            lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server_side
        ) as server:
            address = server.sockets[0].getsockname()
            opening = asyncio.open_connection(*address, ssl=trusting, server_hostname=host)
            if accepted:
                _, writer = await opening
                writer.close()
                continue
            with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
                await opening


def test_the_extensions(folder: Path) -> None:
    """The CA may sign certificates of no further CAs; P-256 and SHA-256; the names are alternative ones."""
    openssl = require_program("openssl", "apt-get install openssl")

    def text(name: str) -> str:
        return subprocess.run(  # noqa: S603 - our own files
            [openssl, "x509", "-in", folder / name, "-noout", "-text"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout

    authority, leaf = text("ca.pem"), text("tls.crt")
    for shown in (authority, leaf):
        assert "ASN1 OID: prime256v1" in shown
        assert "ecdsa-with-SHA256" in shown
        assert "X509v3 Authority Key Identifier" in shown
        assert "X509v3 Subject Key Identifier" in shown
    assert "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0" in authority
    assert "X509v3 Name Constraints: critical" in authority
    assert "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign" in authority
    assert "X509v3 Basic Constraints: critical\n                CA:FALSE" in leaf
    assert "X509v3 Key Usage: critical\n                Digital Signature" in leaf
    assert "DNS:localhost, IP Address:127.0.0.1" in leaf
    assert "localhost" not in leaf.partition("Subject:")[2].partition("\n")[0]
