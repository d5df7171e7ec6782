"""Corners of the token's state machine that only one wrong line would change."""

import asyncio
import math

import pytest
import structlog

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


class WatchedAnswers(ScriptedSource):
    """A scripted source that says when there is something new."""

    poll = 5.0
    looks = 0
    new = False

    def changed(self) -> bool:
        self.looks += 1
        return self.new


async def test_a_watched_source_is_looked_at_between_fetches(clock: FakeTime) -> None:
    """Every five seconds it is asked whether there is something new, and only then for it."""
    source = WatchedAnswers()
    tokens = Tokens(source, time=clock.time)
    await tokens.current()
    await clock.advance(4.9)
    assert source.looks == 0
    await clock.advance(15.1)
    assert (source.looks, len(source.calls), clock.timers) == (4, 1, 1)
    source.new = True
    await clock.advance(5)
    assert (source.looks, len(source.calls)) == (5, 2)
    await tokens.aclose()


async def test_one_401_forces_one_refresh(clock: FakeTime) -> None:
    """Even where refreshes may be forced at any time: the same token again is the answer."""
    source = ScriptedSource(answers=[FetchedToken("same", 3_600) for _ in range(5)])
    tokens = Tokens(source, time=clock.time, forced_every=0)
    used = await tokens.current()
    assert await tokens.replace(used) is None
    assert len(source.calls) == 2
    await tokens.aclose()


async def test_a_bug_in_a_source_is_a_failed_refresh(clock: FakeTime) -> None:
    """Callers hear that there is no token, by the bug's class alone, and the refreshing goes on."""
    source = ScriptedSource(broken=ValueError("client_secret=canary"))
    tokens = Tokens(source, time=clock.time)
    with pytest.raises(TokenUnavailable) as caught:
        await tokens.current()
    assert caught.value.inner == Reason.INTERNAL
    assert "The token source failed with ValueError." in str(caught.value)
    assert "canary" not in str(caught.value)
    source.broken = None
    await clock.advance(60)
    assert (await tokens.current()).value == f"token-{len(source.calls)}"
    await tokens.aclose()


async def test_time_is_the_machines_own_unless_said_otherwise() -> None:
    """A keeper without a clock of its own goes by the loop's."""
    tokens = Tokens(ScriptedSource())
    assert (await tokens.current()).value == "token-1"
    await tokens.aclose()


async def test_a_refused_token_that_has_expired_since(clock: FakeTime) -> None:
    """Where none is at hand any more, and none can be had, the 401 is passed on."""
    source = ScriptedSource(life=100)
    tokens = Tokens(source, time=clock.time)
    used = await tokens.current()
    source.broken = DOWN
    await clock.advance(200)
    assert not tokens.ready
    assert await tokens.replace(used) is None
    await tokens.aclose()


async def test_the_pause_after_a_failure_ends_when_it_says(clock: FakeTime) -> None:
    """Callers are told how long it lasts; at its end one fetches, be the timer late."""
    source = ScriptedSource(broken=DOWN)
    tokens = Tokens(source, time=clock.time)
    with pytest.raises(TokenUnavailable) as caught:
        await tokens.current()
    pause = tokens.state().next_try_in
    assert pause
    assert (caught.value.retry_after, caught.value.inner) == (pause, DOWN.reason)
    assert str(caught.value) == f"No token can be had at the moment. {DOWN.message}"
    source.broken = None
    clock.monotonic += pause
    assert (await tokens.current()).value == "token-2"
    assert tokens.state().failures == 0
    await tokens.aclose()


async def test_refreshes_may_be_forced_again_after_exactly_their_pause(clock: FakeTime) -> None:
    """The least time between two of them is that, and no more."""
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time, forced_every=30)
    assert await tokens.replace(await tokens.current()) is not None
    await clock.advance(30)
    assert await tokens.replace(await tokens.current()) is not None
    assert (len(source.calls), clock.timers) == (3, 1)
    await tokens.aclose()


async def test_an_outage_is_two_lines_of_the_log(clock: FakeTime) -> None:
    """One when the first refresh fails, one when the next works, however many fail between."""
    source = ScriptedSource(broken=DOWN)
    with structlog.testing.capture_logs() as lines:
        tokens = Tokens(source, time=clock.time)
        for _ in range(2):
            with pytest.raises(TokenUnavailable):
                await tokens.current()
        assert [line["event"] for line in lines] == ["token refresh fails, and is tried again until it works"]
        await clock.advance(300)
        source.broken = None
        await clock.advance(300)
    assert len(source.calls) > 3
    assert [line["event"] for line in lines[1:]] == ["token refresh recovered"]
    await tokens.aclose()


async def test_a_closed_keeper_says_so(clock: FakeTime) -> None:
    """Whatever it had before: once its token has expired there is none, because of the shutdown."""
    tokens = Tokens(ScriptedSource(life=100), time=clock.time)
    await tokens.current()
    await tokens.aclose()
    await clock.advance(200)
    with pytest.raises(TokenUnavailable, match="The gateway is shutting down") as caught:
        await tokens.current()
    assert caught.value.inner == Reason.CLOSED
