"""An app that leaves: reads are given up, writes that were fully sent run to their end and are told."""

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support import faults
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.process import serving
from tests.support.raw import GUARD, raw_client
from tests.support.upstream import Behaviour, Call, FaultUpstream
from tests.support.wire import DELETIONS, IMPORT, TWIN, admin, ask, connected, request, sample, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

JOB: dict[str, Any] = {
    "id": "job-1",
    "inputBlobUri": "https://blobs.example/in",
    "outputBlobUri": "https://blobs.example/out",
    "status": "notstarted",
    "createdDateTime": "2026-01-01T00:00:00.0000000Z",
    "lastActionDateTime": "2026-01-01T00:00:00.0000000Z",
    "purgeDateTime": "2026-02-01T00:00:00.0000000Z",
}
JSON = (b"content-type", b"application/json")


class Held:
    """A behaviour that sends `start`, then waits: for the peer to go, or to be let go."""

    def __init__(self, start: bytes = b"", then: Behaviour | None = None) -> None:
        self.left = asyncio.Event()
        """The gateway broke the connection off."""
        self.begun = asyncio.Event()
        self.go = asyncio.Event()
        self._start = start
        self._then = then

    async def __call__(self, call: Call) -> None:
        await call.body()
        await call.send(self._start)
        self.begun.set()
        if self._then is None:
            await call.gone()
            self.left.set()
            call.close()
        else:
            await self.go.wait()
            await self._then(call)


async def happened(event: asyncio.Event) -> None:
    """Wait for something that must happen."""
    await asyncio.wait_for(event.wait(), GUARD)


def _told(gateway: RunningGateway) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return bool(gateway.exchanges())

    return holds


def _known(gateway: RunningGateway, path: str) -> Callable[[], Awaitable[bool]]:
    async def holds() -> bool:
        return (await admin(gateway, path)).status == 200

    return holds


def exchange(gateway: RunningGateway, method: str = "GET") -> dict[str, Any]:
    """The only log line of that method; the gateway has stopped."""
    [line] = [line for line in gateway.exchanges() if line["method"] == method]
    return line


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_read_is_given_up_before_the_head(engine: str, upstream: FaultUpstream, method: str) -> None:
    """The app leaves while the upstream thinks: it is given up at once, and that is no error.

    httpx closes the connection; pyreqwest cannot, so the late answer is dropped with its connection.
    """
    held = Held(then=None if engine == "httpx" else faults.reply(200, b"late"))
    upstream.on("/digitaltwins/t1", held)
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        async with connected(gateway) as client:
            await client.send(request(method=method))
            await happened(held.begun)
        if engine == "httpx":
            await happened(held.left)
        await until(_told(gateway))
        held.go.set()
        assert (await ask(gateway, "/other")).body == b"hello"
    line = gateway.exchanges()[0]
    assert (line["client_left"], line["level"]) == (True, "info")
    assert not {"status", "error_code", "cut"} & set(line)
    assert [seen.path for seen in upstream.requests] == [b"/digitaltwins/t1", b"/other"]


