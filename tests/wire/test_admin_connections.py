"""The admin listener against connections that want nothing, and requests that cannot be read."""

import json
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest

from tests.support.gateway import RunningGateway, running_gateway
from tests.support.raw import RawClient, raw_client
from tests.support.upstream import FaultUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST = 64


def address(gateway: RunningGateway) -> tuple[str, int]:
    """Host and port of the admin listener."""
    host, _, port = gateway.admin.rpartition("/")[2].rpartition(":")
    return host, int(port)


def hasty(upstream: FaultUpstream) -> AbstractAsyncContextManager[RunningGateway]:
    """A gateway that does not wait long for a head."""
    return running_gateway(upstream.origin, limits={"head_timeout": 0.2})


async def alive(client: RawClient) -> bool:
    await client.send(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    return (await client.response()).status == 200


async def test_a_silent_connection_is_closed(upstream: FaultUpstream) -> None:
    """Who connects and says nothing is let go after `limits.head_timeout`."""
    async with hasty(upstream) as gateway, raw_client(*address(gateway)) as client:
        assert await client.until_close() == b""


async def test_a_head_that_does_not_end(upstream: FaultUpstream) -> None:
    """Who sends half a head gets 408 as an ErrorResponse, and is let go."""
    async with hasty(upstream) as gateway, raw_client(*address(gateway)) as client:
        await client.send(b"GET /livez HTTP/1.1\r\nHost: local")
        response = await client.response()
        assert (response.status, response.value(b"x-ms-error-code")) == (408, b"GatewayRequestTimeout")
        assert await client.until_close() == b""


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "GatewayRequestInvalid"),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "GatewayRequestInvalid"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n", 431, "GatewayRequestTooLarge"),
    ],
)
async def test_what_cannot_be_read(upstream: FaultUpstream, sent: bytes, status: int, code: str) -> None:
    """A request that is not one is refused in the one error shape, and the connection ends."""
    async with running_gateway(upstream.origin) as gateway, raw_client(*address(gateway)) as client:
        await client.offer(sent)
        response = await client.response()
        assert response.status == status
        assert json.loads(response.body)["error"]["code"] == code
        assert await client.until_close() == b""


async def test_the_newest_gets_in(upstream: FaultUpstream) -> None:
    """However many connections are held open, a probe is answered, and no more than so many are held."""
    async with running_gateway(upstream.origin) as gateway, AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(raw_client(*address(gateway))) for _ in range(MOST + 20)]
        async with raw_client(*address(gateway)) as probe:
            assert await alive(probe)
        standing = 0
        for client in idle:
            try:
                standing += await alive(client)
            except (ConnectionError, EOFError):
                continue
        assert 0 < standing <= MOST
