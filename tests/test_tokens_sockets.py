"""The state machine on a real clock and a real token endpoint: cold start, outage, rotation, bursts."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.failures import TokenUnavailable
from gateway.tokens import Tokens
from tests.support.issuer import Issuer
from tests.support.token_sources import FakeTime, landed, oauth2_source


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as running:
        yield running


async def test_cold_start_is_one_token_request(issuer: Issuer) -> None:
    """500 callers at a cold start make one token request, also where the issuer takes its time."""
    issuer.gate = asyncio.Event()
    tokens = Tokens(oauth2_source(issuer))
    tokens.start()
    callers = [asyncio.create_task(tokens.current()) for _ in range(500)]
    await issuer.asked.wait()
    issuer.gate.set()
    assert {token.value for token in await asyncio.gather(*callers)} == {"issued-1"}
    assert issuer.requests == 1
    await tokens.aclose()


async def test_cold_start_with_a_broken_issuer_is_one_token_request(issuer: Issuer) -> None:
    """500 callers against a failing issuer make one token request and all get the same answer."""
    issuer.status, issuer.headers = 503, {"retry-after": "7"}
    tokens = Tokens(oauth2_source(issuer), time=FakeTime().time)
    results = await asyncio.gather(*(tokens.current() for _ in range(500)), return_exceptions=True)
    assert {type(result) for result in results} == {TokenUnavailable}
    assert {getattr(result, "retry_after", None) for result in results} == {7}
    assert issuer.requests == 1
    await tokens.aclose()


async def test_outage_and_recovery(issuer: Issuer) -> None:
    """An issuer that comes back is found by the next try in the background."""
    clock = FakeTime()
    tokens = Tokens(oauth2_source(issuer), time=clock.time)
    issuer.raw = b""
    with pytest.raises(TokenUnavailable):
        await tokens.current()
    issuer.raw = None
    await clock.advance(2)
    await landed()
    assert tokens.ready
    assert issuer.requests == 2
    await tokens.aclose()


async def test_burst_of_401_is_one_token_request(issuer: Issuer) -> None:
    """200 refused callers make one token request."""
    tokens = Tokens(oauth2_source(issuer))
    used = await tokens.current()
    got = await asyncio.gather(*(tokens.replace(used) for _ in range(200)))
    assert {token.value for token in got if token is not None} == {"issued-2"}
    assert issuer.requests == 2
    await tokens.aclose()


@pytest.mark.slow
async def test_short_lived_token_has_no_gap(issuer: Issuer) -> None:
    """A token that lives 2 s is rotated on time for seconds on end, one request per rotation."""
    issuer.expires_in = 2
    loop = asyncio.get_running_loop()
    tokens = Tokens(oauth2_source(issuer))
    tokens.start()
    started = loop.time()
    used = set()
    while loop.time() < started + 6:
        used.add((await tokens.current()).value)
        await asyncio.sleep(0.005)
    assert len(used) >= 5
    assert issuer.requests == len(used)
    assert tokens.state().failures == 0
    await tokens.aclose()
