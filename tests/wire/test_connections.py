"""What one connection may carry: requests in a row, an upgrade that is ignored, HTTP/1.0."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support import faults
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import chunked, connected, error_of, refused, request, told

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(module_upstream: FaultUpstream) -> AsyncIterator[RunningGateway]:
    """One gateway for the module."""
    async with running_gateway(module_upstream.origin) as running:
        yield running


async def test_pipelined_requests_are_answered_in_order(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """Requests sent in one go are answered one after the other; a refused one ends the row."""
    async with connected(gateway) as client:
        row = [request(f"/n/{number}", "PUT", body=b"%d" % number) for number in range(5)]
        await client.send(b"".join(row) + request("/bad//path") + request("/n/9"))
        for _ in range(5):
            assert (await client.response()).status == 200
        refused(await client.response(), 400, "GatewayRequestInvalid")
        assert await client.closed()
    assert [seen.body for seen in upstream.requests] == [b"0", b"1", b"2", b"3", b"4"]


async def test_unreadable_bytes_behind_a_request_do_not_spoil_its_answer(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """A request followed by garbage gets its answer; then the garbage is refused."""
    async with connected(gateway) as client:
        await client.send(request() + b"\x00garbage\r\n\r\n")
        response = await client.response()
        assert (response.status, response.body) == (200, b"hello")
        refused(await client.response(), 400, "GatewayRequestInvalid")
        assert await client.closed()


async def test_an_offer_of_http_2_is_ignored(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """Java and curl make one with each request until it is taken, and keep the connection all the same."""
    fields = [
        (b"connection", b"Upgrade, HTTP2-Settings"),
        (b"upgrade", b"h2c"),
        (b"http2-settings", b"AAMAAABk"),
    ]
    async with connected(gateway) as client:
        for _ in range(2):
            await client.send(request(headers=fields))
            response = await client.response()
            assert (response.status, response.body) == (200, b"hello")
    assert not {b"upgrade", b"connection", b"http2-settings"} & set(upstream.last.names)


@pytest.mark.parametrize("protocol", [b"websocket", b"TLS/1.0", b"h2c, websocket", b""])
async def test_upgrade_is_ignored(gateway: RunningGateway, upstream: FaultUpstream, protocol: bytes) -> None:
    """A request to upgrade is answered as a plain one, is not forwarded as one, and ends its connection."""
    fields = [(b"connection", b"Upgrade"), (b"upgrade", protocol)]
    async with connected(gateway) as client:
        await client.send(request(headers=fields) + request("/smuggled"))
        response = await client.response()
        assert (response.status, response.body) == (200, b"hello")
        assert await client.closed()
    assert [seen.path for seen in upstream.requests] == [b"/digitaltwins/t1"]
    assert not {b"upgrade", b"connection"} & set(upstream.last.names)


async def test_http_1_0_is_answered_and_closed(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """HTTP/1.0 gets its answer, without chunks it could not read, and the end of its connection."""
    async with connected(gateway) as client:
        await client.send(b"GET /models HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
        response = await client.response()
        assert (response.status, response.body) == (200, b"hello")
        assert response.value(b"transfer-encoding") is None
        assert await client.closed()


async def test_http_1_0_gets_a_length_in_place_of_chunks(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """An answer without length is collected for a client that knows no chunks; HEAD has none."""

    async def in_chunks(call: Call) -> None:
        await call.send_head(200, [(b"Transfer-Encoding", b"chunked")])
        if call.request.method != b"HEAD":
            await call.send(chunked(b"one", b"two"))

    upstream.on("/digitaltwins/t1", in_chunks)
    for method, length in (("GET", b"6"), ("HEAD", None)):
        response = await told(gateway, request(method=method).replace(b"HTTP/1.1", b"HTTP/1.0"), method)
        assert response.value(b"content-length") == length
        assert response.value(b"transfer-encoding") is None
        assert response.body == (b"" if method == "HEAD" else b"onetwo")


async def test_http_1_0_never_gets_part_of_an_answer_for_the_whole(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """What is too large to be collected, or cut, is an error: its end could not be told from a cut."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    old = request().replace(b"HTTP/1.1", b"HTTP/1.0")
    upstream.on("/digitaltwins/t1", faults.raw(head + chunked(*[b"x" * 100_000] * 11)))
    assert error_of(await told(gateway, old))["code"] == "GatewayBadUpstreamResponse"
    upstream.on("/digitaltwins/t1", faults.cut(head + b"5\r\nhello\r\n"))
    assert error_of(await told(gateway, old))["code"] == "GatewayUpstreamConnectionLost"
