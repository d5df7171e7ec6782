"""How long connections to the upstream are used: pyreqwest's client gets a successor, unnoticed."""

import asyncio
import itertools
import logging
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial

import pytest
from pyreqwest.client import Client

from gateway.config import Upstream as UpstreamSettings
from gateway.upstream import Deadlines, Upstream
from gateway.upstream.generations import Generations
from gateway.upstream.pyreqwest_client import build_client
from gateway.upstream.pyreqwest_engine import PyreqwestEngine
from gateway.upstream.slots import Slots
from tests.support import faults
from tests.support.engines import fetch, outbound, read_all
from tests.support.timers import FakeTimers
from tests.support.upstream import GUARD, FaultUpstream, fault_upstream

AGE = 300.0


@asynccontextmanager
async def aged(
    upstream: FaultUpstream, timers: FakeTimers, build: "Callable[[], Client] | None" = None
) -> AsyncIterator[tuple[Upstream, Generations[Client]]]:
    """The upstream's room with pyreqwest, whose connections' age is counted on `timers`."""
    settings = UpstreamSettings(base_url=upstream.origin)
    clients = Generations(
        build or partial(build_client, settings, user_agent="test"),
        age=AGE,
        timers=timers,
        chance=lambda: 0.0,
    )
    room = Upstream(
        PyreqwestEngine(upstream.origin, clients),
        slots=Slots(10, max_queued=0, wait=1.0),
        uploads=Slots(10, max_queued=0, wait=1.0),
        deadlines=Deadlines(GUARD, GUARD, GUARD, GUARD),
    )
    try:
        yield room, clients
    finally:
        await room.aclose()


async def changed(clients: Generations[Client], before: Client) -> None:
    """Wait until another client is in use."""
    async with asyncio.timeout(GUARD):
        while clients.current() is before:  # noqa: ASYNC110 - a thread sets no event
            await asyncio.sleep(0.001)


async def test_a_connection_is_used_for_its_age_and_closed_after() -> None:
    """Up to its age a connection is used again; then it is closed, and the next request opens a new one."""
    timers = FakeTimers()
    async with fault_upstream() as upstream, aged(upstream, timers) as (room, clients):
        for _ in range(3):
            await fetch(room)
        timers.advance(AGE - 0.001)
        await fetch(room)
        assert (upstream.connections, upstream.open) == (1, 1)
        first = clients.current()
        timers.advance(0.001)
        await changed(clients, first)
        del first
        await upstream.idle()
        await fetch(room)
        assert (upstream.connections, upstream.open) == (2, 1)


async def test_what_is_in_flight_comes_to_its_end() -> None:
    """What is under way when its connection's age is up is not cut; the connection goes when it is over."""
    gate = asyncio.Event()
    timers = FakeTimers()
    async with fault_upstream() as upstream, aged(upstream, timers) as (room, clients):
        upstream.on("/head", faults.gated(gate, faults.reply(200, b"late head")))
        upstream.on("/body", faults.Download(4_000_000))
        held = asyncio.ensure_future(fetch(room, outbound(b"/head")))
        response = await room.round_trip(outbound(b"/body"))
        await upstream.received(2)
        first = clients.current()
        timers.advance(AGE)
        await changed(clients, first)
        del first
        await fetch(room)
        assert upstream.open == 3
        gate.set()
        assert (await held)[2] == b"late head"
        assert len(await read_all(response)) == 4_000_000
        del response
        async with asyncio.timeout(GUARD):
            while upstream.open > 1:  # noqa: ASYNC110 - the upstream tells only when all are gone
                await asyncio.sleep(0.001)


async def test_no_request_waits_for_the_next_client() -> None:
    """While the next client is being made requests go out through the one before."""
    timers, made = FakeTimers(), threading.Event()
    first = True

    async with fault_upstream() as upstream:
        settings = UpstreamSettings(base_url=upstream.origin)

        def build() -> Client:
            nonlocal first
            if not first:
                made.wait(GUARD)
            first = False
            return build_client(settings, user_agent="test")

        async with aged(upstream, timers, build) as (room, clients):
            before = clients.current()
            timers.advance(AGE)
            for _ in range(5):
                await fetch(room)
            assert clients.current() is before
            assert upstream.connections == 1
            made.set()
            await changed(clients, before)


async def test_no_request_fails_of_a_change() -> None:
    """Requests of every method go on through one change after the other, and none of them fails."""
    timers = FakeTimers()
    async with fault_upstream() as upstream, aged(upstream, timers) as (room, clients):
        for _ in range(5):
            before = clients.current()
            timers.advance(AGE)
            while clients.current() is before:
                asked = [outbound(method=method, body=b"x") for method in ("GET", "PUT", "POST") * 3]
                answers = await asyncio.gather(*(fetch(room, each) for each in asked))
                assert {status for status, _, _ in answers} == {200}
            del before


async def test_a_client_that_cannot_be_made(caplog: pytest.LogCaptureFixture) -> None:
    """Where the next client cannot be made the one before stays for another age, and the log says so."""
    timers = FakeTimers()
    numbers = itertools.count()

    def build() -> int:
        number = next(numbers)
        if number == 1:
            raise OSError("the CA file is gone")
        return number

    clients = Generations(build, age=AGE, timers=timers, chance=lambda: 0.0)
    assert clients.current() == 0
    with caplog.at_level(logging.WARNING):
        timers.advance(AGE)
        async with asyncio.timeout(GUARD):
            while not caplog.records:  # noqa: ASYNC110 - a thread sets no event
                await asyncio.sleep(0.001)
    assert [record.message for record in caplog.records] == ["upstream client not renewed"]
    assert vars(caplog.records[0])["reason"] == "the CA file is gone"
    assert clients.current() == 0
    timers.advance(AGE)
    async with asyncio.timeout(GUARD):
        while clients.current() != 2:  # noqa: ASYNC110 - a thread sets no event
            await asyncio.sleep(0.001)
    await clients.aclose()


@pytest.mark.parametrize(("chance", "age"), [(0.0, 300.0), (0.5, 285.0), (1.0, 270.0)])
async def test_the_age_is_up_to_a_tenth_shorter(chance: float, age: float) -> None:
    """Gateways that started together do not all connect anew together, and none later than the age."""
    timers = FakeTimers()
    numbers = itertools.count()
    clients = Generations(lambda: next(numbers), age=AGE, timers=timers, chance=lambda: chance)
    clients.current()
    timers.advance(age - 0.001)
    assert timers.armed == 1
    timers.advance(0.001)
    assert timers.armed == 0
    await clients.aclose()


async def test_without_requests_there_is_nothing_to_do() -> None:
    """A client that is not used is not replaced: no timer runs."""
    timers = FakeTimers()
    numbers = itertools.count()
    clients = Generations(lambda: next(numbers), age=AGE, timers=timers)
    await timers.elapse(10 * AGE)
    assert timers.armed == 0
    assert clients.current() == 0
    assert timers.armed == 1
    await clients.aclose()
    assert timers.armed == 0


async def test_the_end_does_not_wait_for_the_next_client() -> None:
    """Closed while the next client is being made, nothing is left behind."""
    timers, made = FakeTimers(), threading.Event()
    numbers = itertools.count()

    def build() -> int:
        number = next(numbers)
        if number:
            made.wait(GUARD)
        return number

    clients = Generations(build, age=AGE, timers=timers)
    clients.current()
    tasks = asyncio.all_tasks()
    timers.advance(AGE)
    await asyncio.sleep(0)
    assert await clients.aclose() == 0
    assert asyncio.all_tasks() == tasks
    made.set()
