"""Deadlines of a request's head and body on a connection that carries several, pipelined or in turn."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.support import faults
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.raw import RawClient
from tests.support.upstream import FaultUpstream
from tests.support.wire import TWIN, connected, refused, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

HALF, REST = b"GET /second HTTP/1.1\r\nHost: local", b"host\r\n\r\n"
CHUNKED = b"PUT /digitaltwins/t1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


async def _silence_ended(gateway: RunningGateway) -> None:
    """Wait as long as the gateway waits for a head: until it closes a connection that says nothing."""
    async with connected(gateway) as silent:
        assert await silent.closed()


def _held(upstream: FaultUpstream) -> asyncio.Event:
    """The first request's answer waits for this."""
    gate = asyncio.Event()
    upstream.on("/digitaltwins/t1", faults.gated(gate, faults.reply(200, b"first")))
    return gate


async def test_half_a_head_behind_a_request(upstream: FaultUpstream) -> None:
    """A second head that never ends gets 408 behind the first answer, although no byte comes any more."""
    gate = _held(upstream)
    limits = {"head_timeout": 0.3}
    async with running_gateway(upstream.origin, limits=limits) as gateway, connected(gateway) as client:
        await client.send(request() + HALF)
        await _silence_ended(gateway)
        gate.set()
        assert (await client.response()).body == b"first"
        refused(await client.response(), 408, "GatewayRequestTimeout")
        assert await client.closed()
    assert [seen.path for seen in upstream.requests] == [b"/digitaltwins/t1"]


async def test_half_a_head_while_nothing_is_read(upstream: FaultUpstream) -> None:
    """While the gateway itself reads no further, a head's time does not run."""
    gate = _held(upstream)
    limits = {"head_timeout": 0.3}
    async with running_gateway(upstream.origin, limits=limits) as gateway, connected(gateway) as client:
        await client.send(request() + request("/next") + HALF)
        await upstream.received(1)
        await _silence_ended(gateway)
        await _silence_ended(gateway)
        gate.set()
        assert (await client.response()).body == b"first"
        await client.send(REST)
        assert [(await client.response()).status for _ in range(2)] == [200, 200]
    assert [seen.path for seen in upstream.requests] == [b"/digitaltwins/t1", b"/next", b"/second"]


async def test_empty_line_behind_a_request(upstream: FaultUpstream) -> None:
    """What an old client sends behind a body is no head: the connection stays idle, and is used again."""
    limits = {"head_timeout": 0.2}
    async with running_gateway(upstream.origin, limits=limits) as gateway, connected(gateway) as client:
        await client.send(request(TWIN, "PUT", body=b"abc") + b"\r\n")
        assert (await client.response()).status == 200
        await _silence_ended(gateway)
        await client.send(request())
        assert (await client.response()).status == 200


async def test_head_that_begins_before_the_answer_is_not_idle_time(upstream: FaultUpstream) -> None:
    """Once a head has begun the connection is not idle: `limits.head_timeout` counts, not `keep_alive`."""
    gate = _held(upstream)
    limits = {"head_timeout": 30, "keep_alive": 1}
    async with running_gateway(upstream.origin, limits=limits) as gateway, connected(gateway) as client:
        await client.send(request() + HALF)
        await upstream.received(1)
        gate.set()
        assert (await client.response()).body == b"first"
        async with connected(gateway) as other:
            await other.send(request("/other"))
            assert (await other.response()).status == 200
            assert await other.closed()
        await client.send(REST)
        assert (await client.response()).status == 200


async def _drip(client: RawClient) -> None:
    """One byte after the other of what never ends."""
    while True:
        await client.send(b"a")
        await asyncio.sleep(0.02)


async def _while_dripping(client: RawClient, act: Callable[[], Coroutine[Any, Any, None]]) -> None:
    dripping = asyncio.create_task(_drip(client))
    try:
        await act()
    finally:
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


@pytest.mark.parametrize("start", [b"3;a=", b"3\r\nabc\r\n0\r\nX-Trailer: "], ids=["extension", "trailer"])
async def test_framing_that_drips(upstream: FaultUpstream, start: bytes) -> None:
    """Bytes that frame a body are none of it: an extension or trailer that drips gets 408."""
    limits = {"body_idle": 0.3}
    async with running_gateway(upstream.origin, limits=limits) as gateway, connected(gateway) as client:
        await client.send(CHUNKED + start)

        async def answered() -> None:
            refused(await client.response(), 408, "GatewayRequestTimeout")

        await _while_dripping(client, answered)
    assert upstream.requests == []


async def test_second_head_that_drips(upstream: FaultUpstream) -> None:
    """On a used connection the deadline of a head is not moved by the bytes that come."""
    limits = {"head_timeout": 0.3}
    async with running_gateway(upstream.origin, limits=limits) as gateway, connected(gateway) as client:
        await client.send(request())
        assert (await client.response()).status == 200
        await client.send(HALF)

        async def answered() -> None:
            refused(await client.response(), 408, "GatewayRequestTimeout")

        await _while_dripping(client, answered)
    assert len(upstream.requests) == 1