@pytest.mark.parametrize(
    "start", [b"Content-Length: 10\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
)
async def test_read_is_given_up_inside_the_body(engine: str, upstream: FaultUpstream, start: bytes) -> None:
    """The app leaves in the middle of a response that has stalled: the upstream sees it go at once."""
    upstream.on("/digitaltwins/t1", held := Held(b"HTTP/1.1 200 OK\r\n" + start))
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        async with connected(gateway) as client:
            await client.send(request())
            await client.until(b"hello")
        await happened(held.left)
    line = exchange(gateway)
    assert (line["client_left"], line["status"], line["level"]) == (True, 200, "info")
    assert "error_code" not in line


async def test_page_is_given_up_while_it_is_read(engine: str, upstream: FaultUpstream) -> None:
    """The app leaves while the gateway reads a page for its links: the upstream sees it go."""
    upstream.on("/models", held := Held(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"val'))
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        async with connected(gateway) as client:
            await client.send(request("/models"))
            await happened(held.begun)
        await happened(held.left)
    assert exchange(gateway)["client_left"] is True


@pytest.mark.parametrize(
    ("method", "target", "kind", "status", "body"),
    [
        ("PUT", IMPORT, "import", 201, JOB),
        ("POST", DELETIONS, "deletion", 202, {**JOB, "id": "del-1"}),
    ],
)
async def test_sent_write_runs_to_its_end(
    engine: str,
    upstream: FaultUpstream,
    method: str,
    target: str,
    kind: str,
    status: int,
    body: dict[str, Any],
) -> None:
    """The app leaves after its PUT or POST was sent: the answer is awaited, logged, counted and observed."""
    held = Held(then=faults.reply(status, json.dumps(body).encode(), [JSON]))
    upstream.on(target.partition("?")[0], held)
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        async with connected(gateway) as client:
            await client.send(request(target, method, body=b"{}" if method == "PUT" else None))
            await happened(held.begun)
        # The gateway hears of the leaving before it hears of a request that came later.
        assert (await ask(gateway, "/other")).status == 200
        held.go.set()
        await until(_known(gateway, f"/api/jobs/{kind}/{body['id']}"))
        created = await sample(gateway, f'adt_jobs{{kind="{kind}",status="notstarted"}}')
    assert created == 1
    line = exchange(gateway, method)
    assert (line["status"], line["client_left"], line["job_id"]) == (status, True, body["id"])
    assert len(upstream.requests) == 2


async def test_sent_write_with_a_failing_end_is_told_too(engine: str, upstream: FaultUpstream) -> None:
    """The app leaves and its PUT then fails upstream: the log has the code of the failure."""
    upstream.on("/jobs/imports/job-1", held := Held(then=faults.cut()))
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        async with connected(gateway) as client:
            await client.send(request(IMPORT, "PUT", body=b"{}"))
            await happened(held.begun)
        assert (await ask(gateway, "/other")).status == 200
        held.go.set()
    line = exchange(gateway, "PUT")
    assert (line["error_code"], line["client_left"]) == ("GatewayUpstreamConnectionLost", True)
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("sent", [10, 100_000])
@pytest.mark.parametrize("length", [20_000, 200_000])
async def test_half_sent_write_is_given_up(
    engine: str, upstream: FaultUpstream, sent: int, length: int
) -> None:
    """The app leaves inside its body, kept or streamed: the upstream gets no complete one, and no second."""
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        async with connected(gateway) as client:
            head = request(TWIN, "PUT", [(b"content-length", b"%d" % length)])
            await client.send(head + b"x" * min(sent, length - 1))
            if length > 65_536:
                await upstream.received(1)
        if length > 65_536:
            await happened(upstream.last.over)
        assert (await ask(gateway, "/other")).status == 200
    line = exchange(gateway, "PUT")
    assert line["client_left"] is True
    assert "error_code" not in line
    writes = [seen for seen in upstream.requests if seen.path != b"/other"]
    assert [seen.complete for seen in writes] == ([False] if length > 65_536 else [])


async def test_those_who_leave_take_no_connection_with_them(engine: str, upstream: FaultUpstream) -> None:
    """After a storm of leavers, with two connections upstream, every request is answered."""
    stalled = Held(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
    upstream.on("/digitaltwins/t1", stalled)
    settings = {"engine": engine, "max_connections": 2, "timeout": {"pool": 5}}
    async with running_gateway(upstream.origin, upstream=settings) as gateway:

        async def leaver() -> None:
            async with connected(gateway) as client:
                await client.send(request())
                await client.until(b"hello")

        await asyncio.gather(*(leaver() for _ in range(40)))
        answers = await asyncio.gather(*(ask(gateway, "/other") for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert len(upstream.requests) == 60


async def test_a_pipelined_write_of_an_app_that_left_is_no_bug(upstream: FaultUpstream) -> None:
    """The app pipelines three writes and breaks off in the second: its answer is written to nobody.

    In a process, since only uvloop raises RuntimeError for a write to a connection that is gone.
    """
    held = Held(then=faults.reply(200, b"done"))
    upstream.on("/digitaltwins/t1", faults.reply(200, b"done"), held)
    environ = {"ADT_GATEWAY_UPSTREAM__BASE_URL": upstream.origin, "ADT_GATEWAY_AUTH__MODE": "none"}
    async with serving({**environ, "ADT_GATEWAY_LIMITS__DRAIN_DELAY": "0"}) as gateway:
        async with raw_client(*gateway.address) as client:
            await client.send(request(method="PATCH", body=b"[]") * 3)
            await happened(held.begun)
        for _ in range(2):
            # Behind the end of the other connection, which the gateway hears of first.
            async with raw_client(*gateway.address) as other:
                await other.send(request("/other"))
                assert (await other.response()).body == b"hello"
        held.go.set()
        await gateway.said("PATCH /digitaltwins/{id} 200")
        gateway.send_signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert {line["level"] for line in gateway.lines} == {"info"}
    assert {line["status"] for line in gateway.lines if line.get("event") == "exchange"} == {200}
