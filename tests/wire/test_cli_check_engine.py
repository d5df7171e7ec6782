"""`adt-gateway check --online` says what the gateway's own engine makes of the upstream."""

import datetime as dt
import ipaddress
from pathlib import Path

import httpx
import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.online.advice import engine_advice
from tests.support import faults
from tests.support.checking import check, entra_jwt, static
from tests.support.engines import ENGINES
from tests.support.gateway import running_gateway
from tests.support.upstream import fault_upstream

EVENT_ROUTES = faults.reply(200, b'{"value": []}')
TOKEN = entra_jwt()


class SelfSigned(trustme.CA):
    """A server whose certificate is its own CA's, as `openssl req -x509` makes them."""

    def issue_cert(self, *_identities: str, **_more: object) -> trustme.LeafCert:
        """The same for every host."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        now = dt.datetime.now(dt.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName([host]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.own = certificate.public_bytes(serialization.Encoding.PEM)
        return trustme.LeafCert(private, self.own, [])


@pytest.mark.parametrize(("engine", "accepts"), [("pyreqwest", False), ("asyncio", True), ("httpx", True)])
async def test_a_certificate_that_is_its_own_ca(tmp_path: Path, engine: str, accepts: bool) -> None:
    """Check and gateway agree: OpenSSL takes such a certificate, rustls does not, and the advice says why."""
    authority = SelfSigned()
    async with fault_upstream(EVENT_ROUTES, tls=authority) as upstream:
        (tmp_path / "ca.pem").write_bytes(authority.own)
        way = {"base_url": upstream.origin, "ca_file": tmp_path / "ca.pem", "engine": engine}
        checked = await check(upstream.origin, auth=static(TOKEN), upstream=way)
        sent = len(upstream.requests)
        async with (
            running_gateway(upstream.origin, upstream=way) as gateway,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            answer = await client.get(f"{gateway.data}/eventroutes")
    assert checked.steps["tls"].outcome == "ok"
    assert (checked.code, answer.status_code, sent) == ((0, 200, 1) if accepts else (1, 503, 0))
    if not accepts:
        request = checked.steps["request"]
        assert checked.failed == ["request"]
        assert "(pyreqwest) makes no TLS connection" in request.message
        assert "CaUsedAsEndEntity" in request.message
        assert "sign it with a CA (adt-gateway certs makes one)" in request.advice


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_engine_sends_the_request(tmp_path: Path, engine: str) -> None:
    """One request goes out as the gateway would send it, over TLS, with token and Host."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with fault_upstream(EVENT_ROUTES, tls=authority) as upstream:
        way = {"base_url": upstream.origin, "ca_file": tmp_path / "ca.pem", "engine": engine}
        checked = await check(upstream.origin, auth=static(TOKEN), upstream=way)
        [request] = upstream.requests
    assert checked.code == 0
    assert request.target == b"/eventroutes?api-version=2023-10-31"
    assert request.values(b"authorization") == [f"Bearer {TOKEN}".encode()]
    assert request.values(b"host") == [f"127.0.0.1:{upstream.port}".encode()]
    assert [value[:12] for value in request.values(b"user-agent")] == [b"adt-gateway/"]
    assert request.values(b"accept-encoding") == [b"identity"]


@pytest.mark.parametrize("name", ["no http", "cut", "silent"])
async def test_no_answer_by_the_other_engine(name: str) -> None:
    """The engine httpx ends in the same words: no HTTP, a connection that breaks, silence."""
    behaviour, said = {
        "no http": (faults.cut(faults.NO_RESPONSES["no http"]), "cannot take the answer"),
        "cut": (faults.cut(reset=True), "broke before a whole answer came"),
        "silent": (faults.never(), "did not answer within 0.2 s"),
    }[name]
    async with fault_upstream(behaviour) as upstream:
        way = {"base_url": upstream.origin, "engine": "httpx", "timeout": {"first_byte": 0.2}}
        checked = await check(upstream.origin, auth=static(TOKEN), upstream=way)
    assert checked.failed == ["request"]
    assert said in checked.steps["request"].message


def test_other_certificates() -> None:
    """Where the stricter engine refuses for another reason, the other engine is named; never for itself."""
    assert "upstream.engine = asyncio" in engine_advice("pyreqwest", "UnsupportedCertVersion")
    for engine in ("asyncio", "httpx"):
        assert "upstream.engine" not in engine_advice(engine, "UnsupportedCertVersion")
