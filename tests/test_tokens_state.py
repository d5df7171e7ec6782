"""What is told of the refreshes: metrics, spans, the status page, the log."""

import contextvars
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from structlog.testing import capture_logs

from gateway.failures import TokenUnavailable
from gateway.tokens import FetchedToken, Reason, RefreshOutcome, SourceError, Token, Tokens
from tests.support.token_sources import FakeTime, ScriptedSource

DOWN = SourceError(Reason.ISSUER_TIMEOUT, "The token endpoint did not answer.")


@pytest.fixture
def clock() -> FakeTime:
    return FakeTime()


async def test_each_refresh_is_told_once(clock: FakeTime) -> None:
    """`on_refresh` hears of every refresh with its result and the expiry of the token now held."""
    heard: list[RefreshOutcome] = []
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time, on_refresh=heard.append)
    await tokens.current()
    expiry = clock.wall + 3_600
    source.broken = DOWN
    await clock.advance(1_800)
    assert heard[0] == RefreshOutcome("oauth2", "success", 0.0, expiry)
    assert {(told.result, told.expires_on) for told in heard[1:]} == {("failure", expiry)}
    assert len(heard) == len(source.calls)
    await tokens.aclose()


async def test_each_refresh_runs_inside_its_context(clock: FakeTime) -> None:
    """`around` encloses every fetch, is named after the source, and sees the failure."""
    told: list[str] = []

    @contextmanager
    def around(name: str) -> Iterator[None]:
        told.append(f"{name} begins")
        try:
            yield
        except SourceError as error:
            told.append(f"{name} fails: {error.reason}")
            raise
        told.append(f"{name} ends")

    source = ScriptedSource(answers=[DOWN])
    tokens = Tokens(source, time=clock.time, around=around)
    with pytest.raises(TokenUnavailable):
        await tokens.current()
    await clock.advance(2)
    assert told == ["oauth2 begins", "oauth2 fails: IssuerTimeout", "oauth2 begins", "oauth2 ends"]
    await tokens.aclose()


async def test_refresh_belongs_to_no_request(clock: FakeTime) -> None:
    """The fetch runs outside the context of the request that needed it, so its span starts a trace."""
    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")
    seen: list[str] = []

    def around(_: str) -> AbstractContextManager[None]:
        seen.append(request.get())
        return contextmanager(lambda: iter([None]))()

    tokens = Tokens(ScriptedSource(), time=clock.time, around=around)
    request.set("mine")
    await tokens.current()
    assert seen == ["none"]
    await tokens.aclose()


async def test_fault_of_the_context_does_not_stop_refreshing(clock: FakeTime) -> None:
    """A span that cannot be made is one failed refresh, tried again later."""
    faults = [ZeroDivisionError()]

    @contextmanager
    def around(_: str) -> Iterator[None]:
        if faults:
            raise faults.pop()
        yield

    tokens = Tokens(ScriptedSource(), time=clock.time, around=around)
    with pytest.raises(TokenUnavailable) as caught:
        await tokens.current()
    assert caught.value.inner == "Internal"
    await clock.advance(2)
    assert tokens.ready
    await tokens.aclose()


async def test_state_before_during_and_after(clock: FakeTime) -> None:
    """The snapshot says what is held, how the last refresh ended, and when the next is due."""
    source = ScriptedSource()
    tokens = Tokens(source, time=clock.time)
    blank = tokens.state()
    assert (blank.valid, blank.result, blank.refreshed_on, blank.next_try_in) == (False, None, None, None)
    fetched_on = clock.wall
    await tokens.current()
    await clock.advance(60)
    good = tokens.state()
    assert (good.valid, good.result, good.reason, good.failures) == (True, "success", None, 0)
    assert (good.expires_in, good.expires_on, good.refreshed_on) == (3_540, fetched_on + 3_600, fetched_on)
    assert good.next_try_in is not None
    assert 1_500 < good.next_try_in <= 1_740
    source.broken = DOWN
    await clock.advance(3_540)
    bad = tokens.state()
    assert (bad.valid, bad.result, bad.reason, bad.expires_on) == (False, "failure", "IssuerTimeout", None)
    assert bad.message == DOWN.message
    assert bad.failures > 10
    assert bad.next_try_in is not None
    await tokens.aclose()


async def test_outage_is_logged_once_and_its_end_once(clock: FakeTime) -> None:
    """One warning when refreshes begin to fail, one info when they work again, however many tries."""
    source = ScriptedSource(broken=DOWN)
    with capture_logs() as lines:
        tokens = Tokens(source, time=clock.time)
        tokens.start()
        await clock.advance(0)
        await clock.advance(600)
        source.broken = None
        await clock.advance(60)
        await tokens.aclose()
    assert [line["log_level"] for line in lines] == ["warning", "info"]
    assert lines[0]["reason"] == "IssuerTimeout"
    assert lines[1]["failures"] > 10


def test_repr_masks_the_token(clock: FakeTime) -> None:
    """No repr of a token shows its value."""
    fetched = FetchedToken("canary", 60)
    token = Token("canary", "oauth2", 1, 1, 1, 1)
    shown = json.dumps([repr(fetched), repr(token), str(token), f"{fetched}"])
    assert "canary" not in shown
