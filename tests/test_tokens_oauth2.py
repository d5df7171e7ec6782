"""The OAuth2 source against a real token endpoint: what is sent, what is accepted, what faults are called."""

import base64
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote_plus

import httpx
import pytest
import trustme

from gateway.config import OAuth2
from gateway.tokens import FetchedToken
from gateway.tokens.oauth2 import OAuth2Source, trust
from tests.support.issuer import Issuer
from tests.support.token_sources import SCOPE, failure, fetch, oauth2_source


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as running:
        yield running


async def test_credentials_in_the_form(issuer: Issuer) -> None:
    """By default the client's credentials travel in the form, with scope and grant type."""
    got = await fetch(oauth2_source(issuer))
    assert got == FetchedToken("issued-1", 3_600)
    assert issuer.seen[0].form == {
        "grant_type": "client_credentials",
        "client_id": "me",
        "client_secret": "right-secret",
        "scope": SCOPE,
    }
    assert "authorization" not in issuer.seen[0].headers


async def test_who_asks_and_for_what(issuer: Issuer) -> None:
    """The request says its name, asks for plain JSON, and leaves no connection behind."""
    source = oauth2_source(issuer)
    for _ in range(2):
        await source.fetch(claims=None, renew=False)
    told = issuer.seen[0].headers
    assert (told["accept"], told["accept-encoding"], told["user-agent"]) == (
        "application/json",
        "identity",
        "adt-gateway",
    )
    assert "cookie" not in issuer.seen[1].headers
    await source.aclose()


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (400, "invalid_client", "does not accept the client's credentials"),
        (400, "invalid_scope", "refused with invalid_scope"),
        (499, "invalid_scope", "refused with invalid_scope"),
        (401, 7, "does not accept the client's credentials"),
        (400, "canary", "answered 400"),
        (400, ["invalid_scope"], "answered 400"),
        (399, "invalid_scope", "answered 399"),
        (500, "invalid_scope", "answered 500"),
    ],
)
async def test_what_a_refusal_says(issuer: Issuer, status: int, error: object, told: str) -> None:
    """Host and port of the issuer, and its code if OAuth2 knows it; below 400 and from 500 there is none."""
    body = json.dumps({"error": error}).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    issuer.raw = head + body
    failed = await failure(oauth2_source(issuer))
    assert failed.message == f"The token endpoint 127.0.0.1:{issuer.port} {told}."


@pytest.mark.parametrize(
    "code",
    [
        "invalid_request", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
        "invalid_target", "access_denied", "server_error", "temporarily_unavailable",
    ],
)  # fmt: skip
async def test_codes_that_are_repeated(issuer: Issuer, code: str) -> None:
    """Those of RFC 6749, sections 4.1.2.1 and 5.2, and RFC 8707, section 2."""
    body = json.dumps({"error": code}).encode()
    issuer.raw = b"HTTP/1.1 400 X\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    assert (await failure(oauth2_source(issuer))).message.endswith(f" refused with {code}.")


async def test_an_issuer_at_the_usual_port() -> None:
    """No port is told that the URL has not."""
    source = OAuth2Source(OAuth2(token_url="http://issuer.invalid/token"), scope=SCOPE, timeout=5)
    assert (await failure(source)).message.startswith("The token endpoint issuer.invalid cannot be reached")


