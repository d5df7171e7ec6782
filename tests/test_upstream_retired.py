"""A connection whose framing is in doubt is used no more, and with it the client that holds it."""

import asyncio

import pytest

from gateway import failures
from gateway.upstream.generations import Generations
from tests.support import faults
from tests.support.engines import every_engine, fetch, opened, outbound
from tests.support.upstream import fault_upstream

AMBIGUOUS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n"


class Builds:
    """Builds clients that are just names; the next ones fail while `broken`."""

    def __init__(self) -> None:
        self.broken = False
        self.built = 0

    def __call__(self) -> str:
        if self.broken:
            raise OSError("the CA file is being replaced")
        self.built += 1
        return f"client {self.built}"


@every_engine
async def test_no_request_follows_an_ambiguous_response(engine: str) -> None:
    """Each request after an ambiguous response has another connection, however many came at once."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.on("/bad", faults.raw(AMBIGUOUS))
        for _ in range(3):
            answers = await asyncio.gather(
                *(fetch(room, outbound(b"/bad")) for _ in range(3)), return_exceptions=True
            )
            assert all(isinstance(answer, failures.BadUpstreamResponse) for answer in answers)
            doubted = {seen.connection for seen in upstream.requests if seen.path == b"/bad"}
            assert (await fetch(room))[2] == b"hello"
            assert upstream.last.connection not in doubted


BAD_WITH_AN_END = {
    "status": b"HTTP/1.1 700 Odd\r\nContent-Length: 0\r\n\r\n",
    "headers": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("case", BAD_WITH_AN_END)
async def test_a_bad_response_with_a_known_end_costs_nobody_a_connection(case: str) -> None:
    """A status or headers that are not relayed leave no doubt of what follows: it is used again."""
    async with fault_upstream() as upstream, opened("pyreqwest", upstream.origin) as room:
        upstream.on("/bad", faults.raw(BAD_WITH_AN_END[case]))
        for _ in range(10):
            with pytest.raises(failures.BadUpstreamResponse):
                await fetch(room, outbound(b"/bad"))
            assert (await fetch(room))[2] == b"hello"
        assert len(upstream.requests) == 20
        # A connection may be given back a moment later than its response was closed.
        assert upstream.connections < 10


@every_engine
async def test_what_is_under_way_goes_on(engine: str) -> None:
    """A body that streams on another connection is not cut where one connection is given up."""
    gate = asyncio.Event()
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.on("/bad", faults.raw(AMBIGUOUS))
        upstream.on("/slow", faults.gated(gate, faults.reply(200, b"slow")))
        slow = asyncio.ensure_future(fetch(room, outbound(b"/slow")))
        await upstream.received(1)
        with pytest.raises(failures.BadUpstreamResponse):
            await fetch(room, outbound(b"/bad"))
        assert (await fetch(room))[2] == b"hello"
        gate.set()
        assert (await slow)[2] == b"slow"


async def test_one_successor_for_many_doubts() -> None:
    """Doubts about a client that has gone already change nothing, and waiters share one successor."""
    builds = Builds()
    clients = Generations(builds, age=300)
    first = clients.number
    clients.retire(first)
    clients.retire(first)
    await asyncio.gather(*(clients.settled() for _ in range(5)))
    assert clients.current() == "client 2"
    clients.retire(first)
    await clients.settled()
    assert builds.built == 2
    await clients.aclose()


async def test_nothing_is_sent_without_a_successor() -> None:
    """Where none can be built, requests are unreachable, unsent, until one can."""
    builds = Builds()
    clients = Generations(builds, age=300)
    clients.retire(clients.number)
    builds.broken = True
    for _ in range(2):
        with pytest.raises(failures.UpstreamUnreachable):
            await clients.settled()
    builds.broken = False
    await clients.settled()
    assert clients.current() == "client 2"
    await clients.aclose()
