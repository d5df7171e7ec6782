"""The file source, alone and under the state machine: forms, expiry, rotation, and a missing file."""

import base64
import json
import math
import os
from pathlib import Path

import pytest

from gateway.failures import TokenUnavailable
from gateway.tokens import SourceError, Tokens
from gateway.tokens.file import FileSource
from tests.support.token_sources import FakeTime, landed

NOW = 1_700_000_000.0


def jwt(exp: object) -> str:
    payload = base64.urlsafe_b64encode(json.dumps({"exp": exp}).encode()).decode().rstrip("=")
    return f"aGVhZA.{payload}.c2ln"


def write(path: Path, content: str | bytes | None) -> None:
    """Write the file, or with None remove it."""
    if content is None:
        path.unlink(missing_ok=True)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "token"


def source_for(path: Path) -> FileSource:
    return FileSource(path, timeout=5, poll=5, wall=lambda: NOW)


@pytest.mark.parametrize(
    ("content", "value", "life"),
    [
        ("bare\n", "bare", math.inf),
        (f" {jwt(NOW + 60)}\r\n", jwt(NOW + 60), 60),
        ('{"access_token":"a"}', "a", math.inf),
        ('{"token":"a","expires_on":1700000100}', "a", 100),
        ('{"access_token":"a","expires_on":"1700000100"}', "a", 100),
        ('{"access_token":"a","expires_in":600}', "a", 590),
        ('{"access_token":"a","expires_on":1700000100,"expires_in":600}', "a", 100),
        (json.dumps({"token": jwt(NOW + 60)}), jwt(NOW + 60), 60),
        (json.dumps({"token": jwt(NOW + 60), "expires_in": 30}), jwt(NOW + 60), 20),
        (jwt("soon"), jwt("soon"), math.inf),
    ],
)
async def test_forms_of_the_file(path: Path, content: str, value: str, life: float) -> None:
    """A bare token, a JWT and JSON are read, with the expiry they state; `expires_in` counts from writing."""
    write(path, content)
    os.utime(path, (NOW - 10, NOW - 10))
    got = await source_for(path).fetch(claims=None, renew=False)
    assert (got.value, got.expires_in, got.refresh_in) == (value, life, math.inf)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "TokenFileUnreadable"),
        (b"", "TokenFileUnreadable"),
        (b"\xff\xfe", "TokenFileUnreadable"),
        (b"x" * 70_000, "TokenFileUnreadable"),
        (b"{not json", "TokenFileUnreadable"),
        (b"  \n ", "TokenMalformed"),
        (b"{}", "TokenMalformed"),
        (b'{"access_token":7}', "TokenMalformed"),
        (b"two words", "TokenMalformed"),
        (b"two\nlines", "TokenMalformed"),
    ],
)
async def test_what_each_bad_file_is_called(path: Path, content: bytes | None, reason: str) -> None:
    """A file without a usable token is a named failure that does not repeat its content."""
    write(path, content)
    with pytest.raises(SourceError) as caught:
        await source_for(path).fetch(claims=None, renew=False)
    assert caught.value.reason == reason


async def test_new_content_is_noticed(path: Path) -> None:
    """A file that was rewritten, replaced or removed counts as changed; one that was not, does not."""
    write(path, "first")
    source = source_for(path)
    assert source.changed()
    await source.fetch(claims=None, renew=False)
    assert not source.changed()
    write(path.parent / "next", "other")
    os.replace(path.parent / "next", path)  # noqa: PTH105 - pathlib's is refused in async functions
    assert source.changed()
    await source.fetch(claims=None, renew=False)
    write(path, None)
    assert source.changed()


async def test_changed_file_is_read_within_the_poll(path: Path) -> None:
    """The keeper looks every few seconds and takes the new token up, without a refresh in between."""
    clock = FakeTime()
    write(path, "first")
    source = source_for(path)
    tokens = Tokens(source, time=clock.time)
    assert (await tokens.current()).value == "first"
    refreshed_on = tokens.state().refreshed_on
    await clock.advance(3_600)
    assert tokens.state().refreshed_on == refreshed_on
    write(path, "second-and-longer")
    await clock.advance(5)
    await landed()
    assert (await tokens.current()).value == "second-and-longer"
    await tokens.aclose()


async def test_refused_token_makes_the_file_be_read(path: Path) -> None:
    """After a 401 the file is read at once; an unchanged token brings None."""
    write(path, "first")
    tokens = Tokens(source_for(path), time=FakeTime().time, forced_every=0)
    used = await tokens.current()
    assert await tokens.replace(used) is None
    write(path, "second")
    new = await tokens.replace(used)
    assert new is not None
    assert new.value == "second"
    await tokens.aclose()


async def test_missing_file_appears(path: Path) -> None:
    """Without a file there is no token; once it is there it is read, even during backoff."""
    clock = FakeTime()
    tokens = Tokens(source_for(path), time=clock.time)
    for _ in range(8):
        with pytest.raises(TokenUnavailable) as caught:
            await tokens.current()
        assert caught.value.inner == "TokenFileUnreadable"
        await clock.advance(1)
        await landed()
    write(path, "late")
    await clock.advance(5)
    await landed()
    assert (await tokens.current()).value == "late"
    await tokens.aclose()


async def test_file_that_goes_away_keeps_the_token(path: Path) -> None:
    """A file that disappears does not take the token at hand away."""
    clock = FakeTime()
    write(path, "first")
    tokens = Tokens(source_for(path), time=clock.time)
    await tokens.current()
    write(path, None)
    await clock.advance(5)
    await landed()
    assert (await tokens.current()).value == "first"
    await tokens.aclose()
