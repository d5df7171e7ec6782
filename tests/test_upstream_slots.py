"""Slots and connections of the upstream room, every engine: bounded, and none is ever lost."""

import asyncio
import random

import pytest

from gateway import failures
from gateway.upstream import Upstream
from tests.support import faults
from tests.support.engines import Upload, every_engine, fetch, opened, outbound, read_all
from tests.support.upstream import GUARD, FaultUpstream, fault_upstream


async def _all_usable(room: Upstream, upstream: FaultUpstream, slots: int) -> None:
    """Hold as many exchanges at once as there are slots, and find the next one refused."""
    gate = asyncio.Event()
    upstream.on("/held", faults.gated(gate, faults.reply(200, b"held")))
    before = len(upstream.requests)
    held = [asyncio.ensure_future(fetch(room, outbound(b"/held"))) for _ in range(slots)]
    await upstream.received(before + slots)
    with pytest.raises(failures.Overloaded):
        await fetch(room)
    gate.set()
    assert [body for _, _, body in await asyncio.gather(*held)] == [b"held"] * slots


@every_engine
async def test_no_slot_in_time_is_overloaded(engine: str) -> None:
    """With every slot taken a request waits `timeout.pool`, is refused unsent, and later ones pass."""
    times = {"pool": 0.1}
    async with fault_upstream() as upstream:
        async with opened(engine, upstream.origin, max_connections=2, timeout=times) as room:
            await _all_usable(room, upstream, 2)
            await _all_usable(room, upstream, 2)
        assert [request.path for request in upstream.requests] == [b"/held"] * 4


@every_engine
async def test_waiting_request_gets_the_next_slot(engine: str) -> None:
    """A request that waits for a slot goes out as soon as one is given back."""
    gate = asyncio.Event()
    async with (
        fault_upstream(faults.gated(gate, faults.reply(200, b"x"))) as upstream,
        opened(engine, upstream.origin, max_connections=1, timeout={"pool": 20.0}) as room,
    ):
        waiting = [asyncio.ensure_future(fetch(room)) for _ in range(5)]
        await upstream.received(1)
        gate.set()
        assert [body for _, _, body in await asyncio.gather(*waiting)] == [b"x"] * 5


@every_engine
async def test_slot_is_held_until_the_body_is_closed(engine: str) -> None:
    """A response keeps its slot while it is read; closing it, even twice, gives back one slot."""
    async with (
        fault_upstream() as upstream,
        opened(engine, upstream.origin, max_connections=1, timeout={"pool": 0.1}) as room,
    ):
        response = await room.round_trip(outbound())
        with pytest.raises(failures.Overloaded):
            await fetch(room)
        assert await read_all(response) == b"hello"
        await response.aclose()
        await _all_usable(room, upstream, 1)


