"""The OAuth2 source and bad answers of a token endpoint: what each fault is called."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.tokens.oauth2 import LARGEST_ANSWER
from tests.support.authority import running_authority
from tests.support.issuer import Issuer
from tests.support.token_sources import failure, oauth2_source


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as running:
        yield running


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "IssuerResponse"),
        (b"<html>login</html>", "IssuerResponse"),
        (b"[" * 60_000, "IssuerResponse"),
        (b'{"access_token":"a","expires_in":' + b"9" * 9_000 + b"}", "IssuerResponse"),
        (b"\xff\xfe\x00", "IssuerResponse"),
        (b'"text"', "IssuerResponse"),
        (b'{"token":"a"}', "IssuerResponse"),
        (b'{"error":"invalid_client"}', "IssuerResponse"),
        (b'{"access_token":"a","token_type":"DPoP"}', "IssuerResponse"),
        (b'{"access_token":"a","padding":"' + b"x" * LARGEST_ANSWER + b'"}', "IssuerResponse"),
        (b'{"access_token":null}', "TokenMalformed"),
        (b'{"access_token":""}', "TokenMalformed"),
        (b'{"access_token":"a b"}', "TokenMalformed"),
        (b'{"access_token":"a\\r\\nx-evil: 1"}', "TokenMalformed"),
        (b'{"access_token":"a\\u0000"}', "TokenMalformed"),
        (b'{"access_token":"\\u00e9"}', "TokenMalformed"),
        (b'{"access_token":["a"]}', "TokenMalformed"),
    ],
    ids=lambda value: value[:40].decode("latin-1") if isinstance(value, bytes) else None,
)
async def test_garbage_is_no_token(issuer: Issuer, body: bytes, reason: str) -> None:
    """A 200 without a token that a header can carry is a failure with its own name."""
    issuer.body = body
    assert (await failure(oauth2_source(issuer))).reason == reason


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "IssuerResponse"),
        (b"SSH-2.0-nonsense\r\n", "IssuerResponse"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{", "IssuerResponse"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}", "IssuerResponse"),
        (b"HTTP/1.1 400 Bad\r\ncontent-length: 25\r\n\r\n" + b'{"error":"invalid_scope"}', "Refused"),
        (b"HTTP/1.1 400 Bad\r\ncontent-length: 18\r\n\r\n" + b'{"error":"canary"}', "IssuerStatus"),
        (b"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", "InvalidClient"),
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 26\r\n\r\n" + b'{"error":"invalid_client"}', "IssuerStatus"),
    ],
)
async def test_what_each_answer_is_called(issuer: Issuer, raw: bytes, reason: str) -> None:
    """Each kind of bad answer has a stable reason, and none of the issuer's text is repeated."""
    issuer.raw = raw
    error = await failure(oauth2_source(issuer))
    assert error.reason == reason
    assert "canary" not in str(error)


async def test_endless_answer_is_cut(issuer: Issuer) -> None:
    """A body without end is read up to the bound and no further."""
    issuer.raw = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 20_000_000
    error = await failure(oauth2_source(issuer))
    assert error.reason == "IssuerResponse"
    assert error.message.endswith("answered with more than 65536 bytes, too large for a token.")


@pytest.mark.parametrize(
    ("header", "value", "pause"),
    [
        ("retry-after", "17", 17),
        ("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("retry-after", "100000", 300),
        ("retry-after", "soon", None),
        ("x-ms-retry-after-ms", "2500", 2.5),
    ],
)
async def test_retry_after_is_read(issuer: Issuer, header: str, value: str, pause: float | None) -> None:
    """The pause an issuer asks for comes with the failure, in every spelling; nonsense counts as none."""
    issuer.status, issuer.headers = 429, {header: value}
    error = await failure(oauth2_source(issuer))
    assert (error.reason, error.retry_after) == ("IssuerStatus", pause)


async def test_unreachable_issuer(issuer: Issuer) -> None:
    """A refused connection says so, and a name without an address."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/token"
        error = await failure(oauth2_source(issuer, token_url=url))
    assert error.reason == "IssuerUnreachable"
    assert error.message.endswith("cannot be reached (Connection refused).")
    unknown = await failure(oauth2_source(issuer, token_url="https://issuer.invalid/token"))
    assert "cannot be reached (its name cannot be resolved: " in unknown.message


async def test_an_issuer_that_is_not_trusted(tmp_path: Path) -> None:
    """A certificate that is not accepted is told in OpenSSL's words."""
    async with running_authority(tmp_path) as issuer:
        error = await failure(oauth2_source(issuer))
    assert error.reason == "IssuerUnreachable"
    assert "cannot be reached (its certificate is not accepted: " in error.message


async def test_silent_issuer(issuer: Issuer) -> None:
    """An issuer that does not answer is given up after the configured time."""
    issuer.gate = asyncio.Event()
    error = await failure(oauth2_source(issuer, timeout=0.05))
    assert error.reason == "IssuerTimeout"
    assert "0.05 s" in error.message


async def test_refused_secret_that_did_not_change(issuer: Issuer, tmp_path: Path) -> None:
    """A refused secret whose file has not changed is not sent twice."""
    file = tmp_path / "secret"
    file.write_text("wrong-secret")
    error = await failure(oauth2_source(issuer, client_secret=None, client_secret_file=file))
    assert error.reason == "InvalidClient"
    assert issuer.requests == 1


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xff", b"x" * 70_000])
async def test_unreadable_secret(issuer: Issuer, tmp_path: Path, content: bytes | None) -> None:
    """A secret's file that is missing, empty, not text or huge fails before anything is sent."""
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    error = await failure(oauth2_source(issuer, client_secret=None, client_secret_file=file))
    assert error.reason == "SecretUnreadable"
    assert str(file) in error.message
    assert issuer.requests == 0