@pytest.mark.parametrize(
    ("url", "public"),
    [("https://issuer.example/t", True), ("HTTPS://issuer.example/t", True), ("http://127.0.0.1/t", False)],
)
def test_whom_an_issuer_is_checked_by(
    url: str, public: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The public CAs where TLS is spoken, whatever the environment has; all are believed only if checked."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    tls = trust(OAuth2(token_url=url))
    assert (tls.cert_store_stats()["x509_ca"] > 1) is public
    assert (tls.verify_mode, tls.check_hostname) == (ssl.CERT_REQUIRED, True)


@pytest.mark.parametrize("secret", ["right-secret", "a:b%2F+c d&é€"])
async def test_basic_authentication(issuer: Issuer, secret: str) -> None:
    """With `basic` the credentials are form-encoded into the header, and are not in the form."""
    issuer.secret = secret
    await fetch(oauth2_source(issuer, authentication="basic", client_secret=secret))
    assert "client_secret" not in issuer.seen[0].form
    scheme, _, pair = issuer.seen[0].headers["authorization"].partition(" ")
    assert (scheme, base64.b64decode(pair).decode()) == ("Basic", f"me:{quote_plus(secret)}")


async def test_extra_parameters(issuer: Issuer) -> None:
    """Extra parameters are sent; they cannot change who asks for what."""
    extra = {"audience": "https://adt", "scope": "mine", "grant_type": "password", "client_id": "other"}
    await fetch(oauth2_source(issuer, extra=extra))
    form = issuer.seen[0].form
    assert (form["audience"], form["scope"]) == ("https://adt", SCOPE)
    assert (form["grant_type"], form["client_id"]) == ("client_credentials", "me")


async def test_claims_are_sent(issuer: Issuer) -> None:
    """The claims of a challenge go to the issuer as they are."""
    await fetch(oauth2_source(issuer), claims='{"access_token":{"a":1}}')
    assert issuer.seen[0].form["claims"] == '{"access_token":{"a":1}}'


async def test_no_environment_proxy(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY does not get to see the client's secret."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await fetch(oauth2_source(issuer))).value == "issued-1"


async def test_redirect_is_not_followed(issuer: Issuer) -> None:
    """A redirect does not carry the secret elsewhere."""
    async with Issuer() as elsewhere:
        issuer.status, issuer.headers = 307, {"location": elsewhere.url}
        assert (await failure(oauth2_source(issuer))).reason == "IssuerStatus"
        assert elsewhere.requests == 0


async def test_cookies_are_not_kept(issuer: Issuer) -> None:
    """A cookie that the issuer sets does not come back."""
    issuer.headers = {"set-cookie": "a=b; Path=/"}
    source = oauth2_source(issuer)
    await source.fetch(claims=None, renew=False)
    await fetch(source)
    assert all("cookie" not in request.headers for request in issuer.seen)


async def test_private_ca(tmp_path: Path) -> None:
    """A token endpoint with a private CA needs `ca_file`, and works with it."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(tls)
    async with Issuer(tls=tls) as issuer:
        assert (await failure(oauth2_source(issuer))).reason == "IssuerUnreachable"
        assert (await fetch(oauth2_source(issuer, ca_file=tmp_path / "ca.pem"))).value == "issued-1"


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"expires_in": None}, (None, None)),
        ({"expires_in": "1800"}, (1_800, None)),
        ({"expires_in": "soon"}, (None, None)),
        ({"expires_in": True}, (None, None)),
        ({"expires_in": 10**400}, (None, None)),
        ({"expires_in": 7_200, "refresh_in": 3_600}, (7_200, 3_600)),
        ({"token_type": "bearer"}, (3_600, None)),
        ({"token_type": None}, (3_600, None)),
    ],
)
async def test_forms_of_a_good_answer(
    issuer: Issuer, extra: dict[str, object], expected: tuple[float | None, float | None]
) -> None:
    """Lives are read as numbers or text; what is no number is unknown, not an error."""
    issuer.extra = extra
    got = await fetch(oauth2_source(issuer))
    assert (got.expires_in, got.refresh_in) == expected


async def test_rotated_secret_is_read_and_tried_at_once(issuer: Issuer, tmp_path: Path) -> None:
    """`invalid_client` makes the secret's file be read again; a changed one is tried in the same fetch."""
    file = tmp_path / "secret"
    file.write_text("right-secret\n")
    source = oauth2_source(issuer, client_secret=None, client_secret_file=file)
    await source.fetch(claims=None, renew=False)
    issuer.secret = "next-secret"
    file.write_text("next-secret\n")
    assert (await fetch(source)).value == "issued-3"
    assert [request.form["client_secret"] for request in issuer.seen] == [
        "right-secret",
        "right-secret",
        "next-secret",
    ]


async def test_client_can_be_instrumented(issuer: Issuer) -> None:
    """The HTTP client is in the open, so that its calls can be traced, and is closed with the source."""
    called: list[str] = []

    async def hook(request: httpx.Request) -> None:
        called.append(request.method)

    source = oauth2_source(issuer)
    source.client.event_hooks = {"request": [hook]}
    await fetch(source)
    assert called == ["POST"]
    assert source.client.is_closed