@every_engine
async def test_failures_lose_no_slot(engine: str) -> None:
    """Cuts, garbage and broken uploads give their slot back."""
    async with (
        fault_upstream() as upstream,
        opened(engine, upstream.origin, max_connections=2, timeout={"pool": 0.1}) as room,
    ):
        upstream.on("/cut", faults.cut())
        upstream.on("/body", faults.cut(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"))
        upstream.on("/bad", faults.cut(b"garbage\r\n\r\n"))
        for _ in range(3):
            for path in (b"/cut", b"/body", b"/bad"):
                with pytest.raises(failures.GatewayError):
                    await fetch(room, outbound(path))
            with pytest.raises((failures.ClientLeft, failures.UpstreamConnectionLost)):
                await fetch(room, outbound(method="PUT", body=Upload(1, failure=failures.ClientLeft())))
        await _all_usable(room, upstream, 2)


@every_engine
async def test_cancel_storm_loses_no_slot(engine: str) -> None:
    """Requests cancelled while queued, connecting, waiting and reading: every slot is usable after."""
    chance = random.Random(1093)  # noqa: S311 - a seed makes a failure repeatable
    loop = asyncio.get_running_loop()
    async with (
        fault_upstream() as upstream,
        opened(engine, upstream.origin, max_connections=4, timeout={"pool": 5.0}) as room,
    ):
        upstream.on("/body", faults.Download(2_000_000, chunked=True))
        storm = []
        for number in range(300):
            task = asyncio.ensure_future(fetch(room, outbound(b"/body" if number % 3 == 0 else b"/")))
            if chance.random() < 0.7:
                loop.call_later(chance.uniform(0, 0.3), task.cancel)
            storm.append(task)
        outcomes = await asyncio.gather(*storm, return_exceptions=True)
        assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert any(isinstance(outcome, tuple) for outcome in outcomes)
        upstream.default = faults.reply(200, b"after")
        assert {(await fetch(room))[2] for _ in range(20)} == {b"after"}


@every_engine
async def test_every_slot_is_usable_after_cancellation(engine: str) -> None:
    """Cancelled while the upstream is silent, exchanges end at once and leave every slot usable."""
    async with (
        fault_upstream() as upstream,
        opened(engine, upstream.origin, max_connections=4, timeout={"pool": 0.5}) as room,
    ):
        upstream.on("/never", faults.never())
        for _ in range(2):
            before = len(upstream.requests)
            held = [asyncio.ensure_future(fetch(room, outbound(b"/never"))) for _ in range(2)]
            await upstream.received(before + 2)
            for task in held:
                task.cancel()
            ended = await asyncio.gather(*held, return_exceptions=True)
            assert all(isinstance(outcome, asyncio.CancelledError) for outcome in ended)
        await _all_usable(room, upstream, 4)


async def test_abandoned_requests_are_bounded() -> None:
    """Requests that pyreqwest cannot stop are at most as many as slots; more keep theirs to the end."""
    gate = asyncio.Event()
    async with (
        fault_upstream(faults.gated(gate, faults.reply(200, b"late"))) as upstream,
        opened("pyreqwest", upstream.origin, max_connections=2, timeout={"pool": 0.2}) as room,
    ):
        for _ in range(2):
            gate.clear()
            before = len(upstream.requests)
            for number in range(4):
                given_up = asyncio.ensure_future(fetch(room))
                await upstream.received(before + number + 1)
                given_up.cancel()
                await asyncio.wait((given_up,))
            with pytest.raises(failures.Overloaded):
                await fetch(room)
            assert len(upstream.requests) == before + 4
            gate.set()
            async with asyncio.timeout(GUARD):
                while not all([await _succeeds(room) for _ in range(20)]):
                    continue


async def _succeeds(room: Upstream) -> bool:
    try:
        await fetch(room)
    except failures.Overloaded:
        return False
    return True


@every_engine
async def test_upstream_sees_a_cancelled_download_go(engine: str) -> None:
    """Cancelling inside a body closes the connection: the upstream can stop."""
    async with (
        fault_upstream(faults.never(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")) as upstream,
        opened(engine, upstream.origin) as room,
    ):
        response = await room.round_trip(outbound())
        assert await response.read() == b"hello"
        reading = asyncio.ensure_future(read_all(response))
        await asyncio.sleep(0)
        reading.cancel()
        await upstream.idle()


@every_engine
async def test_abandoned_request_does_not_stay_for_ever(engine: str) -> None:
    """A request given up before its head leaves no connection behind, with pyreqwest after a while."""
    times = {"first_byte": 0.2, "head_total": 0.3, "read_idle": 0.3}
    async with (
        fault_upstream(faults.never()) as upstream,
        opened(engine, upstream.origin, timeout=times) as room,
    ):
        with pytest.raises(failures.UpstreamTimeout):
            await fetch(room)
        task = asyncio.ensure_future(fetch(room))
        await upstream.received(2)
        task.cancel()
        await upstream.idle()


@every_engine
async def test_cancelled_upload_is_never_completed(engine: str) -> None:
    """Given up in the middle of an upload, a request ends broken, and no more is asked of the app."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upload = Upload(1_000_000)
        task = asyncio.ensure_future(fetch(room, outbound(method="POST", body=upload)))
        (request,) = await upstream.received(1)
        task.cancel()
        async with asyncio.timeout(GUARD):
            await request.over.wait()
        assert not request.complete
