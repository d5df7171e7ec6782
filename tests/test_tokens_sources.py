"""The configured source, and the fixed one."""

import base64
import json
import math
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.config import Auth
from gateway.failures import TokenUnavailable
from gateway.tokens import SourceError, Tokens, open_source
from gateway.tokens.static import StaticSource

SETTINGS: dict[str, dict[str, Any]] = {
    "entra": {},
    "oauth2": {"oauth2": {"token_url": "http://127.0.0.1:1/token", "client_id": "me", "client_secret": "s"}},
    "file": {"file": {"path": "token"}},
    "static": {"static": {"token": "fixed"}},
}


@pytest.mark.parametrize("mode", SETTINGS)
async def test_mode_decides_the_source(mode: str) -> None:
    """Each mode with a token of the gateway's has its source, whose name is the metric's label."""
    source = open_source(Auth.model_validate({"mode": mode} | SETTINGS[mode]), {})
    assert source is not None
    assert source.name == mode
    await source.aclose()


@pytest.mark.parametrize("mode", ["file", "static"])
async def test_a_source_has_its_settings(mode: str, tmp_path: Path) -> None:
    """The token is the one that is configured, or the one in the file that is."""
    file = tmp_path / "token"
    file.write_text("fixed\n")
    auth = Auth.model_validate({"mode": mode, "file": {"path": file}, "static": {"token": "fixed"}})
    source = open_source(auth, {})
    assert source is not None
    assert (await source.fetch(claims=None, renew=False)).value == "fixed"
    await source.aclose()


@pytest.mark.parametrize("mode", ["passthrough", "none"])
def test_modes_without_a_source(mode: str) -> None:
    """Where the gateway owns no token there is no source."""
    assert open_source(Auth.model_validate({"mode": mode}), {}) is None


@pytest.mark.parametrize("mode", ["file", "static"])
async def test_source_without_its_setting_fails_closed(mode: str) -> None:
    """A mode whose setting is missing never turns into one without a token."""
    source = open_source(Auth.model_validate({"mode": mode}), {})
    assert source is not None
    tokens = Tokens(source)
    with pytest.raises(TokenUnavailable):
        await tokens.current()
    await tokens.aclose()


async def test_client_is_handed_out_for_tracing() -> None:
    """`instrument` gets the HTTP client of the OAuth2 source."""
    clients: list[httpx.AsyncClient] = []
    auth = Auth.model_validate({"mode": "oauth2"} | SETTINGS["oauth2"])
    source = open_source(auth, {}, instrument=clients.append)
    assert source is not None
    assert [type(client) for client in clients] == [httpx.AsyncClient]
    await source.aclose()
    assert clients[0].is_closed


def test_unreadable_ca_file_stops_the_start(tmp_path: Path) -> None:
    """A CA file that cannot be read is an error at once."""
    settings = SETTINGS["oauth2"]["oauth2"] | {"ca_file": tmp_path / "missing.pem"}
    with pytest.raises(OSError, match="No such file"):
        open_source(Auth.model_validate({"mode": "oauth2", "oauth2": settings}), {})


async def test_fixed_token() -> None:
    """A fixed token never expires, unless it is a JWT that says so."""
    payload = base64.urlsafe_b64encode(json.dumps({"exp": 1_100}).encode()).decode()
    bare, dated = StaticSource("fixed"), StaticSource(f"a.{payload}.c", wall=lambda: 1_000.0)
    assert (await bare.fetch(claims=None, renew=False)).expires_in == math.inf
    assert (await dated.fetch(claims=None, renew=True)).expires_in == 100


@pytest.mark.parametrize("token", ["", "a b", "a\r\nx: y", "é"])
async def test_fixed_token_that_no_header_carries(token: str) -> None:
    """A fixed token is checked like any other."""
    with pytest.raises(SourceError) as caught:
        await StaticSource(token).fetch(claims=None, renew=False)
    assert caught.value.reason == "TokenMalformed"
