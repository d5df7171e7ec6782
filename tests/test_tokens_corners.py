"""Corners of the token's state machine that only one wrong line would change."""

import asyncio
import math

import pytest

from gateway.failures import TokenUnavailable
from gateway.tokens import FetchedToken, Reason, SourceError, Tokens
from tests.support.token_sources import FakeTime, ScriptedSource, settle

DOWN = SourceError(Reason.ISSUER_TIMEOUT, "The token endpoint did not answer.")


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


async def test_a_token_is_used_up_to_its_end_and_not_at_it(clock: FakeTime) -> None:
    """At the very instant when it is no longer to be used it is not handed out, and there is none."""
    source = ScriptedSource(life=100)
    tokens = Tokens(source, time=clock.time)
    token = await tokens.current()
    source.broken = DOWN
    await clock.advance(token.usable_until - clock.monotonic)
    assert clock.monotonic == token.usable_until
    assert not tokens.ready
    with pytest.raises(TokenUnavailable):
        await tokens.current()
    await tokens.aclose()


async def test_a_token_without_end_shows_none(clock: FakeTime) -> None:
    """A token that never expires is valid, and has no expiry to be told."""
    tokens = Tokens(ScriptedSource(life=math.inf), time=clock.time)
    blank = tokens.state()
    assert (blank.valid, blank.expires_in, blank.expires_on, blank.message) == (False, None, None, None)
    await tokens.current()
    state = tokens.state()
    assert (state.valid, state.expires_in, state.expires_on, state.message) == (True, None, None, None)
    assert state.next_try_in is None
    await tokens.aclose()


async def test_the_next_try_is_never_in_the_past(clock: FakeTime) -> None:
    """While a refresh that is due is under way, the next try is now."""
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time)
    await tokens.current()
    source.gate = asyncio.Event()
    await clock.advance(3_000)
    assert tokens.state().next_try_in == 0
    source.gate.set()
    await settle()
    await tokens.aclose()


async def test_closing_waits_for_the_fetch_under_way(clock: FakeTime) -> None:
    """The source is closed only when nobody asks it any more."""
    ended: list[str] = []

    class Slow(ScriptedSource):
        async def fetch(self, *, claims: str | None, renew: bool) -> FetchedToken:
            try:
                return await super().fetch(claims=claims, renew=renew)
            finally:
                await asyncio.sleep(0)
                ended.append("fetch")

        async def aclose(self) -> None:
            ended.append("source")

    source = Slow(gate=asyncio.Event())
    tokens = Tokens(source, time=clock.time)
    tokens.start()
    await source.asked.wait()
    await tokens.aclose()
    assert ended == ["fetch", "source"]
