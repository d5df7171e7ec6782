"""Connections that the upstream ends: one that was announced as the last use of it is not used again."""

import asyncio

import pytest

from gateway import failures
from gateway.upstream.generations import Generations
from tests.support import faults
from tests.support.engines import every_engine, fetch, keeping_engines, opened, outbound
from tests.support.upstream import GUARD, fault_upstream


@every_engine
async def test_an_announced_end_fails_no_request(engine: str) -> None:
    """An upstream that says `Connection: close` gets each request on a fresh connection; no write fails."""
    closing = faults.closing(faults.reply(200, b"last", [(b"Connection", b"close")]))
    async with fault_upstream(closing) as upstream, opened(engine, upstream.origin) as room:
        for method in ("POST", "PUT", "PATCH", "GET") * 5:
            status, _, body = await fetch(room, outbound(method=method, body=b"{}"))
            assert (status, body) == (200, b"last")
        assert upstream.connections == len(upstream.requests) == 20


@keeping_engines
async def test_an_idle_connection_is_closed_before_the_upstream_does(engine: str) -> None:
    """After `pool_idle`, and only then, a connection is not used again; httpx uses none twice.

    So a write meets none that the upstream has ended.
    """
    post = outbound(method="POST", body=b"{}")
    async with fault_upstream() as upstream:
        async with opened(engine, upstream.origin, pool_idle=60) as room:
            await fetch(room, post)
            await fetch(room, post)
            assert upstream.connections == 1
        async with opened(engine, upstream.origin, pool_idle=0.05) as room:
            await fetch(room, post)
            await upstream.idle()
            await fetch(room, post)
            assert upstream.connections == 3


@keeping_engines
async def test_only_a_connection_that_may_have_been_kept_is_told_as_such(engine: str) -> None:
    """What the first request of a client meets was never used before; after an answer it may have been."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.on("/cut", faults.cut())
        for _ in range(3):
            with pytest.raises(failures.UpstreamConnectionLost) as fresh:
                await fetch(room, outbound(b"/cut"))
            assert type(fresh.value) is failures.UpstreamConnectionLost
        await fetch(room)
        with pytest.raises(failures.KeptConnectionLost):
            await fetch(room, outbound(b"/cut"))


async def test_no_connection_is_kept_where_none_is_used_twice() -> None:
    """The httpx engine never says so."""
    async with fault_upstream() as upstream, opened("httpx", upstream.origin) as room:
        upstream.on("/cut", faults.cut())
        await fetch(room)
        with pytest.raises(failures.UpstreamConnectionLost) as lost:
            await fetch(room, outbound(b"/cut"))
        assert type(lost.value) is failures.UpstreamConnectionLost


async def test_a_successor_has_kept_nothing() -> None:
    """A client that replaces another has had no answer, whatever that one still gets."""
    numbers = iter(range(3))
    clients = Generations(lambda: next(numbers), age=300)
    first = clients.number
    told = [clients.used]
    clients.note_used(first)
    told.append(clients.used)
    clients.retire(first)
    await asyncio.wait_for(clients.settled(), GUARD)
    told.append(clients.used)
    clients.note_used(first)
    told.append(clients.used)
    clients.note_used(clients.number)
    told.append(clients.used)
    await clients.aclose()
    assert told == [False, True, False, False, True]
