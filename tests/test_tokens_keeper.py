"""The state machine: who waits for what, when the token is renewed, and what happens when it cannot be."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from gateway.failures import TokenUnavailable
from gateway.tokens import FetchedToken, Reason, SourceError, Tokens
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


async def test_cold_start_is_one_fetch(tokens: Tokens, source: ScriptedSource) -> None:
    """500 callers at a cold start share one fetch."""
    got = await asyncio.gather(*(tokens.current() for _ in range(500)))
    assert {token.value for token in got} == {"token-1"}
    assert len(source.calls) == 1


async def test_start_waits_for_nobody(tokens: Tokens, source: ScriptedSource) -> None:
    """`start` begins the first fetch in the background, and readiness follows it."""
    source.gate = asyncio.Event()
    tokens.start()
    await source.asked.wait()
    assert not tokens.state().valid
    source.gate.set()
    assert (await tokens.current()).value == "token-1"
    assert tokens.ready
    assert len(source.calls) == 1


async def test_fetch_outlives_its_first_caller(tokens: Tokens, source: ScriptedSource) -> None:
    """The caller that set off the fetch may be cancelled without failing the others."""
    source.gate = asyncio.Event()
    leader = asyncio.create_task(tokens.current())
    await source.asked.wait()
    follower = asyncio.create_task(tokens.current())
    await settle()
    leader.cancel()
    await asyncio.wait((leader,))
    source.gate.set()
    assert leader.cancelled()
    assert (await follower).value == "token-1"
    assert len(source.calls) == 1


async def test_valid_token_costs_no_fetch(tokens: Tokens, source: ScriptedSource) -> None:
    """A valid token is handed out again and again without asking the source."""
    first = await tokens.current()
    assert all([await tokens.current() is first for _ in range(100)])
    assert len(source.calls) == 1


async def test_refresh_at_half_life(tokens: Tokens, clock: FakeTime, source: ScriptedSource) -> None:
    """The successor is fetched in the background by half-life, never much before."""
    await tokens.current()
    await clock.advance(3_600 * 0.45 - 1)
    assert len(source.calls) == 1
    await clock.advance(3_600 * 0.05 + 1)
    assert [renew for _, renew in source.calls] == [False, False]
    assert (await tokens.current()).value == "token-2"


async def test_refresh_when_the_issuer_wishes(clock: FakeTime) -> None:
    """`refresh_in` decides over half-life, and one beyond expiry is ignored."""
    source = ScriptedSource(answers=[FetchedToken("a", 3_600, 100), FetchedToken("b", 3_600, 9_999)])
    tokens = Tokens(source, time=clock.time)
    await tokens.current()
    await clock.advance(100)
    assert (await tokens.current()).value == "b"
    await clock.advance(1_800)
    assert len(source.calls) == 3
    await tokens.aclose()


async def test_unknown_life_counts_as_five_minutes(clock: FakeTime) -> None:
    """A token without `expires_in` is taken to live 300 s."""
    tokens = Tokens(ScriptedSource(life=None), time=clock.time)
    assert (await tokens.current()).expires_at == clock.monotonic + 300
    await tokens.aclose()


@pytest.mark.parametrize("life", [2.0, 1.0, 10.0])
async def test_short_life_under_load_has_no_gap(clock: FakeTime, life: float) -> None:
    """A token that lives seconds is always replaced before it expires, one fetch per rotation."""
    source = ScriptedSource(life=life)
    tokens = Tokens(source, time=clock.time)
    tokens.start()
    for _ in range(6_000):
        assert (await tokens.current()).expires_at > clock.monotonic
        await clock.advance(0.005)
    assert len(source.calls) <= 30 / (life * 0.45) + 2
    await tokens.aclose()


@pytest.mark.parametrize("jump", [3_600, -3_600, 86_400, -86_400])
async def test_wall_clock_jumps_change_nothing(
    tokens: Tokens, clock: FakeTime, source: ScriptedSource, jump: float
) -> None:
    """A wall clock that jumps neither ends a token's life, nor lengthens it, nor sets off refreshes."""
    await tokens.current()
    clock.wall += jump
    await clock.advance(1_600)
    assert (await tokens.current()).value == "token-1"
    assert len(source.calls) == 1
    source.broken = DOWN
    await clock.advance(2_000)
    with pytest.raises(TokenUnavailable):
        await tokens.current()


async def test_same_token_again_is_asked_for_less_and_less_often(clock: FakeTime) -> None:
    """A source that repeats its token with the true rest of its life is not asked in a storm."""
    end = clock.monotonic + 3_600
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time)
    while clock.monotonic < end - 1:
        source.answers = [FetchedToken("same", end - clock.monotonic)]
        await tokens.current()
        await clock.advance(1)
    assert len(source.calls) < 40
    await tokens.aclose()


async def test_token_for_ever_needs_no_timer(clock: FakeTime) -> None:
    """A token that does not expire is never refreshed."""
    tokens = Tokens(ScriptedSource(life=float("inf")), time=clock.time)
    assert (await tokens.current()).expires_on is None
    assert clock.timers == 0
    await tokens.aclose()


async def test_close_ends_everything(clock: FakeTime) -> None:
    """Closing cancels the fetch under way, fails those who wait for it, and closes the source."""
    source = ScriptedSource(gate=asyncio.Event())
    tokens = Tokens(source, time=clock.time)
    waiting = asyncio.create_task(tokens.current())
    await source.asked.wait()
    await tokens.aclose()
    with pytest.raises(TokenUnavailable) as caught:
        await waiting
    assert caught.value.inner == "Closed"
    assert source.closed
    assert clock.timers == 0


class StubbornSource(ScriptedSource):
    """Answers when it is cancelled, as a library may that swallows the cancellation."""

    async def fetch(self, *, claims: str | None, renew: bool) -> FetchedToken:
        with suppress(asyncio.CancelledError):
            await super().fetch(claims=claims, renew=renew)
        return FetchedToken("late", 60)


async def test_close_leaves_no_timer(clock: FakeTime) -> None:
    """Even a source that cannot be cancelled leaves nothing behind that would wake later."""
    source = StubbornSource(gate=asyncio.Event())
    tokens = Tokens(source, time=clock.time)
    tokens.start()
    await source.asked.wait()
    await tokens.aclose()
    assert clock.timers == 0
