"""A response cut short is never presented as complete: 502 before the head is out, a cut connection after."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import faults
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.raw import RawResponse
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import IMPORT, MODELS, TWIN, ask, chunked, connected, error_of, request, sample

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = bytes(range(32, 127)) * 20
LENGTH = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(
    *(BODY[at : at + 300] for at in range(0, len(BODY), 300))
)
SHAPES = {"length": LENGTH, "chunks": CHUNKS}
METHODS = ("GET", "PUT", "POST")


def offsets(data: bytes, step: int) -> list[int]:
    """Places to cut at: around the blank line and the ends, and every `step` bytes."""
    head = data.index(b"\r\n\r\n") + 4
    near = {0, 1, head - 4, head - 2, head - 1, head, head + 1, len(data) - 5, len(data) - 2, len(data) - 1}
    return sorted(near | set(range(0, len(data), step)))


def _judge(data: bytes, cut: int, response: RawResponse) -> None:
    head = data.index(b"\r\n\r\n") + 4
    # A reset may overtake what was sent before it.
    if cut < head or (cut % 2 == 1 and response.status == 502):
        error = error_of(response)
        assert (response.status, error["code"]) == (502, "GatewayUpstreamConnectionLost")
        assert response.value(b"retry-after") is None
        return
    assert not response.complete
    # Cut right behind the head, the app may have got nothing at all.
    assert response.status in {200, 0, 502}
    if response.status == 200:
        assert BODY.startswith(response.body)
        assert len(response.body) <= cut - head


async def _cut_everywhere(
    gateway: RunningGateway, upstream: FaultUpstream, data: bytes, places: list[int]
) -> None:
    """Cut at each place by FIN or RST, and ask with each method in turn; some places at once."""

    async def cut(call: Call) -> None:
        place = int(call.request.target.rpartition(b"=")[2])
        await faults.cut(data[:place], reset=place % 2 == 1)(call)

    async def ask_in_turn() -> None:
        for place in todo:
            method = METHODS[place % 3]
            response = await ask(
                gateway, f"{TWIN}&cut={place}", method, body=None if method == "GET" else b"{}"
            )
            _judge(data, place, response)

    upstream.on("/digitaltwins/t1", cut)
    todo = iter(places)
    await asyncio.gather(*(ask_in_turn() for _ in range(8)))
    assert len(upstream.requests) == len(places)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unrepeating(engine: str, module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """A gateway that asks once: no breaker, no second attempt."""
    settings = {"engine": engine, "circuit": {"failures": 0}}
    async with running_gateway(
        module_upstream.origin, upstream=settings, retry={"attempts": 1}, log={"level": "error"}
    ) as running:
        yield running


@pytest.mark.parametrize("shape", SHAPES)
async def test_cut_at_chosen_offsets(
    unrepeating: RunningGateway, upstream: FaultUpstream, shape: str
) -> None:
    """Cut by FIN or RST: before the end of the head 502 in our shape, after it a cut connection."""
    data = SHAPES[shape]
    await _cut_everywhere(unrepeating, upstream, data, offsets(data, 97))


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
async def test_cut_at_every_offset(
    unrepeating: RunningGateway, engine: str, upstream: FaultUpstream, shape: str
) -> None:
    """The same at every byte of a 2 KiB response; at every fifth on the engine that is seldom used."""
    data = SHAPES[shape]
    await _cut_everywhere(unrepeating, upstream, data, offsets(data, 1 if engine == "pyreqwest" else 5))


@pytest.mark.parametrize("shape", SHAPES)
async def test_uncut_response_is_complete(
    gateway: RunningGateway, upstream: FaultUpstream, shape: str
) -> None:
    """The same response, not cut, is complete: the tests above cannot pass by accident."""
    upstream.on("/digitaltwins/t1", faults.cut(SHAPES[shape]))
    response = await ask(gateway)
    assert (response.status, response.body, response.complete) == (200, BODY, True)


async def test_cut_response_ends_the_apps_connection(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """After a cut response nothing more comes on the connection: no last chunk, no error text."""
    upstream.on("/digitaltwins/t1", faults.cut(CHUNKS[:700]))
    async with connected(gateway) as client:
        await client.send(request() + request("/other"))
        data = await client.until_close()
    assert data.count(b"HTTP/1.1 ") == 1
    assert not data.endswith(b"0\r\n\r\n")
    assert b"Gateway" not in data


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("shape", ["length", "chunks"])
async def test_cut_inside_a_body_that_is_read_is_an_error(
    gateway: RunningGateway, upstream: FaultUpstream, shape: str, status: int
) -> None:
    """Pages and errors are read before they are relayed, so their cut is a 502 and no broken connection."""
    data = SHAPES[shape].replace(b"200 OK", b"%d Status" % status)
    upstream.on("/models", faults.cut(data[:-100]))
    response = await ask(gateway, MODELS)
    assert (response.status, error_of(response)["code"]) == (502, "GatewayUpstreamConnectionLost")


async def test_page_over_the_cap_is_cut_and_not_completed(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """A page too large to be read streams, and its cut is a cut."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n"
    upstream.on("/models", faults.cut(head + b"x" * 2_000_000))
    response = await ask(gateway, MODELS)
    assert (response.status, response.complete) == (200, False)
    assert 1_048_576 < len(response.body) <= 2_000_000


async def test_cut_job_is_not_observed(engine: str, upstream: FaultUpstream) -> None:
    """The start of a job that never came whole changes nothing that is known of jobs."""
    job = json.dumps({"id": "job-1", "status": "running", "createdDateTime": "2026-01-01T00:00:00Z"}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(job) + 1)
    upstream.on("/jobs/imports/job-1", faults.cut(head + job))
    async with running_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        assert not (await ask(gateway, IMPORT)).complete
        assert await sample(gateway, 'adt_jobs{kind="import",status="running"}') == 0
    [line] = gateway.exchanges()
    assert (line["status"], line["cut"], line["level"]) == (200, True, "warning")
    assert line["error_code"] == "GatewayUpstreamConnectionLost"
    assert "job_status" not in line


@pytest.mark.parametrize("start", [b"Content-Length: 10\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n"])
async def test_response_that_stops_is_cut(engine: str, upstream: FaultUpstream, start: bytes) -> None:
    """A body that stops coming for `upstream.timeout.read_idle` is cut, and the log names the timeout."""
    upstream.on("/digitaltwins/t1", faults.never(b"HTTP/1.1 200 OK\r\n" + start))
    settings = {"engine": engine, "timeout": {"read_idle": 0.2}}
    async with running_gateway(upstream.origin, upstream=settings) as gateway:
        response = await ask(gateway)
        assert (response.status, response.complete) == (200, False)
    [line] = gateway.exchanges()
    assert (line["cut"], line["error_code"]) == (True, "GatewayUpstreamTimeout")


async def test_cut_responses_free_their_connections(engine: str, upstream: FaultUpstream) -> None:
    """Any number of cut responses leaves every upstream connection usable."""
    upstream.on("/digitaltwins/t1", faults.cut(LENGTH[:500]))
    settings = {"engine": engine, "max_connections": 2, "timeout": {"pool": 5}}
    async with running_gateway(upstream.origin, upstream=settings) as gateway:
        cut = await asyncio.gather(*(ask(gateway) for _ in range(20)))
        fine = await asyncio.gather(*(ask(gateway, "/other") for _ in range(20)))
    assert not any(response.complete for response in cut)
    assert {response.status for response in fine} == {200}
