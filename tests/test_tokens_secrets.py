"""A canary for the client's secret and one for the token: neither shows up in anything that is told."""

import base64
import logging
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.config import OAuth2
from gateway.failures import TokenUnavailable
from gateway.tokens import RefreshOutcome, SourceError, Tokens, TokenSource
from gateway.tokens.file import FileSource
from gateway.tokens.oauth2 import OAuth2Source
from gateway.tokens.static import StaticSource
from tests.support.authority import WHO, entra_source, running_authority
from tests.support.issuer import Issuer
from tests.support.token_sources import FakeTime

SECRET = "canary-secret-7f3a"
BASIC = base64.b64encode(f"me:{SECRET}".encode()).decode()
TOKEN = "canary-token-9c1e"
ECHO = (
    f'{{"error":"{SECRET}","error_description":"{SECRET} AADSTS7000215","access_token":"{TOKEN} x"}}'.encode()
)


def head(status: int, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} X\r\nx-echo: {SECRET}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


FAULTS = {
    "refused": head(401, ECHO),
    "bad request": head(400, ECHO),
    "server error": head(500, ECHO),
    "malformed token": head(200, ECHO),
    "not JSON": head(200, ECHO[:-1]),
    "not HTTP": SECRET.encode() + b"\r\n",
    "cut": head(200, ECHO)[:-5],
    "silent": b"",
}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and everything that hangs on it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def everything_of(error: BaseException) -> str:
    """Whatever a log, a crash report or a debugger would write of an exception."""
    parts = traceback.format_exception(error)
    for link in chain(error):
        parts += [repr(link), str(link), repr(link.args), repr(getattr(link, "__dict__", {}))]
    return "\n".join(parts)


async def all_that_is_told(source: TokenSource) -> str:
    """Run the source directly and under the state machine, and collect every text that comes out."""
    told: list[object] = [source]
    errors: list[BaseException] = []
    outcomes: list[RefreshOutcome] = []
    with capture_logs() as lines:
        try:
            told.append(await source.fetch(claims=None, renew=False))
        except SourceError as error:
            errors.append(error)
        tokens = Tokens(source, time=FakeTime().time, on_refresh=outcomes.append)
        try:
            told.append(await tokens.current())
        except TokenUnavailable as error:
            errors.append(error)
        told += [tokens, tokens.state(), outcomes, lines]
        await tokens.aclose()
    # An exception that hangs on another one drags the library's request along.
    assert all(list(chain(error)) == [error] for error in errors)
    told += map(everything_of, errors)
    return "\n".join(f"{thing!r} {thing}" for thing in told)


@pytest.fixture
def clean(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[str], None]]:
    """Checks a text, and everything logged meanwhile, at debug and by every library."""

    def check(text: str) -> None:
        for forbidden in ("canary", BASIC):
            assert forbidden not in text
            assert forbidden not in caplog.text

    with caplog.at_level(logging.DEBUG):
        yield check


@pytest.mark.parametrize("authentication", ["post", "basic"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_oauth2_faults(fault: str, authentication: str, clean: Callable[[str], None]) -> None:
    """No fault of a token endpoint, not even one that echoes what it got, brings a secret to light."""
    async with Issuer(raw=FAULTS[fault]) as issuer:
        settings = OAuth2.model_validate(
            {
                "token_url": issuer.url,
                "client_id": "me",
                "client_secret": SECRET,
                "authentication": authentication,
            }
        )
        clean(repr(settings))
        clean(await all_that_is_told(OAuth2Source(settings, scope="s", timeout=5)))
        assert issuer.requests == 2


@pytest.mark.parametrize("fault", FAULTS)
async def test_entra_faults(fault: str, clean: Callable[[str], None], tmp_path: Path) -> None:
    """The same with azure-identity in between."""
    async with running_authority(tmp_path) as issuer:
        issuer.raw = FAULTS[fault]
        source = entra_source(issuer, tmp_path, client_secret=SECRET, **WHO)
        clean(await all_that_is_told(source))
        assert issuer.requests == 2


async def test_nothing_listens(clean: Callable[[str], None]) -> None:
    """A refused connection shows no secret either."""
    settings = OAuth2.model_validate(
        {"token_url": "http://127.0.0.1:1/t", "client_id": "me", "client_secret": SECRET}
    )
    clean(await all_that_is_told(OAuth2Source(settings, scope="s", timeout=5)))


async def test_success(clean: Callable[[str], None]) -> None:
    """A token that was had shows up nowhere but in its `value`."""
    async with Issuer(secret=SECRET, token=TOKEN) as issuer:
        settings = OAuth2.model_validate(
            {"token_url": issuer.url, "client_id": "me", "client_secret": SECRET}
        )
        source = OAuth2Source(settings, scope="s", timeout=5)
        assert (await source.fetch(claims=None, renew=False)).value == TOKEN
        clean(await all_that_is_told(source))


@pytest.mark.parametrize(
    "content", [TOKEN, f"{TOKEN} {TOKEN}", f'{{"x": "{TOKEN}"', f'{{"token": ["{TOKEN}"]}}']
)
async def test_file_and_static(content: str, clean: Callable[[str], None], tmp_path: Path) -> None:
    """Neither a good nor a bad file or fixed token is repeated."""
    (tmp_path / "token").write_text(content)
    clean(await all_that_is_told(FileSource(tmp_path / "token", timeout=5)))
    clean(await all_that_is_told(StaticSource(content)))
