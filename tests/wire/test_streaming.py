"""Bodies stream both ways, only as fast as they are taken, in memory that does not grow with them."""

import asyncio
import hashlib
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.faults import STALL, Download
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.raw import RawClient
from tests.support.upstream import Behaviour, Call, FaultUpstream
from tests.support.wire import MODELS, ask, chunked, connected, error_of, request

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1_048_576
LARGE = 128 * MIB
HELD = 96 * MIB
"""What the kernel may hold: its socket buffers grow to tens of MiB."""
MEMORY = 48 * MIB
"""What the process may hold: less than any body that does not stream would take."""
PIECE = b"u" * 65_536


def resident() -> int:
    """Bytes of memory this process has now: app, gateway and upstream together."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_download_goes_at_the_readers_pace(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """A reader that stalls holds the upstream up; every byte arrives once it reads on."""
    download = Download(LARGE)
    upstream.on("/digitaltwins/t1", download)
    before = resident()
    async with connected(gateway) as client:
        await client.send(request())
        await asyncio.wait_for(download.held_up.wait(), faults.STALL * 40)
        assert download.sent < HELD
        assert resident() - before < MEMORY
        digest, size = await client.digest()
    assert (size, digest) == (LARGE, download.sha256)


async def test_upload_goes_at_the_upstreams_pace(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """An upstream that stalls holds the app up; every byte arrives once it reads on."""
    gate = asyncio.Event()
    upstream.on("/digitaltwins/t1", _reading_after(gate))
    before = resident()
    async with connected(gateway) as client:
        await client.send(request(method="PUT", headers=[(b"transfer-encoding", b"chunked")]))
        sender = _Sender(client)
        sending = asyncio.create_task(sender.send())
        await sender.held_up(sending)
        assert sender.sent < HELD
        assert resident() - before < MEMORY
        gate.set()
        response = await client.response()
        await sending
    assert response.status == 200
    assert (upstream.last.size, upstream.last.complete) == (LARGE, True)
    assert upstream.last.sha256 == hashlib.sha256(PIECE * (LARGE // len(PIECE))).hexdigest()


def _reading_after(gate: asyncio.Event) -> Behaviour:
    async def behaviour(call: Call) -> None:
        await gate.wait()
        await call.body()
        await call.send_head(200, [(b"Content-Length", b"0")])

    return behaviour


class _Sender:
    """Sends `LARGE` bytes in chunks and tells how far it got."""

    def __init__(self, client: RawClient) -> None:
        self.sent = 0
        self._client = client

    async def send(self) -> None:
        while self.sent < LARGE:
            await self._client.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE))
            self.sent += len(PIECE)
        await self._client.send(chunked())

    async def held_up(self, sending: "asyncio.Task[None]") -> None:
        """Wait until nothing more is taken."""
        last = -1
        while not sending.done() and self.sent != last:
            last = self.sent
            await asyncio.wait((sending,), timeout=STALL)


async def test_head_and_first_bytes_are_not_held_back(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """What the upstream has sent reaches the app before the upstream sends more."""
    head_seen, first_seen = asyncio.Event(), asyncio.Event()

    async def two_parts(call: Call) -> None:
        await call.send_head(200, [(b"Transfer-Encoding", b"chunked")])
        await head_seen.wait()
        await call.send_chunk(b"first")
        await first_seen.wait()
        await call.send(chunked(b"second"))

    upstream.on("/digitaltwins/t1", two_parts)
    async with connected(gateway) as client:
        await client.send(request())
        assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        head_seen.set()
        assert await client.until(b"first\r\n") == b"5\r\nfirst\r\n"
        first_seen.set()
        assert await client.until(b"0\r\n\r\n") == b"6\r\nsecond\r\n0\r\n\r\n"


async def test_upload_reaches_the_upstream_while_it_is_sent(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """A large body is forwarded as it comes: the upstream has its start before the app has sent its end."""
    started = asyncio.Event()

    async def behaviour(call: Call) -> None:
        started.set()
        await call.body()
        await call.send_head(200, [(b"Content-Length", b"0")])

    upstream.on("/digitaltwins/t1", behaviour)
    async with connected(gateway) as client:
        await client.send(request(method="PUT", headers=[(b"content-length", b"200000")]), b"x" * 100_000)
        await asyncio.wait_for(started.wait(), 20)
        await client.send(b"x" * 100_000)
        assert (await client.response()).status == 200
    assert upstream.last.size == 200_000


async def test_early_answer_ends_an_upload(
    gateway: RunningGateway, upstream: FaultUpstream, engine: str
) -> None:
    """An upstream that answers and closes before it has the body: the app gets that answer.

    httpx may find only the broken connection; the app is then told of that.
    """

    async def refuse(call: Call) -> None:
        await call.send_head(413, [(b"Content-Length", b"0"), (b"Connection", b"close")])
        call.close()

    upstream.on("/digitaltwins/t1", refuse)
    async with connected(gateway) as client:
        sending = asyncio.create_task(client.offer(request(method="PUT", body=b"x" * 20_000_000)))
        response = await client.response()
        await sending
    assert response.status in ({413} if engine == "pyreqwest" else {413, 502})
    assert error_of(response, origin="upstream" if response.status == 413 else "gateway")


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1_000_000])
@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH"])
async def test_bodies_of_every_size_arrive(
    gateway: RunningGateway, upstream: FaultUpstream, method: str, size: int
) -> None:
    """Kept or streamed, with length or in chunks: the upstream gets the bytes that were sent, once."""
    body = bytes(range(256)) * (size // 256 + 1)
    body = body[:size]
    assert (await ask(gateway, method=method, body=body)).status == 200
    async with connected(gateway) as client:
        head = request(method=method, headers=[(b"transfer-encoding", b"chunked")])
        await client.send(head + chunked(*(body[at : at + 7000] for at in range(0, size, 7000))))
        assert (await client.response()).status == 200
    digest = hashlib.sha256(body).hexdigest()
    assert [(seen.complete, seen.sha256) for seen in upstream.requests] == [(True, digest)] * 2


@pytest.mark.parametrize("size", [65_535, 65_537, 1_048_576, 1_048_577, 3_000_000])
async def test_pages_of_every_size_arrive(
    gateway: RunningGateway, upstream: FaultUpstream, size: int
) -> None:
    """Pages are read for their links up to a cap; below and above it every byte arrives."""
    page = b'{"value":["' + b"x" * (size - 13) + b'"]}'
    upstream.on("/models", faults.reply(200, page))
    response = await ask(gateway, MODELS)
    assert (response.body, response.complete) == (page, True)


async def test_reader_that_is_too_slow_is_cut(engine: str, upstream: FaultUpstream) -> None:
    """A reader that takes nothing for `limits.slow_reader` is cut, which is no bug and holds up nothing."""
    upstream.on("/digitaltwins/t1", gone := _Gone(Download(LARGE)))
    settings = {"engine": engine, "max_connections": 1}
    limits = {"slow_reader": 0.5, "drain_timeout": 600}
    async with AsyncExitStack() as stack:
        async with running_gateway(upstream.origin, upstream=settings, limits=limits) as gateway:
            stalled = await stack.enter_async_context(connected(gateway))
            await stalled.send(request())
            async with asyncio.timeout(20):
                await gone.event.wait()
                assert (await ask(gateway, "/other")).status == 200
                gateway.stop.ask()
                await gateway.serving
        assert not (await stalled.response()).complete
    [line, _] = sorted(gateway.exchanges(), key=lambda line: str(line["path"]))
    assert (line["status"], line["cut"], line["level"]) == (200, True, "warning")
    assert "error_code" not in line
    assert not any(line["level"] == "error" for line in gateway.lines())


class _Gone:
    """A behaviour that tells when it was broken off."""

    def __init__(self, behaviour: Download) -> None:
        self.event = asyncio.Event()
        self._behaviour = behaviour

    async def __call__(self, call: Call) -> None:
        try:
            await self._behaviour(call)
        finally:
            self.event.set()


async def test_responses_are_not_crossed_under_concurrency(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """Fifty at a time, each with a body of its own: each gets its own back."""

    async def echo(call: Call) -> None:
        body = await call.body()
        await call.send_head(200, [(b"Content-Length", b"%d" % len(body))])
        await call.send(body)

    upstream.on("/echo", echo)

    async def caller(number: int) -> None:
        async with connected(gateway) as client:
            for turn in range(5):
                body = b"%d-%d." % (number, turn) * 2000
                await client.send(request("/echo", "PUT", body=body))
                assert (await client.response()).body == body

    await asyncio.gather(*(caller(number) for number in range(50)))
