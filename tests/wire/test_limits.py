"""What is too large or too slow: refused as an ErrorResponse before it costs anything."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.gateway import RunningGateway, running_gateway
from tests.support.http1 import Pairs
from tests.support.upstream import FaultUpstream
from tests.support.wire import TWIN, chunked, connected, refused, request, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = b"Host: localhost\r\n"
GET = b"GET /models HTTP/1.1\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """One gateway for the module."""
    async with running_gateway(module_upstream.origin) as running:
        yield running


async def test_head_over_the_byte_limit(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """A huge header, a huge target, a huge name: 431 long before all of it was sent."""
    for data in (
        GET + HOST + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        GET + HOST + b"a" * 1_000_000 + b": 1\r\n\r\n",
    ):
        async with connected(gateway) as client:
            await client.offer(data)
            refused(await client.response(), 431, "GatewayRequestTooLarge")
    assert upstream.requests == []


async def test_too_many_headers(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """The hundredth header passes, the hundred and first gets 431."""
    fields: Pairs = [(b"x-%d" % number, b"1") for number in range(99)]
    assert (await told(gateway, request(TWIN, headers=fields))).status == 200
    one_more = request(TWIN, headers=[*fields, (b"x-99", b"1")])
    refused(await told(gateway, one_more), 431, "GatewayRequestTooLarge")
    assert len(upstream.requests) == 1


async def test_declared_body_over_the_limit(upstream: FaultUpstream) -> None:
    """A declared length over the limit: 413 before any of the body is asked for."""
    async with running_gateway(upstream.origin, limits={"request_body": 1000}) as gateway:
        fields = [(b"content-length", b"1001"), (b"expect", b"100-continue")]
        response = await told(gateway, request(method="PUT", headers=fields))
        assert response.interim == []
        refused(response, 413, "GatewayRequestTooLarge")
    assert upstream.requests == []


async def test_chunked_body_over_the_limit(upstream: FaultUpstream) -> None:
    """A body without a length that outgrows the limit: 413, and upstream never sees a complete one."""
    async with running_gateway(upstream.origin, limits={"request_body": 200_000}) as gateway:
        head = request(method="PUT", headers=[(b"transfer-encoding", b"chunked")])
        response = await told(gateway, head + chunked(*[b"x" * 50_000] * 5))
        refused(response, 413, "GatewayRequestTooLarge")
    assert not any(seen.complete for seen in upstream.requests)


async def test_large_refused_upload_still_gets_its_answer(upstream: FaultUpstream) -> None:
    """An app that is still sending when it is refused can read the refusal, and not a broken connection."""
    async with running_gateway(upstream.origin, limits={"request_body": 1000}) as gateway:
        for _ in range(5):
            async with connected(gateway) as client:
                sending = asyncio.create_task(client.offer(request(method="PUT", body=b"x" * 20_000_000)))
                refused(await client.response(), 413, "GatewayRequestTooLarge")
                await sending


async def test_slow_head(upstream: FaultUpstream) -> None:
    """A head that does not come in time: 408, on a used connection too, and where single bytes come."""
    async with running_gateway(upstream.origin, limits={"head_timeout": 0.3}) as gateway:
        async with connected(gateway) as client:
            await client.send(request())
            assert (await client.response()).status == 200
            await client.send(b"GET /models HT")
            refused(await client.response(), 408, "GatewayRequestTimeout")
            assert await client.closed()
        async with connected(gateway) as client:
            dripping = asyncio.create_task(_drip(client.send))
            refused(await client.response(), 408, "GatewayRequestTimeout")
            dripping.cancel()
            await asyncio.gather(dripping, return_exceptions=True)
    assert len(upstream.requests) == 1


async def _drip(send: object) -> None:
    """One byte of an endless header every 20 ms."""
    assert callable(send)
    await send(GET + HOST + b"X-A: ")
    while True:
        await send(b"a")
        await asyncio.sleep(0.02)


async def test_silent_connection_is_closed(upstream: FaultUpstream) -> None:
    """A connection on which nothing is ever sent is closed without a word."""
    limits = {"head_timeout": 0.2}
    async with running_gateway(upstream.origin, limits=limits) as gateway, connected(gateway) as client:
        assert await client.closed()


async def test_kept_connection_may_be_idle_for_longer_than_a_head_takes(upstream: FaultUpstream) -> None:
    """Between two requests `limits.keep_alive` counts, and not `limits.head_timeout`."""
    limits = {"head_timeout": 0.1, "keep_alive": 30}
    async with running_gateway(upstream.origin, limits=limits) as gateway, connected(gateway) as client:
        await client.send(request())
        assert (await client.response()).status == 200
        # The silent connection is closed after the same time that would close the other one.
        async with connected(gateway) as silent:
            assert await silent.closed()
        await client.send(request())
        assert (await client.response()).status == 200


@pytest.mark.parametrize("size", [100, 200_000])
async def test_slow_body(upstream: FaultUpstream, size: int) -> None:
    """A body that stops coming: 408 whether it is kept or streamed, and upstream sees no complete one."""
    async with running_gateway(upstream.origin, limits={"body_idle": 0.2}) as gateway:
        head = request(method="PUT", headers=[(b"content-length", b"%d" % size)])
        async with connected(gateway) as client:
            await client.send(head + b"x" * (size // 2))
            refused(await client.response(), 408, "GatewayRequestTimeout")
            assert await client.closed()
    assert not any(seen.complete for seen in upstream.requests)
