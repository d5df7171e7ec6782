"""What a refusal of a malformed request does and leaves undone; which are refused is told by the corpus.

Nothing here depends on the engine, so one does.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.corpus import load
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.raw import raw_client
from tests.support.request_outcomes import outcomes
from tests.support.upstream import FaultUpstream
from tests.support.wire import chunked, connected, error_of, refused, request, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = b"Host: localhost\r\n"
PUT = b"PUT /digitaltwins/t HTTP/1.1\r\n" + HOST
CHUNKED = PUT + b"Transfer-Encoding: chunked\r\n\r\n"
AMBIGUOUS = PUT + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """One gateway for the module."""
    async with running_gateway(module_upstream.origin) as running:
        yield running


async def _refused_and_closed(gateway: RunningGateway, data: bytes, status: int, code: str) -> None:
    async with connected(gateway) as client:
        await client.send(data)
        refused(await client.response(), status, code)
        assert await client.closed()


async def test_nothing_behind_a_refusal_is_read(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """What follows a refused request on its connection is not taken for a request."""
    async with connected(gateway) as client:
        await client.send(AMBIGUOUS + request("/smuggled"))
        refused(await client.response(), 400, "GatewayRequestInvalid")
        assert await client.closed()
    assert upstream.requests == []


async def test_refused_request_echoes_nothing(gateway: RunningGateway) -> None:
    """No refusal of the corpus repeats what the client wrote."""
    for entry in load("requests"):
        if any(outcome.kind != "refused" for outcome in outcomes(entry)) or len(entry.data) > 2_000:
            continue
        response = await told(gateway, entry.data.replace(b"evil", b"canary").replace(b"X-A", b"X-Canary"))
        assert b"canary" not in response.body.lower(), entry.place


@pytest.mark.parametrize(
    "data",
    [
        AMBIGUOUS,
        b"GET  /livez HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET http://localhost/livez HTTP/1.1\r\n" + HOST + b"\r\n",
        b"GET /livez HTTP/1.1\nHost: localhost\n\n",
    ],
    ids=["length and coding", "two spaces", "absolute form", "bare line feeds"],
)
async def test_the_admin_listener_reads_as_strictly(gateway: RunningGateway, data: bytes) -> None:
    """What the data listener does not read, the other one does not either."""
    host, _, port = gateway.admin.rpartition("/")[2].rpartition(":")
    async with raw_client(host, int(port)) as client:
        await client.send(data)
        response = await client.response()
        assert (response.status, response.value(b"connection")) == (400, b"close")
        assert await client.closed()


@pytest.mark.parametrize("body", [b"3\r\nabc\r\n3\r\nab", b"3\r\nabc\r\nzz\r\n"])
async def test_broken_chunks_never_arrive_as_a_whole_body(
    gateway: RunningGateway, upstream: FaultUpstream, body: bytes
) -> None:
    """A chunked body that breaks off or breaks the grammar is never completed for the upstream."""
    async with connected(gateway) as client:
        await client.send(CHUNKED + chunked(b"x" * 100_000)[: -len(b"0\r\n\r\n")] + body)
        client.send_eof()
        await client.until_close()
    assert not any(seen.complete for seen in upstream.requests)


async def test_trace_and_connect_are_refused_and_closed(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """405 for both, in our shape; bytes meant for a tunnel go nowhere."""
    trace = b"TRACE /models HTTP/1.1\r\n" + HOST + b"X-Secret: canary\r\n\r\n"
    tunnel = b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n" + request("/smuggled")
    for data in (trace, tunnel):
        await _refused_and_closed(gateway, data, 405, "GatewayMethodNotAllowed")
    assert upstream.requests == []


async def test_every_refusal_is_told_in_log_and_metrics(upstream: FaultUpstream) -> None:
    """A refused request is an exchange like any other: one log line with its code, and a count."""
    async with running_gateway(upstream.origin) as gateway:
        error_of(await told(gateway, AMBIGUOUS))
        error_of(await told(gateway, b"GET //evil.example/models HTTP/1.1\r\n" + HOST + b"\r\n"))
        error_of(await told(gateway, b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n"))
    told_codes = [(line["status"], line["error_code"], line["attempts"]) for line in gateway.exchanges()]
    assert told_codes == [
        (400, "GatewayRequestInvalid", 0),
        (400, "GatewayRequestInvalid", 0),
        (405, "GatewayMethodNotAllowed", 0),
    ]
