"""The state machine while its source fails: what callers get, and when it is tried again."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.failures import TokenUnavailable
from gateway.tokens import Reason, SourceError, Tokens
from tests.support.token_sources import FakeTime, ScriptedSource, settle

DOWN = SourceError(Reason.ISSUER_UNREACHABLE, "The token endpoint cannot be reached.")


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


@pytest.fixture
def source() -> ScriptedSource:
    return ScriptedSource()


@pytest.fixture
async def tokens(clock: FakeTime, source: ScriptedSource) -> AsyncIterator[Tokens]:
    keeper = Tokens(source, time=clock.time)
    yield keeper
    await keeper.aclose()


async def test_failed_refresh_keeps_the_valid_token(
    tokens: Tokens, clock: FakeTime, source: ScriptedSource
) -> None:
    """While the token at hand is valid, an outage of the issuer is invisible."""
    await tokens.current()
    source.broken = DOWN
    await clock.advance(3_590)
    assert (await tokens.current()).value == "token-1"
    assert tokens.ready
    assert tokens.state().failures > 1


async def test_expired_token_is_never_handed_out(
    tokens: Tokens, clock: FakeTime, source: ScriptedSource
) -> None:
    """At expiry an outage becomes `TokenUnavailable`, with the cause and the time of the next try."""
    await tokens.current()
    source.broken = DOWN
    await clock.advance(3_600)
    with pytest.raises(TokenUnavailable) as caught:
        await tokens.current()
    assert caught.value.inner == "IssuerUnreachable"
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 30
    assert not tokens.ready


async def test_backoff_answers_at_once_and_ends(
    tokens: Tokens, clock: FakeTime, source: ScriptedSource
) -> None:
    """During backoff nobody waits and the source is left alone; the next try is made in the background."""
    source.broken = DOWN
    for _ in range(50):
        with pytest.raises(TokenUnavailable):
            await tokens.current()
    assert len(source.calls) == 1
    source.broken = None
    await clock.advance(2)
    assert tokens.ready
    assert (await tokens.current()).value == "token-2"


async def test_backoff_grows_to_half_a_minute(
    tokens: Tokens, clock: FakeTime, source: ScriptedSource
) -> None:
    """Tries in an hour of outage are 1 to 30 s apart: neither a storm nor a standstill."""
    source.broken = DOWN
    tokens.start()
    await settle()
    waits = []
    for _ in range(60):
        before, calls = clock.monotonic, len(source.calls)
        while len(source.calls) == calls:
            await clock.advance(0.5)
        waits.append(clock.monotonic - before)
    assert min(waits) >= 1
    assert max(waits) <= 30.5
    assert max(waits) > 10


async def test_issuers_pause_is_followed(tokens: Tokens, clock: FakeTime, source: ScriptedSource) -> None:
    """An issuer's Retry-After makes the pause longer, up to 300 s."""
    source.answers = [
        SourceError(Reason.ISSUER_STATUS, "429", 120),
        SourceError(Reason.ISSUER_STATUS, "", 1e9),
    ]
    with pytest.raises(TokenUnavailable) as caught:
        await tokens.current()
    assert caught.value.retry_after == 120
    await clock.advance(119)
    assert len(source.calls) == 1
    await clock.advance(1)
    assert len(source.calls) == 2
    assert tokens.state().next_try_in == 300


async def test_caller_waits_for_a_try_under_way(
    tokens: Tokens, clock: FakeTime, source: ScriptedSource
) -> None:
    """A caller that comes while a try is under way gets its outcome instead of an error."""
    source.answers = [DOWN]
    with pytest.raises(TokenUnavailable):
        await tokens.current()
    source.gate = asyncio.Event()
    await clock.advance(2)
    waiting = asyncio.create_task(tokens.current())
    await settle()
    assert not waiting.done()
    source.gate.set()
    assert (await waiting).value == "token-2"


async def test_token_that_has_expired_on_arrival(
    tokens: Tokens, clock: FakeTime, source: ScriptedSource
) -> None:
    """A source that gives expired tokens is backed off from like one that gives none."""
    source.life = -1
    with pytest.raises(TokenUnavailable) as caught:
        await tokens.current()
    assert caught.value.inner == "TokenExpired"
    assert len(source.calls) == 1


async def test_bug_in_a_source(tokens: Tokens, source: ScriptedSource) -> None:
    """Whatever a source raises is answered as `TokenUnavailable`, without its text."""
    source.answers = [RuntimeError("canary-secret")]
    with pytest.raises(TokenUnavailable) as caught:
        await tokens.current()
    assert caught.value.inner == "Internal"
    assert "canary" not in caught.value.message
