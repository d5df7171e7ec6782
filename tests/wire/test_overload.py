"""Ten times as many requests as may be under way: those are served, the others are told so at once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from tests.support import faults
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.raw import RawClient, RawResponse
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import IMPORT, TWIN, admin, connected, error_of, request, sample, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOTS = 4
QUEUED = 4
AGES = 600.0


@asynccontextmanager
async def busy(upstream: FaultUpstream, engine: str, gate: asyncio.Event) -> AsyncIterator[RunningGateway]:
    """A gateway whose slots and queue are full until the gate opens."""
    upstream.on("/held", faults.gated(gate, faults.reply(200, b"held")))
    settings = {
        "engine": engine,
        "max_connections": SLOTS,
        "max_queued": QUEUED,
        "timeout": {"pool": AGES},
    }
    async with running_gateway(upstream.origin, upstream=settings) as gateway, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(gateway)) for _ in range(SLOTS + QUEUED)]
        for client in clients:
            await client.send(request("/held"))
        await upstream.received(SLOTS)

        async def queued() -> bool:
            under_way = await sample(gateway, 'http_server_active_requests{http_request_method="GET"}')
            return under_way >= SLOTS + QUEUED

        await until(queued)
        yield gateway
        gate.set()
        answers = [await client.response() for client in clients]
        assert [answer.body for answer in answers] == [b"held"] * (SLOTS + QUEUED)


def assert_shed(response: RawResponse) -> None:
    """An answer that says when to come again, and that nothing was sent."""
    assert error_of(response)["code"] == "GatewayOverloaded"
    assert (response.status, response.value(b"retry-after")) == (503, b"1")


async def test_excess_is_refused_at_once(engine: str, upstream: FaultUpstream) -> None:
    """With slots and queue full each further request gets 503 and never reaches the upstream."""
    gate = asyncio.Event()
    async with busy(upstream, engine, gate) as gateway, connected(gateway) as client:
        for _ in range(10 * SLOTS):
            await client.send(request(TWIN))
            shed = await client.response()
            assert_shed(shed)
            # One connection for all of them: to connect anew would cost more than the answer.
            assert shed.value(b"connection") is None
        assert (await admin(gateway, "/readyz")).status == 200
        assert (await admin(gateway, "/metrics")).status == 200
    assert Counter(seen.path for seen in upstream.requests) == {b"/held": SLOTS + QUEUED}


async def test_excess_is_refused_before_its_body_is_read(engine: str, upstream: FaultUpstream) -> None:
    """A request with a body is refused on its head alone, and its connection ends."""
    async with busy(upstream, engine, asyncio.Event()) as gateway:
        for method in ("PUT", "POST", "PATCH"):
            async with connected(gateway) as client:
                await client.send(request(TWIN, method, [(b"content-length", b"1000")]))
                shed = await client.response()
                assert_shed(shed)
                assert shed.value(b"connection") == b"close"
                assert await client.closed()


async def test_jobs_are_asked_for_only_with_a_connection(engine: str, upstream: FaultUpstream) -> None:
    """A jobs request, which has waits of its own before it, is refused where it would go out."""
    async with busy(upstream, engine, asyncio.Event()) as gateway, connected(gateway) as client:
        await client.send(request(IMPORT))
        assert_shed(await client.response())
    assert {seen.path for seen in upstream.requests} == {b"/held"}


async def test_slow_uploads_leave_room(engine: str, upstream: FaultUpstream) -> None:
    """Large bodies that come slowly hold three connections of four at most: all other requests go on."""
    settings = {"engine": engine, "max_connections": SLOTS, "max_queued": 0}
    limits = {"replay_body": 10}
    head = request("/slow", "PUT", [(b"content-length", b"1000")])

    async def when_it_is_here(call: Call) -> None:
        await call.body()
        await faults.reply(204, b"")(call)

    upstream.on("/slow", when_it_is_here)
    async with (
        running_gateway(upstream.origin, upstream=settings, limits=limits) as gateway,
        AsyncExitStack() as stack,
    ):
        for _ in range(SLOTS - 1):
            client = await stack.enter_async_context(connected(gateway))
            await client.send(head + b"x" * 100)
        await upstream.received(SLOTS - 1)
        async with connected(gateway) as late:
            await late.send(head + b"x" * 100)
            shed = await late.response()
            assert_shed(shed)
            assert "that large uploads may have" in error_of(shed)["message"]
        async with connected(gateway) as client:
            for _ in range(10):
                await client.send(request(TWIN))
                assert (await client.response()).status == 200


async def test_goodput(engine: str, upstream: FaultUpstream) -> None:
    """Under ten times the load all slots stay at work: each round serves as many as there are slots."""
    rounds = 10
    arrived = asyncio.Semaphore(0)
    turns = asyncio.Semaphore(0)

    async def in_turn(call: Call) -> None:
        arrived.release()
        await turns.acquire()
        await faults.reply(200, b"served")(call)

    upstream.default = in_turn
    settings = {"engine": engine, "max_connections": SLOTS, "max_queued": QUEUED, "timeout": {"pool": AGES}}
    told: Counter[int] = Counter()

    async def insist(client: RawClient) -> None:
        while True:
            await client.send(request(TWIN))
            response = await client.response()
            told[response.status] += 1
            if response.status == 200:
                return
            await asyncio.sleep(0.01)

    async with running_gateway(upstream.origin, upstream=settings) as gateway, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connected(gateway)) for _ in range(SLOTS * rounds)]
        insisting = asyncio.gather(*map(insist, clients))
        for _ in range(rounds):
            async with asyncio.timeout(20):
                for _ in range(SLOTS):
                    await arrived.acquire()
            for _ in range(SLOTS):
                turns.release()
        await insisting
    assert told[200] == SLOTS * rounds
    assert set(told) == {200, 503}
    assert len(upstream.requests) == SLOTS * rounds
