"""What passes through the gateway stays as it was, but for what HTTP tells a gateway to change."""

import pytest

from tests.support.gateway import API, RunningGateway
from tests.support.http1 import Pairs
from tests.support.upstream import FaultUpstream
from tests.support.wire import (
    DELETIONS,
    IMPORT,
    IMPORTS,
    MODELS,
    QUERY,
    TWIN,
    ask,
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
    """An apostrophe in a query goes out encoded by pyreqwest, and as it is by the others."""
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
    added = {"pyreqwest": {b"accept", b"user-agent"}, "httpx": {b"connection"}, "asyncio": set()}[engine]
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
