"""What passes through the gateway stays as it was, but for what HTTP tells a gateway to change."""

import gzip

import pytest

from tests.support import faults
from tests.support.gateway import API, RunningGateway
from tests.support.http1 import Pairs
from tests.support.upstream import Call, FaultUpstream
from tests.support.wire import (
    DELETIONS,
    IMPORT,
    IMPORTS,
    MODELS,
    QUERY,
    TWIN,
    ask,
    assert_traced,
    chunked,
    connected,
    request,
    told,
)
from tests.wire.conftest import TOKEN

pytestmark = pytest.mark.asyncio(loop_scope="module")

TARGETS = (
    "/",
    "/jobs/imports/j%201%2F%C3%A9?api-version=2023-10-31",
    "/jobs/imports/j%201%2f%c3%a9",
    "/digitaltwins/a%2Fb/relationships/c%2Fd",
    "/digitaltwins/a;v=1/components/x,y!$&()*+=:@~_.-z",
    "/digitaltwins/o'hara",
    "/models?a=1&&b=%26&a=2&c=?/d&e=",
    "/models?dependenciesFor=dtmi:a:b;1&x=%27%22&y=a+b%2B",
    "/a/.well-known/..b/c...",
    "/digitaltwins/twin/",
    "/models?",
)
OF_THE_HOP = {
    b"host", b"via", b"traceparent", b"tracestate", b"authorization", b"accept", b"accept-encoding",
    b"user-agent", b"connection", b"content-length",
}  # fmt: skip


def passed_on(upstream: FaultUpstream) -> Pairs:
    """What the upstream got, without what every request gets from gateway and engine."""
    return [(n.lower(), value) for n, value in upstream.last.headers if n.lower() not in OF_THE_HOP]


@pytest.mark.parametrize("target", TARGETS)
async def test_target_keeps_its_bytes(gateway: RunningGateway, upstream: FaultUpstream, target: str) -> None:
    """Path and query reach the upstream byte for byte, escapes, separators and empty parts included."""
    response = await ask(gateway, target)
    assert (response.status, response.body) == (200, b"hello")
    # An empty query is no query: the two are the same request to every server.
    assert upstream.last.target.decode() == target.removesuffix("?")


async def test_quote_in_a_query_is_the_documented_exception(
    gateway: RunningGateway, upstream: FaultUpstream, engine: str
) -> None:
    """An apostrophe in a query goes out encoded by pyreqwest, and as it is by httpx."""
    await ask(gateway, "/models?x='1'")
    assert upstream.last.target == (b"/models?x=%271%27" if engine == "pyreqwest" else b"/models?x='1'")


