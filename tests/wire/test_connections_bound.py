"""How many connections the data listener holds, and what becomes of one too many."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gateway.crowd import room
from tests.support import faults
from tests.support.certificates import write_certificates
from tests.support.gateway import RunningGateway, running_gateway, settings_for
from tests.support.lingering import lingering_on
from tests.support.raw import GUARD, RawClient
from tests.support.upstream import FaultUpstream
from tests.support.wire import admin, chunked, connected, error_of, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

MOST = 5
TOLD = 64
BIG = 8_000_000
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
KEY = "right-key-0123456789"


@asynccontextmanager
async def small(upstream: FaultUpstream) -> AsyncIterator[tuple[RunningGateway, AsyncExitStack]]:
    """A gateway that holds few connections."""
    limits = {"connections": MOST}
    async with running_gateway(upstream.origin, limits=limits) as gateway, AsyncExitStack() as stack:
        yield gateway, stack


async def opened(gateway: RunningGateway, stack: AsyncExitStack, count: int = 1) -> list[RawClient]:
    """Connections, in the order in which the gateway has them."""
    return [await stack.enter_async_context(connected(gateway)) for _ in range(count)]


async def served(client: RawClient) -> bool:
    """Whether a request on it is answered."""
    try:
        await client.send(request())
        return (await client.response()).status == 200
    except ConnectionError:
        return False


async def test_whoever_waits_longest_makes_room(upstream: FaultUpstream) -> None:
    """One connection too many closes the one that has been without a request for longest."""
    async with small(upstream) as (gateway, stack):
        clients = await opened(gateway, stack, MOST)
        for client in clients:
            assert await served(client)
        assert await served(clients[0])
        (newest,) = await opened(gateway, stack)
        assert await served(newest)
        assert await clients[1].closed()
        assert [await served(client) for client in (clients[0], *clients[2:], newest)] == [True] * MOST


async def test_half_a_head_makes_room(upstream: FaultUpstream) -> None:
    """Connections that send their heads slowly keep nobody out."""
    async with small(upstream) as (gateway, stack):
        for client in (slow := await opened(gateway, stack, MOST)):
            await client.send(b"GET /models HTTP/1.1\r\nHost: local")
        for client in await opened(gateway, stack, MOST):
            assert await served(client)
        assert [await client.closed() for client in slow] == [True] * MOST


async def test_a_request_under_way_is_not_cut_for_a_newcomer(upstream: FaultUpstream) -> None:
    """Where every connection has a request under way the newest gets 503, and none of them suffers."""
    gate = asyncio.Event()
    upstream.on("/held", faults.gated(gate, faults.reply(200, b"held")))
    async with small(upstream) as (gateway, stack):
        clients = await opened(gateway, stack, MOST)
        for client in clients:
            await client.send(request("/held"))
        await upstream.received(MOST)
        (newest,) = await opened(gateway, stack)
        refusal = await newest.response()
        assert error_of(refusal)["code"] == "GatewayOverloaded"
        assert (refusal.status, refusal.value(b"retry-after")) == (503, b"1")
        assert refusal.value(b"connection") == b"close"
        assert await newest.closed()
        assert (await admin(gateway, "/livez")).status == 200
        gate.set()
        assert [(await client.response()).body for client in clients] == [b"held"] * MOST
        (later,) = await opened(gateway, stack)
        assert await served(later)


async def test_a_flood_is_cut_without_a_word(upstream: FaultUpstream) -> None:
    """Of very many too many only so many get an answer; the others cost nothing, and nobody suffers."""
    gate = asyncio.Event()
    upstream.on("/held", faults.gated(gate, faults.reply(200, b"held")))
    async with small(upstream) as (gateway, stack):
        clients = await opened(gateway, stack, MOST)
        for client in clients:
            await client.send(request("/held"))
        await upstream.received(MOST)
        flood = await asyncio.gather(*(opened(gateway, stack) for _ in range(3 * TOLD)))
        told = await asyncio.gather(*(client.until_close() for (client,) in flood))
        answers = [each for each in told if each]
        assert all(each.startswith(b"HTTP/1.1 503 ") for each in answers)
        assert 0 < len(answers) < len(told)
        gate.set()
        assert [(await client.response()).body for client in clients] == [b"held"] * MOST


async def test_who_is_refused_and_goes_on_makes_room(upstream: FaultUpstream) -> None:
    """Strangers who were refused, and whose connections are being closed, keep no caller out."""
    limits, inbound = {"connections": MOST}, {"keys": {"app": KEY}}
    async with (
        running_gateway(upstream.origin, limits=limits, auth={"inbound": inbound}) as gateway,
        AsyncExitStack() as stack,
    ):
        for _ in range(3):
            for stranger in (strangers := await opened(gateway, stack, MOST)):
                await stranger.send(b"POST /models HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n")
            assert [(await stranger.response()).status for stranger in strangers] == [401] * MOST
            for caller in await opened(gateway, stack, MOST):
                await caller.send(request(headers=[(b"X-Gateway-Key", KEY.encode())]))
                assert (await caller.response()).status == 200


async def test_an_answer_that_is_still_sent_is_not_cut(upstream: FaultUpstream) -> None:
    """No connection makes room before its app has taken the whole answer; the newest gets 503 then.

    For HTTP/1.0 the gateway collects the answer, so all of it is on its way at once: more than kernels take.
    """
    upstream.on("/big", faults.raw(CHUNKED + chunked(b"x" * BIG)))
    limits = {"connections": 1, "observed_body": BIG}
    async with running_gateway(upstream.origin, limits=limits) as gateway, AsyncExitStack() as stack:
        (slow,) = await opened(gateway, stack)
        await slow.send(b"GET /big HTTP/1.0\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(GUARD):
            while not gateway.exchanges():  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0.01)
        (newest,) = await opened(gateway, stack)
        assert error_of(await newest.response())["code"] == "GatewayOverloaded"
        assert len((await slow.until_close()).partition(b"\r\n\r\n")[2]) == BIG


async def test_a_handshake_that_does_not_come(upstream: FaultUpstream, tmp_path: Path) -> None:
    """Whoever connects to a TLS listener and says nothing is let go after `limits.head_timeout`."""
    files = write_certificates(tmp_path)
    tls = {"certificate_file": files.certificate, "key_file": files.key}
    limits = {"head_timeout": 0.2}
    async with (
        running_gateway(upstream.origin, limits=limits, listen={"tls": tls}) as gateway,
        connected(gateway) as client,
    ):
        assert await client.until_close() == b""


async def test_what_nobody_reads_is_given_up() -> None:
    """A connection that was closed politely does not wait for ever for a peer that reads nothing."""
    lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    class Serving(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            lingering = lingering_on(transport, patience=0.05)
            lingering.write(b"x" * 50_000_000)
            lingering.close()
            assert transport.get_write_buffer_size()

        def connection_lost(self, _: Exception | None) -> None:
            lost.set_result(None)

    server = await asyncio.get_running_loop().create_server(Serving, "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await asyncio.wait_for(lost, GUARD)
        writer.transport.abort()
        reader.feed_eof()


@pytest.mark.parametrize(
    ("files", "wanted", "upstream", "held"),
    [
        (20_000, 10_000, 100, 10_000),
        (1_024, 10_000, 100, 1_024 - 300 - 192),
        (256, 10_000, 100, 64),
        (1_024, 50, 100, 50),
    ],
)
async def test_no_more_than_files_can_be_opened(
    files: int, wanted: int, upstream: int, held: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The bound leaves files for the upstream and the rest; a lower one than configured is told."""
    settings = settings_for(
        "http://127.0.0.1:1", limits={"connections": wanted}, upstream={"max_connections": upstream}
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
        assert room(settings) == held
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    told = [vars(record) for record in caplog.records if record.name == "gateway.crowd"]
    assert [(each["connections"], each["files"]) for each in told] == [(held, files)] * (held < wanted)
