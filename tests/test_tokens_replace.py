"""After a 401: one forced refresh for everybody, seldom, and nothing where nothing new can be had."""

import asyncio

import pytest

from gateway.failures import TokenUnavailable
from gateway.tokens import FetchedToken, Reason, SourceError, Tokens
from tests.support.token_sources import FakeTime, ScriptedSource, settle

DOWN = SourceError(Reason.ISSUER_UNREACHABLE, "The token endpoint cannot be reached.")


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


async def test_burst_of_401_is_one_refresh(clock: FakeTime) -> None:
    """200 callers refused at once share one forced refresh and all get the new token."""
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time)
    used = await tokens.current()
    got = await asyncio.gather(*(tokens.replace(used) for _ in range(200)))
    assert {token.value for token in got if token} == {"token-2"}
    assert None not in got
    assert source.calls == [(None, False), (None, True)]
    await tokens.aclose()


async def test_late_caller_gets_the_current_token(clock: FakeTime) -> None:
    """A caller whose token has been replaced meanwhile gets the current one without a fetch."""
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time)
    used = await tokens.current()
    new = await tokens.replace(used)
    assert await tokens.replace(used) is new
    assert len(source.calls) == 2
    await tokens.aclose()


async def test_forced_refreshes_are_half_a_minute_apart(clock: FakeTime) -> None:
    """An upstream that always answers 401 forces one refresh per 30 s, however often it is asked."""
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time)
    await tokens.current()
    for _ in range(290):
        await tokens.replace(await tokens.current())
        await clock.advance(1)
    assert sum(renew for _, renew in source.calls) == 10
    await tokens.aclose()


async def test_same_token_again_is_none(clock: FakeTime) -> None:
    """A source that gives the refused token again brings None, so that the 401 is passed on."""
    source = ScriptedSource(answers=[FetchedToken("same", 3_600), FetchedToken("same", 3_600)])
    tokens = Tokens(source, time=clock.time)
    used = await tokens.current()
    assert await asyncio.gather(*(tokens.replace(used) for _ in range(20))) == [None] * 20
    assert len(source.calls) == 2
    assert (await tokens.current()).value == "same"
    await tokens.aclose()


async def test_failed_forced_refresh_is_none(clock: FakeTime) -> None:
    """A forced refresh that fails brings None, keeps the token, and is not repeated during backoff."""
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time, forced_every=0)
    used = await tokens.current()
    source.broken = DOWN
    assert await tokens.replace(used) is None
    assert await tokens.replace(used) is None
    assert len(source.calls) == 2
    assert await tokens.current() is used
    await tokens.aclose()


async def test_claims_reach_the_source(clock: FakeTime) -> None:
    """The claims of a challenge are in the forced refresh, and only there."""
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time)
    claims = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}'
    await tokens.replace(await tokens.current(), claims=claims)
    await clock.advance(3_000)
    assert source.calls == [(None, False), (claims, True), (None, False)]
    await tokens.aclose()


async def test_refresh_under_way_is_joined(clock: FakeTime) -> None:
    """A 401 while the background refresh runs waits for that one instead of forcing another."""
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time)
    used = await tokens.current()
    source.gate = asyncio.Event()
    await clock.advance(1_800)
    waiting = [asyncio.create_task(tokens.replace(used)) for _ in range(5)]
    await settle()
    source.gate.set()
    assert {token.value for token in await asyncio.gather(*waiting) if token} == {"token-2"}
    assert source.calls == [(None, False), (None, False)]
    await tokens.aclose()


async def test_refresh_under_way_that_brings_the_same_is_followed_by_a_forced_one(clock: FakeTime) -> None:
    """Where the background refresh repeats the refused token, one forced refresh serves all who wait."""
    same = FetchedToken("same", 3_600)
    source = ScriptedSource(answers=[same, same])
    tokens = Tokens(source, time=clock.time)
    used = await tokens.current()
    source.gate = asyncio.Event()
    await clock.advance(1_800)
    waiting = [asyncio.create_task(tokens.replace(used)) for _ in range(50)]
    await settle()
    source.gate.set()
    assert {token.value for token in await asyncio.gather(*waiting) if token} == {"token-3"}
    assert [renew for _, renew in source.calls] == [False, False, True]
    await tokens.aclose()


async def test_cancelled_caller_does_not_fail_the_burst(clock: FakeTime) -> None:
    """The caller that forced the refresh may leave; the others still get the new token."""
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time)
    used = await tokens.current()
    source.gate = asyncio.Event()
    source.asked.clear()
    leader = asyncio.create_task(tokens.replace(used))
    await source.asked.wait()
    follower = asyncio.create_task(tokens.replace(used))
    await settle()
    leader.cancel()
    await asyncio.wait((leader,))
    source.gate.set()
    assert await follower == await tokens.current()
    assert (await tokens.current()).value == "token-2"
    await tokens.aclose()


async def test_current_stays_quick_while_a_refresh_runs(clock: FakeTime) -> None:
    """Others go on with the old token while the forced refresh is under way."""
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time)
    used = await tokens.current()
    source.gate = asyncio.Event()
    refused = asyncio.create_task(tokens.replace(used))
    await settle()
    assert await tokens.current() is used
    source.gate.set()
    assert await refused is not None
    await tokens.aclose()


async def test_nothing_is_forced_after_close(clock: FakeTime) -> None:
    """A closed keeper fetches no more: a 401 brings None, and without a token `current` fails."""
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time)
    used = await tokens.current()
    await tokens.aclose()
    assert await tokens.replace(used) is None
    await clock.advance(4_000)
    with pytest.raises(TokenUnavailable):
        await tokens.current()
    assert len(source.calls) == 1
