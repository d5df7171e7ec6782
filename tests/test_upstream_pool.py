"""The connections of the asyncio engine: how long they are used, kept and believed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway import failures
from gateway.upstream import Deadlines, Upstream
from gateway.upstream.asyncio_engine import AsyncioEngine
from gateway.upstream.dialling import Dialler, Peer
from gateway.upstream.pool import Pool
from gateway.upstream.slots import Slots
from tests.support import faults
from tests.support.engines import fetch, opened, outbound, read_all
from tests.support.timers import FakeTimers
from tests.support.upstream import GUARD, Call, FaultUpstream, fault_upstream

AGE, IDLE = 300.0, 30.0


@asynccontextmanager
async def timed(upstream: FaultUpstream, timers: FakeTimers, chance: float = 0.0) -> AsyncIterator[Upstream]:
    """The upstream's room with the asyncio engine, whose connections age on `timers`."""
    pool = Pool(idle=IDLE, age=AGE, timers=timers, chance=lambda: chance)
    room = Upstream(
        AsyncioEngine(Dialler(Peer(upstream.origin), None, trust=None, timeout=5.0), pool),
        slots=Slots(10, max_queued=0, wait=1.0),
        uploads=Slots(10, max_queued=0, wait=1.0),
        deadlines=Deadlines(first_byte=5.0, query_first_byte=5.0, head_total=5.0, read_idle=5.0),
    )
    try:
        yield room
    finally:
        await room.aclose()


async def test_the_newest_goes_first_and_the_others_grow_old() -> None:
    """After a crowd of requests one connection carries the few, and the rest is closed unused."""
    timers, gate = FakeTimers(), asyncio.Event()
    async with (
        fault_upstream(faults.gated(gate, faults.reply())) as upstream,
        timed(upstream, timers) as room,
    ):
        crowd = [asyncio.ensure_future(fetch(room)) for _ in range(5)]
        await upstream.received(5)
        gate.set()
        await asyncio.gather(*crowd)
        for _ in range(3):
            timers.advance(IDLE / 2)
            await fetch(room)
        async with asyncio.timeout(GUARD):
            while upstream.open > 1:  # noqa: ASYNC110 - a connection's end has no event of its own
                await asyncio.sleep(0.005)
        assert upstream.connections == 5


@pytest.mark.parametrize(("chance", "lasts"), [(0.0, AGE), (1.0, 0.9 * AGE)])
async def test_a_connection_is_used_for_a_while_only(chance: float, lasts: float) -> None:
    """At its age, less up to a tenth, a connection is replaced, however busy it is."""
    timers = FakeTimers()
    async with fault_upstream() as upstream, timed(upstream, timers, chance) as room:
        await fetch(room)
        for _ in range(19):
            timers.advance(lasts / 20)
            await fetch(room)
        assert upstream.connections == 1
        timers.advance(lasts / 20)
        await fetch(room)
        assert upstream.connections == 2


async def test_an_answer_under_way_outlives_the_age() -> None:
    """A connection that carries something is not cut because it is old."""
    timers, gate = FakeTimers(), asyncio.Event()
    slow = faults.first(
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", faults.gated(gate, faults.raw(b"slow"))
    )
    async with fault_upstream(slow) as upstream, timed(upstream, timers) as room:
        response = await room.round_trip(outbound())
        timers.advance(2 * AGE)
        gate.set()
        assert await read_all(response) == b"slow"


async def test_what_nobody_asked_for_ends_a_connection() -> None:
    """Bytes that come between two exchanges are never the next one's answer."""
    more = asyncio.Event()

    async def answer_twice(call: Call) -> None:
        await faults.reply(200, b"asked for")(call)
        await more.wait()
        await call.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged")
        await call.gone()

    async with fault_upstream() as upstream, opened("asyncio", upstream.origin) as room:
        upstream.on("/twice", answer_twice)
        assert (await fetch(room, outbound(b"/twice")))[2] == b"asked for"
        more.set()
        await upstream.idle()
        assert (await fetch(room))[2] == b"hello"
        assert upstream.connections == 2


@pytest.mark.parametrize("declared", [b"4", b"6", b"x"])
async def test_a_body_of_another_length_is_not_sent(declared: bytes) -> None:
    """What is left over of a body would be a request; nothing of it goes out."""
    async with fault_upstream() as upstream, opened("asyncio", upstream.origin) as room:
        wrong = outbound(method="PUT", headers=[(b"content-length", declared)], body=b"12345")
        with pytest.raises(failures.RequestInvalid):
            await fetch(room, wrong)
        assert upstream.connections == 0


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r", b"\0"])
@pytest.mark.parametrize("place", ["target", "name", "value", "authorization"])
async def test_no_line_becomes_two(place: str, end: bytes) -> None:
    """Whatever is in a request, nothing of it is sent as a header or a request of its own."""
    parts = {
        name: b"/" if name == "target" else b"x" for name in ("target", "name", "value", "authorization")
    }
    parts[place] += end + b"X-Forged: 1"
    forged = outbound(
        parts["target"],
        headers=[(parts["name"], parts["value"])],
        authorization=parts["authorization"].decode(),
    )
    async with fault_upstream() as upstream, opened("asyncio", upstream.origin) as room:
        with pytest.raises(failures.RequestInvalid):
            await fetch(room, forged)
        assert upstream.connections == 0
