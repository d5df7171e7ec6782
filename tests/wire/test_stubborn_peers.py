"""Peers that never come to an end: each costs a bounded amount, and holds nobody else up."""

import asyncio
import socket
from itertools import repeat

import pytest

from gateway.listeners import ListenError, Listeners
from tests.support import faults
from tests.support.gateway import RunningGateway, running_gateway, settings_for
from tests.support.raw import GUARD, raw_client
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import TWIN, connected, refused, request, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIECE = b"a" * 16_384
FAR_TOO_MUCH = 4_194_304


@pytest.mark.parametrize(
    "start",
    [
        b"GET /models HTTP/1.1\r\nHost: localhost\r\nX-Endless: ",
        b"GET /models HTTP/1.1\r\nHost: localhost\r\nx-",
        b"GET /",
        b"POST /query HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=",
        b"POST /query HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ",
    ],
)
async def test_line_without_an_end(gateway: RunningGateway, start: bytes) -> None:
    """A header, target, chunk extension or trailer that never ends is refused near limits.head_bytes."""
    sent = 0
    async with connected(gateway) as client:
        await client.send(start)
        answer = asyncio.ensure_future(client.response())
        for piece in repeat(PIECE):
            await asyncio.wait_for(client.offer(piece), GUARD)
            # From Python 3.12 on, what need not wait leaves the loop no time for others.
            await asyncio.sleep(0)
            if answer.done() or (sent := sent + len(piece)) > FAR_TOO_MUCH:
                break
        refused(await answer, 431, "GatewayRequestTooLarge")
    assert sent <= FAR_TOO_MUCH


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"PUT /digitaltwins/t1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8388608\r\n\r\n", 413),
        (b"PUT /digitaltwins/t1 HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 8388608\r\n\r\n", 421),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Endless: ", 431),
        (b"nonsense\r\n\r\n", 400),
    ],
)
async def test_refusal_of_what_is_still_sent(upstream: FaultUpstream, head: bytes, status: int) -> None:
    """An app that reads only after it has sent 8 MiB gets the refusal, not a reset."""
    async with (
        running_gateway(upstream.origin, limits={"request_body": 1000}) as gateway,
        connected(gateway) as client,
    ):
        await client.send(head, b"a" * 8_388_608)
        response = await client.response()
        assert (response.status, response.complete) == (status, True)
        await client.until_close()


async def test_app_that_leaves_its_second_request(upstream: FaultUpstream) -> None:
    """On a kept connection the end of one exchange does not deafen the next to the app's leaving."""
    begun, left = asyncio.Event(), asyncio.Event()

    async def held(call: Call) -> None:
        begun.set()
        await call.gone()
        left.set()
        call.close()

    upstream.on("/held", held)
    async with running_gateway(upstream.origin, upstream={"engine": "httpx"}) as gateway:
        async with connected(gateway) as client:
            await client.send(request() + request("/held"))
            assert (await client.response()).status == 200
            await asyncio.wait_for(begun.wait(), GUARD)
        await asyncio.wait_for(left.wait(), GUARD)

        async def both_told() -> bool:
            return len(gateway.exchanges()) == 2

        await until(both_told)
    assert [line.get("client_left", False) for line in gateway.exchanges()] == [False, True]


async def test_large_get_is_not_repeated(engine: str, upstream: FaultUpstream) -> None:
    """A GET whose body streams cannot be sent again: what was read of it is gone."""
    upstream.on("/digitaltwins/t1", faults.cut(), faults.cut())
    async with (
        running_gateway(upstream.origin, upstream={"engine": engine}) as gateway,
        connected(gateway) as client,
    ):
        await client.send(request(TWIN, body=b"x" * 200_000))
        response = await client.response()
    assert (response.status, response.value(b"x-ms-error-code")) == (502, b"GatewayUpstreamConnectionLost")
    assert len(upstream.requests) == 1


async def test_app_that_pipelines_without_reading(upstream: FaultUpstream) -> None:
    """Requests pile up to a bound behind the one under way; then the connection ends with a refusal."""
    gate = asyncio.Event()
    upstream.on("/digitaltwins/t1", faults.gated(gate, faults.reply(200, b"first")))
    async with running_gateway(upstream.origin) as gateway:
        async with connected(gateway) as client:
            await client.send(request() + request("/next") * 1000)
            await upstream.received(1)
            gate.set()
            statuses = [(await client.response()).status for _ in range(66)]
            await client.until_close()
        assert statuses == [200] * 65 + [400]
        assert len(upstream.requests) == 65


async def test_scraper_that_does_not_read(upstream: FaultUpstream) -> None:
    """A peer of the admin listener that never reads its answers does not keep the gateway from ending."""
    async with running_gateway(upstream.origin) as gateway:
        host, _, port = gateway.admin.removeprefix("http://").rpartition(":")
        async with raw_client(host, int(port)) as scraper:
            await scraper.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400)
            gateway.stop.ask()
            await asyncio.wait_for(gateway.serving, GUARD)
    assert gateway.serving.done()


async def test_port_that_listens_already() -> None:
    """A port that something else listens on is told at once, before anything is served."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ListenError, match=rf"^listen.port: cannot listen on 127.0.0.1:{port}: "):
            Listeners(settings_for("http://127.0.0.1:1", listen={"port": port}))
