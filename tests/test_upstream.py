"""The upstream room on a real socket, every engine: what goes out and comes back is what was given."""

import gzip

import pytest

from gateway import failures
from gateway.exchange import RawHeaders
from tests.support import faults
from tests.support.engines import ENGINES, every_engine, fetch, opened, outbound
from tests.support.upstream import Call, FaultUpstream, fault_upstream

TARGETS = (
    b"/",
    b"/jobs/imports/j%201%2F%C3%A9",
    b"/jobs/imports/j%201%2f%c3%a9?api-version=2023-10-31",
    b"/digitaltwins/a%2Fb/relationships/c%2Fd",
    b"/digitaltwins/a;v=1/components/x,y!$&()*+=:@~_.-z",
    b"/models?a=1&&b=%26&a=2&c=?/d&e=",
    b"/models?dependenciesFor=dtmi:a:b;1&x=%27%22&y=a+b%2B",
    b"/a/.well-known/..b/c...",
    b"/digitaltwins/o'hara",
)


def _answered(upstream: FaultUpstream, *lines: bytes, body: bytes = b"") -> None:
    head = b"\r\n".join([b"HTTP/1.1 200 OK", *lines, b"Content-Length: %d" % len(body)])
    upstream.default = faults.raw(head + b"\r\n\r\n" + body)


def _without(headers: RawHeaders, *names: bytes) -> RawHeaders:
    return [pair for pair in headers if pair[0] not in names]


@every_engine
@pytest.mark.parametrize("target", TARGETS)
async def test_target_goes_out_byte_for_byte(engine: str, target: bytes) -> None:
    """A clean target reaches the wire as it was given, escapes and separators included."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        await fetch(room, outbound(target))
        assert upstream.last.target == target


@pytest.mark.parametrize(
    ("engine", "sent"),
    [("httpx", b"/models?x='1'"), ("asyncio", b"/models?x='1'"), ("pyreqwest", b"/models?x=%271%27")],
)
async def test_quote_in_a_query_is_encoded_by_pyreqwest(engine: str, sent: bytes) -> None:
    """The one known change to a clean target: pyreqwest encodes an apostrophe in a query."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        await fetch(room, outbound(b"/models?x='1'"))
        assert upstream.last.target == sent


@pytest.mark.parametrize("engine", ["httpx", "asyncio"])
async def test_target_is_never_touched(engine: str) -> None:
    """What a URL would resolve, merge or encode goes out as it was given; pyreqwest has one of its own."""
    target = b"/a/../b//c/./%2e%2e?x='\"<>`{}|^[]"
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        await fetch(room, outbound(target))
        assert upstream.last.target == target


@every_engine
async def test_request_headers_keep_order_and_duplicates(engine: str) -> None:
    """Header lines go out in the given order, twice where given twice, with any UTF-8 value."""
    given = [
        (b"x-b", b"2"),
        (b"x-b", b"3"),
        (b"accept", b"*/*"),
        (b"x-a", b"1"),
        (b"user-agent", b"app/1"),
        (b"x-empty", b""),
        (b"x-word", "\u00e9".encode()),
        (b"if-match", b'W/"1"'),
    ]
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        await fetch(room, outbound(headers=given, authorization="Bearer token"))
        sent = [(name.lower(), value) for name, value in upstream.last.headers]
        assert _without(sent, b"connection", b"host", b"authorization") == given
        assert upstream.last.values(b"host") == [b"upstream.test"]
        assert upstream.last.values(b"authorization") == [b"Bearer token"]


