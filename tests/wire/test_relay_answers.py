"""What comes back through the gateway stays as it was, but for what HTTP tells a gateway to change."""

import gzip

import pytest

from tests.support import faults
from tests.support.gateway import RunningGateway
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import (
    QUERY,
    ask,
    assert_traced,
    chunked,
    connected,
    request,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_response_headers_keep_order_and_duplicates(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """Response header lines reach the app in order, two Set-Cookie as two."""
    given = [
        (b"x-b", b"2"),
        (b"x-b", b"3"),
        (b"set-cookie", b"a=1; Path=/"),
        (b"set-cookie", b"b=2"),
        (b"etag", b'W/"7"'),
        (b"server-timing", b"db;dur=5"),
        (b"x-ms-request-id", b"r-1"),
        (b"query-charge", b"3.5"),
        (b"date", b"Thu, 01 Jan 2026 00:00:00 GMT"),
        (b"x-empty", b""),
        (b"www-authenticate", b"Basic"),
        (b"x-a", b"1"),
    ]
    upstream.on("/digitaltwins/t1", faults.reply(200, b"{}", given))
    response = await ask(gateway)
    ours = {b"traceresponse", b"content-length"}
    assert [pair for pair in response.headers if pair[0] not in ours] == given
    assert_traced(response)


async def test_response_hop_by_hop_fields_end_here(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """Hop-by-hop response fields, those Connection names, and fields in the gateway's name do not pass."""
    given = [
        (b"Connection", b"X-Hop, keep-alive"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Proxy-Authenticate", b"Basic"),
        (b"Proxy-Connection", b"keep-alive"),
        (b"Trailer", b"x-end"),
        (b"Upgrade", b"h2c"),
        (b"X-Hop", b"1"),
        (b"X-Gateway-Replayed", b"true"),
        (b"Traceresponse", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        (b"X-Kept", b"2"),
    ]
    upstream.on("/digitaltwins/t1", faults.reply(200, b"{}", given))
    response = await ask(gateway)
    assert_traced(response)
    assert (response.value(b"traceresponse") or b"").split(b"-")[1] != b"0af7651916cd43dd8448eb211c80319c"
    names = [name for name, _ in response.headers]
    assert sorted(names) == [b"content-length", b"traceresponse", b"x-kept"]


async def test_no_cookie_crosses_to_another_request(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """A cookie set for one caller is not sent with the next request, whoever makes it."""
    upstream.on("/digitaltwins/t1", faults.reply(200, b"{}", [(b"set-cookie", b"session=alice; Path=/")]))
    async with connected(gateway) as client:
        for _ in range(2):
            await client.send(request())
            assert (await client.response()).value(b"set-cookie") == b"session=alice; Path=/"
    await ask(gateway)
    assert [seen.values(b"cookie") for seen in upstream.requests] == [[], [], []]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_is_not_followed(
    gateway: RunningGateway, upstream: FaultUpstream, status: int
) -> None:
    """A redirect is the app's to follow, even one to the upstream itself."""
    upstream.on("/digitaltwins/t1", faults.reply(status, b"", [(b"location", b"/elsewhere")]))
    response = await ask(gateway)
    assert response.status == status
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd", b"x-unknown"])
async def test_coded_body_is_not_decoded(
    gateway: RunningGateway, upstream: FaultUpstream, coding: bytes
) -> None:
    """A body with a content coding passes with its bytes, its coding and its length."""
    body = gzip.compress(b"twin" * 100, mtime=0)
    upstream.on("/query", faults.reply(200, body, [(b"content-encoding", coding)]))
    response = await ask(gateway, QUERY, "POST", [(b"accept-encoding", coding)], body=b"{}")
    assert (response.body, response.value(b"content-encoding")) == (body, coding)
    assert response.value(b"content-length") == b"%d" % len(body)
    assert upstream.last.values(b"accept-encoding") == [coding]


async def test_head_has_the_headers_of_get_and_no_body(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """HEAD gets status, headers and length of the answer, and not one byte more; the connection lives on."""
    upstream.on("/digitaltwins/t1", faults.reply(200, b"x" * 5000, [(b"etag", b'"1"')]))
    async with connected(gateway) as client:
        await client.send(request(method="HEAD"))
        response = await client.response("HEAD")
        assert (response.status, response.value(b"content-length")) == (200, b"5000")
        assert response.value(b"etag") == b'"1"'
        assert response.value(b"transfer-encoding") is None
        await client.send(request())
        assert (await client.response()).body == b"x" * 5000
    assert [seen.method for seen in upstream.requests] == [b"HEAD", b"GET"]


@pytest.mark.parametrize("status", [200, 404, 503])
async def test_head_without_a_length_gets_none(
    gateway: RunningGateway, upstream: FaultUpstream, status: int
) -> None:
    """A HEAD answer that names no length is relayed without one, and errors to HEAD have no body either."""

    async def head_only(call: Call) -> None:
        await call.send_head(status, [(b"Transfer-Encoding", b"chunked")])

    upstream.on("/digitaltwins/t1", head_only)
    async with connected(gateway) as client:
        for _ in range(2):
            await client.send(request(method="HEAD"))
            response = await client.response("HEAD")
            assert response.status == status
            assert response.value(b"content-length") is None
            assert_traced(response)


@pytest.mark.parametrize("status", [204, 304])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_bodiless_statuses_stay_bodiless(
    gateway: RunningGateway, upstream: FaultUpstream, status: int, method: str
) -> None:
    """204 and 304 pass with their headers and without body, length or coding; the connection lives on."""
    upstream.on("/digitaltwins/t1", faults.reply(status, b"", [(b"etag", b'"1"')]), faults.reply())
    async with connected(gateway) as client:
        await client.send(request(method=method))
        response = await client.response(method)
        assert (response.status, response.value(b"etag")) == (status, b'"1"')
        assert response.value(b"content-length") is None
        assert response.value(b"transfer-encoding") is None
        assert_traced(response)
        await client.send(request())
        assert (await client.response()).status == 200


async def test_length_of_a_304_is_a_documented_exception(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """A 304 that tells the length of what it stands for passes without that length."""
    upstream.on("/digitaltwins/t1", faults.raw(b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\nETag: x\r\n\r\n"))
    response = await ask(gateway)
    assert (response.status, response.value(b"etag")) == (304, b"x")
    assert response.value(b"content-length") is None


async def test_empty_body_has_length_zero(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """An empty 200 is complete at once."""
    upstream.on("/digitaltwins/t1", faults.reply(200, b""))
    response = await ask(gateway)
    assert (response.status, response.value(b"content-length"), response.body) == (200, b"0", b"")


@pytest.mark.parametrize("interim", [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 3])
async def test_interim_answers_end_here(
    gateway: RunningGateway, upstream: FaultUpstream, interim: bytes
) -> None:
    """A documented exception: 1xx answers of the upstream are not forwarded; the final one is."""
    upstream.on("/digitaltwins/t1", faults.first(interim, faults.reply(200, b"final")))
    response = await ask(gateway)
    assert (response.interim, response.status, response.body) == ([], 200, b"final")


async def test_chunked_response_stays_chunked(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """A response without length is relayed in chunks, and its trailers end here."""

    async def in_chunks(call: Call) -> None:
        await call.send_head(200, [(b"Transfer-Encoding", b"chunked")])
        await call.send(chunked(b"one", b"two")[: -len(b"\r\n")] + b"X-Trailer: 1\r\n\r\n")

    upstream.on("/digitaltwins/t1", in_chunks)
    response = await ask(gateway)
    assert (response.body, response.complete) == (b"onetwo", True)
    assert response.value(b"transfer-encoding") == b"chunked"
    assert response.value(b"content-length") is None


async def test_body_until_close_is_relayed_whole(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """A response that ends with its connection is relayed to its end, in chunks."""
    upstream.on("/digitaltwins/t1", faults.cut(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it"))
    response = await ask(gateway)
    assert (response.body, response.complete) == (b"all of it", True)
    assert response.value(b"transfer-encoding") == b"chunked"


async def test_many_exchanges_on_one_connection(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """One connection carries one exchange after the other, errors of the upstream among them."""
    upstream.on("/a", faults.reply(200, b"a"))
    upstream.on("/b", faults.reply(404, b""))
    async with connected(gateway) as client:
        for _ in range(10):
            await client.send(request("/a"))
            assert (await client.response()).body == b"a"
            await client.send(request("/b", "PUT", body=b"x" * 100))
            assert (await client.response()).status == 404


@pytest.mark.parametrize("status", [200, 201, 202, 206, 299, 300, 399])
async def test_statuses_pass(gateway: RunningGateway, upstream: FaultUpstream, status: int) -> None:
    """Any status below 400 passes with its body."""
    upstream.on("/digitaltwins/t1", faults.reply(status, b"body"))
    response = await ask(gateway)
    assert (response.status, response.body) == (status, b"body")