async def test_request_headers_keep_order_and_duplicates(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """Unknown header lines reach the upstream in order, twice where sent twice, values untouched."""
    given = [
        (b"x-b", b"2"),
        (b"x-b", b"3"),
        (b"if-match", b'W/"1"'),
        (b"message-id", b"m-1"),
        (b"telemetry-source-time", b"2026-01-01T00:00:00Z"),
        (b"x-ms-client-request-id", b"5f1d0b8e"),
        (b"cookie", b"a=1"),
        (b"x-empty", b""),
        (b"x-word", "\u00e9".encode()),
        (b"x-inner", b"a  \t b"),
        (b"range", b"bytes=0-1"),
        (b"x-forwarded-for", b"192.0.2.1"),
        (b"x-a", b"1"),
    ]
    await ask(gateway, headers=given)
    assert passed_on(upstream) == given


async def test_request_gets_the_gateways_own_headers_once(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """Host of the upstream, Via, the token and a traceparent: each exactly once."""
    response = await ask(gateway)
    seen = upstream.last
    assert seen.values(b"host") == [upstream.origin.removeprefix("http://").encode()]
    assert seen.values(b"via") == [b"1.1 adt-gateway"]
    assert seen.values(b"authorization") == [b"Bearer " + TOKEN.encode()]
    [traceparent] = seen.values(b"traceparent")
    trace_id = (response.value(b"traceresponse") or b"").split(b"-")[1]
    assert traceparent.split(b"-")[1] == trace_id


async def test_via_is_appended(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """A Via of a proxy before the gateway stays, with the gateway's entry behind it."""
    await ask(gateway, headers=[(b"via", b"1.1 earlier")])
    assert b", ".join(upstream.last.values(b"via")) == b"1.1 earlier, 1.1 adt-gateway"


async def test_engines_add_only_what_is_documented(
    gateway: RunningGateway, upstream: FaultUpstream, engine: str
) -> None:
    """To a request without them, pyreqwest adds Accept and User-Agent, httpx `Connection: close`."""
    await ask(gateway)
    own = {b"host", b"via", b"authorization", b"traceparent", b"tracestate"}
    added = {b"accept", b"user-agent"} if engine == "pyreqwest" else {b"connection"}
    assert set(upstream.last.names) - own == added


async def test_request_hop_by_hop_fields_end_here(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """Hop-by-hop request fields, and those that Connection names, are not forwarded; the others are."""
    await ask(
        gateway,
        headers=[
            (b"connection", b"keep-alive, X-Hop"),
            (b"connection", b"x-second"),
            (b"keep-alive", b"timeout=5"),
            (b"proxy-authorization", b"Basic c2VjcmV0"),
            (b"proxy-connection", b"keep-alive"),
            (b"te", b"trailers"),
            (b"trailer", b"x-end"),
            (b"upgrade", b"h2c"),
            (b"http2-settings", b"AAMAAABkAAQAAP__"),
            (b"x-hop", b"1"),
            (b"x-second", b"2"),
            (b"x-kept", b"3"),
        ],
    )
    assert passed_on(upstream) == [(b"x-kept", b"3")]


@pytest.mark.parametrize(
    "name", [b"authorization", b"traceparent", b"via", b"host", b"content-length", b"accept-encoding"]
)
async def test_connection_cannot_take_away_the_gateways_headers(
    gateway: RunningGateway, upstream: FaultUpstream, name: bytes
) -> None:
    """Naming one of the gateway's own fields in Connection removes none of them."""
    response = await ask(gateway, IMPORT, "PUT", [(b"connection", name)], body=b"{}")
    assert response.status == 200
    assert len(upstream.last.values(name)) == 1
    assert upstream.last.body == b"{}"


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


@pytest.mark.parametrize(
    ("target", "method", "sent"),
    [
        (IMPORT, "GET", b"identity"),
        (IMPORT, "PUT", b"identity"),
        (f"/jobs/imports/job-1/cancel?{API}", "POST", b"identity"),
        (IMPORTS, "GET", b"identity"),
        (DELETIONS, "POST", b"identity"),
        (MODELS, "GET", b"identity"),
        (f"/eventroutes?{API}", "GET", b"identity"),
        (f"/digitaltwins/t1/relationships?{API}", "GET", b"identity"),
        (MODELS, "POST", b"gzip, br"),
        (TWIN, "GET", b"gzip, br"),
        (QUERY, "POST", b"gzip, br"),
        ("/other", "GET", b"gzip, br"),
    ],
)
async def test_identity_is_asked_for_where_bodies_are_read(
    gateway: RunningGateway, upstream: FaultUpstream, target: str, method: str, sent: bytes
) -> None:
    """On routes of jobs and pages the upstream is asked for `identity`, on no other."""
    await ask(gateway, target, method, [(b"accept-encoding", b"gzip, br")])
    assert upstream.last.values(b"accept-encoding") == [sent]


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


async def test_expect_is_answered_by_the_gateway(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """`Expect: 100-continue` is met by the gateway once it reads the body, and goes no further."""
    async with connected(gateway) as client:
        head = request(method="PUT", headers=[(b"expect", b"100-continue"), (b"content-length", b"2")])
        await client.send(head)
        assert await client.exactly(len(b"HTTP/1.1 100 Continue\r\n\r\n")) == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert upstream.requests == []
        await client.send(b"{}")
        assert (await client.response()).status == 200
    assert upstream.last.values(b"expect") == []
    assert upstream.last.body == b"{}"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "GET", "PROPFIND", "PURGE"])
async def test_methods_and_bodies_pass(gateway: RunningGateway, upstream: FaultUpstream, method: str) -> None:
    """Every known method passes, with the body, its length and its type as they were."""
    kind = (b"content-type", b"application/json-patch+json")
    response = await ask(gateway, method=method, headers=[kind], body=b"[1]")
    assert response.status == 200
    seen = upstream.last
    assert (seen.method.decode(), seen.body, seen.values(b"content-length")) == (method, b"[1]", [b"3"])
    assert seen.values(b"content-type") == [b"application/json-patch+json"]


async def test_request_without_body_gets_no_framing(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """A POST without body, as deletions have it, arrives without length or coding of its own making."""
    await ask(gateway, DELETIONS, "POST")
    assert upstream.last.values(b"transfer-encoding") == []
    assert upstream.last.values(b"content-length") in ([], [b"0"])
    await ask(gateway, DELETIONS, "POST", body=b"")
    assert upstream.last.values(b"content-length") == [b"0"]


async def test_chunked_request_arrives_whole(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """A body in chunks arrives with the same bytes, and its trailers end here."""
    head = request(method="PUT", headers=[(b"transfer-encoding", b"chunked")])
    body = b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\nAuthorization: Bearer theirs\r\n\r\n"
    response = await told(gateway, head + body)
    assert response.status == 200
    assert (upstream.last.body, upstream.last.complete) == (b"abcde", True)
    assert upstream.last.values(b"authorization") == [b"Bearer " + TOKEN.encode()]
    assert b"x-trailer" not in upstream.last.names


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
