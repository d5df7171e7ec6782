"""Malformed and hostile requests: refused as an ErrorResponse, the connection closed, nothing sent upstream.

Nothing here depends on the engine, so one does.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.gateway import RunningGateway, running_gateway
from tests.support.upstream import FaultUpstream
from tests.support.wire import chunked, connected, error_of, refused, request, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = b"Host: localhost\r\n"
GET = b"GET /models HTTP/1.1\r\n"
PUT = b"PUT /digitaltwins/t HTTP/1.1\r\n" + HOST
CHUNKED = PUT + b"Transfer-Encoding: chunked\r\n\r\n"
INVALID = {
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "http/0.9": b"GET /models\r\n\r\n",
    "http/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "version 1.2": b"GET /models HTTP/1.2\r\n" + HOST + b"\r\n",
    "version 2.0": b"GET /models HTTP/2.0\r\n" + HOST + b"\r\n",
    "lower-case version": b"GET /models http/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /models \r\n" + HOST + b"\r\n",
    "lower-case method": b"get /models HTTP/1.1\r\n" + HOST + b"\r\n",
    "unknown method": b"FETCH /models HTTP/1.1\r\n" + HOST + b"\r\n",
    "method with a control": b"GE\x00T /models HTTP/1.1\r\n" + HOST + b"\r\n",
    "tab for space": b"GET\t/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in the target": b"GET /mod els HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute form": b"GET http://localhost/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute form, other host": b"GET http://evil.example/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "absolute form, https": b"GET https://evil.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "authority form": b"GET localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk form": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "userinfo": b"GET @evil.example/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "two slashes": b"GET //evil.example/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "slash and backslash": b"GET /\\evil.example/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "empty segment": b"GET /models//x HTTP/1.1\r\n" + HOST + b"\r\n",
    "dot segment": b"GET /jobs/../models HTTP/1.1\r\n" + HOST + b"\r\n",
    "encoded dot segment": b"GET /jobs/%2e%2E/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "half encoded dot segment": b"GET /jobs/.%2e/models HTTP/1.1\r\n" + HOST + b"\r\n",
    "dot segment behind %2F": b"GET /jobs/a%2F..%2Fb HTTP/1.1\r\n" + HOST + b"\r\n",
    "encoded backslash": b"GET /jobs/a%5Cb HTTP/1.1\r\n" + HOST + b"\r\n",
    "encoded zero": b"GET /models/%00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "encoded line break": b"GET /models/a%0D%0Ab HTTP/1.1\r\n" + HOST + b"\r\n",
    "broken escape": b"GET /models/%zz HTTP/1.1\r\n" + HOST + b"\r\n",
    "cut escape": b"GET /models/%2 HTTP/1.1\r\n" + HOST + b"\r\n",
    "raw byte in the path": b"GET /models/\xc3\xa9 HTTP/1.1\r\n" + HOST + b"\r\n",
    "quote in the path": b'GET /models/"a" HTTP/1.1\r\n' + HOST + b"\r\n",
    "braces in the query": b"GET /models?a={b} HTTP/1.1\r\n" + HOST + b"\r\n",
    "angles in the query": b"GET /models?a=<b> HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment": b"GET /models#top HTTP/1.1\r\n" + HOST + b"\r\n",
    "no host": GET + b"\r\n",
    "empty host": GET + b"Host: \r\n\r\n",
    "two hosts": GET + HOST + HOST + b"\r\n",
    "two hosts, one evil": GET + HOST + b"Host: evil.example\r\n\r\n",
    "hosts in a list": GET + b"Host: localhost, evil.example\r\n\r\n",
    "host with userinfo": GET + b"Host: user@localhost\r\n\r\n",
    "host with path": GET + b"Host: localhost/evil\r\n\r\n",
    "host with a space": GET + b"Host: local host\r\n\r\n",
    "host with a long port": GET + b"Host: localhost:808080\r\n\r\n",
    "obs-fold": GET + HOST + b"X-A: 1\r\n 2\r\n\r\n",
    "fold before the first header": GET + b" X-A: 1\r\n" + HOST + b"\r\n",
    "space before the colon": GET + HOST + b"X-A : 1\r\n\r\n",
    "no colon": GET + HOST + b"X-A\r\n\r\n",
    "empty name": GET + HOST + b": 1\r\n\r\n",
    "name with a space": GET + HOST + b"X A: 1\r\n\r\n",
    "name with a control": GET + HOST + b"X\x01A: 1\r\n\r\n",
    "name beyond ascii": GET + HOST + b"X-\xc3\xa9: 1\r\n\r\n",
    "zero in a value": GET + HOST + b"X-A: 1\x002\r\n\r\n",
    "control in a value": GET + HOST + b"X-A: 1\x072\r\n\r\n",
    "bare CR in a value": GET + HOST + b"X-A: 1\rX-B: 2\r\n\r\n",
    "latin-1 in a value": GET + HOST + b"X-A: \xe9\r\n\r\n",
    "bare LF": b"GET /models HTTP/1.1\nHost: localhost\n\n",
    "twin of a header of ours": GET + HOST + b"x_ms_error_code: 1\r\n\r\n",
    "twin of Content-Length": PUT + b"Content_Length: 3\r\n\r\nabc",
    "length and coding": PUT + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": PUT + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": PUT + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "the same length twice": PUT + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "lengths in a list": PUT + b"Content-Length: 3, 3\r\n\r\nabc",
    "negative length": PUT + b"Content-Length: -3\r\n\r\nabc",
    "signed length": PUT + b"Content-Length: +3\r\n\r\nabc",
    "hexadecimal length": PUT + b"Content-Length: 0x3\r\n\r\nabc",
    "empty length": PUT + b"Content-Length: \r\n\r\n",
    "endless length": PUT + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "coding twice": PUT + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": PUT + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding identity": PUT + b"Transfer-Encoding: identity\r\n\r\n",
    "gzip, chunked": PUT + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked, identity": PUT + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "quoted chunked": PUT + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "coding with a tab": PUT + b"Transfer-Encoding:\tchunked\x0b\r\n\r\n0\r\n\r\n",
    "coding in http/1.0": PUT.replace(b"1.1", b"1.0") + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk size no hex": CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n",
    "chunk size negative": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "chunk size with 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "chunk size endless": CHUNKED + b"f" * 40 + b"\r\nabc\r\n0\r\n\r\n",
    "chunk longer than its size": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "chunk without CR": CHUNKED + b"3\nabc\n0\n\n",
    "two Content-Type": PUT + b"Content-Type: a/b\r\nContent-Type: c/d\r\nContent-Length: 0\r\n\r\n",
}


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


@pytest.mark.parametrize("shape", INVALID)
async def test_what_is_not_one_clear_request_is_refused(
    gateway: RunningGateway, upstream: FaultUpstream, shape: str
) -> None:
    """Anything that two servers could read in two ways: 400 in our shape, closed, nothing whole upstream."""
    await _refused_and_closed(gateway, INVALID[shape], 400, "GatewayRequestInvalid")
    assert not any(seen.complete for seen in upstream.requests)


@pytest.mark.parametrize("shape", INVALID)
async def test_refusal_holds_however_the_bytes_arrive(
    gateway: RunningGateway, upstream: FaultUpstream, shape: str
) -> None:
    """The same, with every byte handed over by itself."""
    data = INVALID[shape]
    async with connected(gateway) as client:
        await client.send(*(data[at : at + 1] for at in range(len(data))))
        refused(await client.response(), 400, "GatewayRequestInvalid")
    assert not any(seen.complete for seen in upstream.requests)


LENIENT = {
    "two spaces": b"GET  /models HTTP/1.1\r\n" + HOST + b"\r\n",
    "spaces before a value": GET + b"Host: \t localhost\r\n\r\n",
    "no space behind the colon": GET + b"Host:localhost\r\n\r\n",
    "empty lines before": b"\r\n\r\n" + GET + HOST + b"\r\n",
    "Chunked in capitals": GET + HOST + b"Transfer-Encoding: CHUNKED\r\n\r\n0\r\n\r\n",
    "leading zeros": GET + HOST + b"Content-Length: 0000\r\n\r\n",
}


@pytest.mark.parametrize("shape", LENIENT)
async def test_what_has_one_reading_is_forwarded_clean(
    gateway: RunningGateway, upstream: FaultUpstream, shape: str
) -> None:
    """Odd but unambiguous requests go out as one request that is not odd any more."""
    response = await told(gateway, LENIENT[shape])
    assert response.status == 200
    [seen] = upstream.requests
    assert seen.head.startswith(b"GET /models HTTP/1.1\r\n")
    assert seen.values(b"host") == [upstream.origin.removeprefix("http://").encode()]
    assert (seen.complete, seen.size) == (True, 0)


async def test_nothing_behind_a_refusal_is_read(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """What follows a refused request on its connection is not taken for a request."""
    async with connected(gateway) as client:
        await client.send(INVALID["length and coding"] + request("/smuggled"))
        refused(await client.response(), 400, "GatewayRequestInvalid")
        assert await client.closed()
    assert upstream.requests == []


async def test_refused_request_echoes_nothing(gateway: RunningGateway) -> None:
    """No refusal repeats what the client wrote."""
    for shape in INVALID.values():
        response = await told(gateway, shape.replace(b"evil", b"canary").replace(b"X-A", b"X-Canary"))
        assert b"canary" not in response.body.lower()


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
        error_of(await told(gateway, INVALID["length and coding"]))
        error_of(await told(gateway, INVALID["two slashes"]))
        error_of(await told(gateway, b"TRACE / HTTP/1.1\r\n" + HOST + b"\r\n"))
    told_codes = [(line["status"], line["error_code"], line["attempts"]) for line in gateway.exchanges()]
    assert told_codes == [
        (400, "GatewayRequestInvalid", 0),
        (400, "GatewayRequestInvalid", 0),
        (405, "GatewayMethodNotAllowed", 0),
    ]