@pytest.mark.parametrize(
    ("engine", "added"),
    [
        ("httpx", [(b"connection", b"close")]),
        ("asyncio", []),
        ("pyreqwest", [(b"accept", b"*/*"), (b"user-agent", b"adt-gateway/0")]),
    ],
)
async def test_fields_an_engine_adds(engine: str, added: RawHeaders) -> None:
    """To a request with a Host alone, each engine adds these fields and nothing else."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        await fetch(room, outbound(headers=[]))
        sent = [(name.lower(), value) for name, value in upstream.last.headers]
        assert sorted(_without(sent, b"host")) == added


@every_engine
async def test_response_headers_keep_order_and_duplicates(engine: str) -> None:
    """Response header lines come back in order, twice where sent twice, names in lower case."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        _answered(upstream, b"X-B: 2", b"x-b: 3", b"Set-Cookie: a=1", b"set-cookie: b=2", b"X-A: 1", b"X-E:")
        _, headers, _ = await fetch(room)
        assert [pair for pair in headers if pair[0] != b"content-length"] == [
            (b"x-b", b"2"),
            (b"x-b", b"3"),
            (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2"),
            (b"x-a", b"1"),
            (b"x-e", b""),
        ]


@pytest.mark.parametrize(
    ("engine", "order"),
    [
        ("httpx", [b"1", b"a", b"2", b"b"]),
        ("asyncio", [b"1", b"a", b"2", b"b"]),
        ("pyreqwest", [b"1", b"2", b"a", b"b"]),
    ],
)
async def test_lines_of_one_name_move_together_in_pyreqwest(engine: str, order: list[bytes]) -> None:
    """Where lines of two names alternate, pyreqwest puts those of one name together, both ways, in order."""
    given = [(b"x-b", b"1"), (b"x-a", b"a"), (b"x-b", b"2"), (b"x-a", b"b")]
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        _answered(upstream, *(name + b": " + value for name, value in given))
        _, headers, _ = await fetch(room, outbound(headers=given))
        for seen in (headers, upstream.last.headers):
            assert [value for name, value in seen if name.startswith(b"x-")] == order


@pytest.mark.parametrize("value", ["\u00e9".encode(), b"\xe9", b"\xff\x80"])
async def test_response_header_beyond_ascii(value: bytes) -> None:
    """Bytes above 0x7F in a response header pass as they are, but pyreqwest cannot read them: 502."""
    async with fault_upstream() as upstream:
        _answered(upstream, b"X-Word: " + value)
        for engine in ("httpx", "asyncio"):
            async with opened(engine, upstream.origin) as room:
                _, headers, _ = await fetch(room)
                assert (b"x-word", value) in headers
        async with opened("pyreqwest", upstream.origin, max_connections=1) as room:
            for _ in range(2):
                with pytest.raises(failures.BadUpstreamResponse) as caught:
                    await fetch(room)
                assert caught.value.inner == "HeaderEncoding"


@every_engine
async def test_no_cookie_is_kept(engine: str) -> None:
    """What one caller's answer sets as a cookie never leaves with the next request."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        _answered(upstream, b"Set-Cookie: session=secret; Path=/")
        await fetch(room)
        await fetch(room)
        assert [request.values(b"cookie") for request in upstream.requests] == [[], []]


@every_engine
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(engine: str, status: int) -> None:
    """A redirect is an answer like any other, and nothing is fetched."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.default = faults.reply(status, headers=[(b"Location", b"/elsewhere")])
        got, headers, _ = await fetch(room)
        assert got == status
        assert (b"location", b"/elsewhere") in headers
        assert len(upstream.requests) == 1


@every_engine
@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd", b"deflate"])
async def test_nothing_is_decompressed(engine: str, coding: bytes) -> None:
    """A body with a content coding passes as it is, its header too, and no coding is asked for."""
    packed = gzip.compress(b"plain")
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        _answered(upstream, b"Content-Encoding: " + coding, body=packed)
        _, headers, body = await fetch(room)
        assert body == packed
        assert (b"content-encoding", coding) in headers
        assert upstream.last.values(b"accept-encoding") == []


@every_engine
async def test_environment_proxies_are_not_read(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and its kin lead nothing away: the bearer goes to the configured origin alone."""
    async with fault_upstream() as proxy, fault_upstream() as upstream:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.origin)
            monkeypatch.setenv(name.lower(), proxy.origin)
        async with opened(engine, upstream.origin) as room:
            await fetch(room, outbound(authorization="Bearer token"))
        assert proxy.connections == 0
        assert len(upstream.requests) == 1


@every_engine
async def test_configured_proxy_gets_the_absolute_form(engine: str) -> None:
    """A plain http upstream behind `upstream.proxy` is asked for in absolute form (RFC 9112, 3.2.2)."""
    async with fault_upstream() as proxy:
        async with opened(engine, "http://upstream.test", proxy=proxy.origin) as room:
            _, _, body = await fetch(room, outbound(b"/a%2Fb?c=%26&d"))
        assert body == b"hello"
        assert proxy.last.target == b"http://upstream.test/a%2Fb?c=%26&d"
        assert proxy.last.values(b"host") == [b"upstream.test"]


@every_engine
async def test_proxy_of_a_tls_upstream_sees_no_request(engine: str) -> None:
    """Towards https the proxy is told host and port; a tunnel it refuses proves that nothing was sent."""
    async with fault_upstream(faults.reply(403)) as proxy:
        async with opened(engine, "https://upstream.test", proxy=proxy.origin) as room:
            with pytest.raises(failures.UpstreamUnreachable):
                await fetch(room, outbound(b"/secret?sig=1", authorization="Bearer token"))
        assert proxy.last.method == b"CONNECT"
        assert proxy.last.target == b"upstream.test:443"
        assert b"sig" not in proxy.last.head
        assert proxy.last.values(b"authorization") == []


@every_engine
async def test_interim_responses_are_passed_over(engine: str) -> None:
    """100, 102 and 103 are not the answer: the final response is."""
    interim = b"".join(b"HTTP/1.1 %d Wait\r\nLink: </a>\r\n\r\n" % status for status in (100, 102, 103, 103))
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        upstream.default = faults.first(interim, faults.reply(200, b"final"))
        status, headers, body = await fetch(room, outbound(method="POST", body=b"x"))
        assert (status, body) == (200, b"final")
        assert not [name for name, _ in headers if name == b"link"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_connections_are_kept_but_by_httpx(engine: str) -> None:
    """A connection is reused, and never by httpx, since that would hand leftover bytes on."""
    async with fault_upstream() as upstream, opened(engine, upstream.origin) as room:
        for _ in range(3):
            await fetch(room)
        assert upstream.connections == (3 if engine == "httpx" else 1)


@every_engine
async def test_unusual_methods_pass(engine: str) -> None:
    """The method is the app's own, also one that no registry knows."""
    seen = []

    async def note(call: Call) -> None:
        seen.append(call.request.method)
        await faults.reply()(call)

    async with fault_upstream(note) as upstream, opened(engine, upstream.origin) as room:
        for method in ("DELETE", "OPTIONS", "PATCH", "PURGE"):
            await fetch(room, outbound(method=method))
    assert seen == [b"DELETE", b"OPTIONS", b"PATCH", b"PURGE"]
