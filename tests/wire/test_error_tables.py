"""Both error tables, row by row, over real sockets and on both engines.

First what the gateway makes of an upstream's error, then the failures of the gateway itself.
"""

import asyncio
import dataclasses
import gzip
import io
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
import trustme

from gateway.access_log import configure_logging
from gateway.app import Gateway, open_gateway
from gateway.failures import REGISTRY
from tests.support import faults
from tests.support.asgi_server import served
from tests.support.gateway import RunningGateway, running_gateway, settings_for
from tests.support.http1 import Pairs
from tests.support.issuer import Issuer
from tests.support.raw import RawResponse, raw_client
from tests.support.upstream import Call, FaultUpstream, fault_upstream
from tests.support.wire import TWIN, ask, assert_traced, connected, error_of, refused, request, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = (b"content-type", b"application/json")
CODE = b"x-ms-error-code"
NOT_FOUND: dict[str, Any] = {"code": "DigitalTwinNotFound", "message": "There is no such twin."}
CONFORMING = b'{"error": {"code": "DigitalTwinNotFound", "message": "There is no such twin."} }'
NESTED = (
    b'{"error":{"code":"DigitalTwinNotFound","message":"m","details":[{"code":"A","message":"b"}],'
    b'"innererror":{"code":"B","innererror":{"code":"C"}}}}'
)
PASSING: Pairs = [
    (b"retry-after", b"7"),
    (b"x-ms-request-id", b"r-1"),
    (b"etag", b'"1"'),
    (b"operation-location", b"https://elsewhere.example/jobs/1"),
]


async def _upstream_error(
    gateway: RunningGateway, upstream: FaultUpstream, status: int, body: bytes, *headers: tuple[bytes, bytes]
) -> RawResponse:
    """The app's answer to an error of the upstream that carries the headers every row must keep."""
    upstream.on("/digitaltwins/t1", faults.reply(status, body, [*PASSING, *headers]))
    response = await ask(gateway)
    assert response.status == status
    for name, value in PASSING:
        assert response.values(name) == [value]
    return response


def _normalised(response: RawResponse) -> str | None:
    value = response.value(b"x-gateway-error-normalised")
    return None if value is None else value.decode()


@pytest.mark.parametrize("body", [CONFORMING, NESTED])
async def test_conforming_error_keeps_its_bytes(
    gateway: RunningGateway, upstream: FaultUpstream, body: bytes
) -> None:
    """Row 1: a conforming body with an equal header passes byte for byte."""
    response = await _upstream_error(gateway, upstream, 404, body, JSON, (CODE, b"DigitalTwinNotFound"))
    assert response.body == body
    assert response.values(CODE) == [b"DigitalTwinNotFound"]
    assert response.values(b"content-type") == [JSON[1]]
    assert response.value(b"x-gateway-error-origin") == b"upstream"
    assert _normalised(response) is None
    assert_traced(response)


async def test_missing_header_is_added(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """Row 2: a conforming body without the header keeps its bytes and gets the header."""
    response = await _upstream_error(gateway, upstream, 404, CONFORMING, JSON)
    assert response.body == CONFORMING
    assert response.values(CODE) == [b"DigitalTwinNotFound"]


async def test_contradicting_header_follows_the_body(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """Row 3: where header and body name different codes, the body wins and keeps its bytes."""
    response = await _upstream_error(gateway, upstream, 400, CONFORMING, JSON, (CODE, b"JobLimitReached"))
    assert response.body == CONFORMING
    assert response.values(CODE) == [b"DigitalTwinNotFound"]


@dataclasses.dataclass(frozen=True)
class Row:
    """One error of the upstream that is rewritten, and what the app must read of it."""

    name: str
    status: int
    body: bytes
    headers: Pairs
    code: str
    message: str
    """Part of the message."""
    reason: str


SUB_DOMAIN = b'{"statusCode":404,"message":"Sub-domain not found."}'
HTML = b"<html><body><script>alert(1)</script><h1>502</h1></body></html>"
PROBLEM = (b"content-type", b"application/problem+json")
GZIP = (b"content-encoding", b"gzip")
REWRITTEN = (
    Row("header only", 403, b"", [(CODE, b"AuthorizationFailed")], "AuthorizationFailed", "403", "header-only"),
    Row("empty 403", 403, b"", [], "Forbidden", "role assignment", "empty"),
    Row("empty 401", 401, b"", [], "Unauthorized", "401", "empty"),
    Row("empty 404", 404, b"", [JSON], "NotFound", "404", "empty"),
    Row("empty 429", 429, b"", [], "TooManyRequests", "429", "empty"),
    Row("empty 502", 502, b"", [], "BadGateway", "502", "empty"),
    Row("empty 503", 503, b"", [], "ServiceUnavailable", "503", "empty"),
    Row("empty 504", 504, b"", [], "GatewayTimeout", "504", "empty"),
    Row("empty 418", 418, b"", [], "ClientError", "418", "empty"),
    Row("html", 502, HTML, [(b"content-type", b"text/html")], "BadGateway", "502", "html"),
    Row("html as json", 502, HTML, [JSON], "BadGateway", "502", "invalid-json"),
    Row("text", 503, b"busy now", [(b"content-type", b"text/plain")], "ServiceUnavailable", "busy", "text"),
    Row("wrong tenant", 404, SUB_DOMAIN, [JSON], "SubDomainNotFound", "Sub-domain not found.", "sub-domain"),
    Row("its hint", 404, SUB_DOMAIN, [JSON], "SubDomainNotFound", "upstream.base_url", "sub-domain"),
    Row(
        "oauth", 401, b'{"error":"invalid_token","error_description":"It has expired."}',
        [JSON, (b"www-authenticate", b'Bearer error="invalid_token"')],
        "invalid_token", "It has expired.", "oauth",
    ),
    Row("top level", 400, b'{"code":"InvalidArgument","message":"Bad."}', [JSON],
        "InvalidArgument", "Bad.", "top-level"),
    Row("casing", 404, b'{"Error":{"Code":"DigitalTwinNotFound","Message":"None."}}', [JSON],
        "DigitalTwinNotFound", "None.", "casing"),
    Row("problem with code", 409, b'{"code":"Taken","detail":"Has it.","title":"T"}', [PROBLEM],
        "Taken", "Has it.", "problem-json"),
    Row("problem with type", 409, b'{"type":"https://e.example/Taken","title":"Has it."}', [PROBLEM],
        "Taken", "Has it.", "problem-json"),
    Row("bare problem", 409, b'{"type":"about:blank","title":"Has it."}', [PROBLEM],
        "Conflict", "Has it.", "problem-json"),
    Row("no json", 500, b"oops", [JSON], "InternalServerError", "500", "invalid-json"),
    Row("cut json", 500, CONFORMING[:-9], [JSON], "InternalServerError", "500", "invalid-json"),
    Row("gzip", 404, gzip.compress(CONFORMING), [JSON, GZIP],
        "DigitalTwinNotFound", "There is no such twin.", "encoding"),
    Row("broken gzip", 404, gzip.compress(CONFORMING)[:-9], [JSON, GZIP], "NotFound", "404", "encoding"),
    Row("unknown coding", 404, b"\x00\x01", [JSON, (b"content-encoding", b"br")], "NotFound", "404", "encoding"),
    Row("too deep", 400, b'{"error":{"code":"A","message":"b","innererror":' + b'{"innererror":' * 60 + b"{}"
        + b"}" * 60 + b"}}", [JSON], "A", "b", "too-deep"),
)  # fmt: skip


@pytest.mark.parametrize("row", REWRITTEN, ids=lambda row: row.name)
async def test_other_errors_become_error_responses(
    gateway: RunningGateway, upstream: FaultUpstream, row: Row
) -> None:
    """Rows 4 to 10: every other shape becomes an ErrorResponse that says what the upstream's said."""
    response = await _upstream_error(gateway, upstream, row.status, row.body, *row.headers)
    error = error_of(response, origin="upstream")
    assert error["code"] == row.code
    assert row.message in error["message"]
    assert _normalised(response) == row.reason
    assert response.value(b"content-encoding") is None
    assert response.value(b"www-authenticate") is None
    assert b"<" not in response.body


async def test_gzipped_conforming_error_keeps_its_content(
    gateway: RunningGateway, upstream: FaultUpstream
) -> None:
    """A conforming body behind a content coding is taken out of it and else left as it is."""
    response = await _upstream_error(gateway, upstream, 404, gzip.compress(CONFORMING), JSON, GZIP)
    assert response.body == CONFORMING


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
async def test_head_error_has_headers_only(
    gateway: RunningGateway, upstream: FaultUpstream, status: int
) -> None:
    """Row 11: an error to HEAD keeps its status and length, gets its headers and no body."""
    upstream.on("/digitaltwins/t1", faults.reply(status, CONFORMING, [JSON]))
    async with connected(gateway) as client:
        await client.send(request(method="HEAD"))
        response = await client.response("HEAD")
        assert (response.status, response.value(b"content-length")) == (status, b"%d" % len(CONFORMING))
        assert response.value(b"x-gateway-error-origin") == b"upstream"
        await client.send(request(method="HEAD"))
        assert (await client.response("HEAD")).status == status


@pytest.mark.parametrize("status", [200, 201, 204, 302, 304])
async def test_answers_below_400_are_untouched(
    gateway: RunningGateway, upstream: FaultUpstream, status: int
) -> None:
    """Row 11: what is no error gets no error header, even where its body looks like one."""
    upstream.on("/digitaltwins/t1", faults.reply(status, CONFORMING, [JSON]))
    response = await ask(gateway)
    assert response.status == status
    assert response.body == (b"" if status in {204, 304} else CONFORMING)
    names = {name for name, _ in response.headers}
    assert not names & {CODE, b"x-gateway-error-origin", b"x-gateway-error-normalised"}


async def test_large_error_passes_unread(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """An error body over 64 KiB passes as it is, and says where it comes from."""
    page = b"<html>" + b"x" * 1_000_000
    response = await _upstream_error(gateway, upstream, 500, page, (b"content-type", b"text/html"))
    assert response.body == page
    assert response.value(b"x-gateway-error-origin") == b"upstream"


async def test_retry_after_is_never_invented(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """429 and 503 of the upstream without Retry-After get none."""
    for status in (429, 503):
        upstream.on("/digitaltwins/t1", faults.reply(status))
        assert (await ask(gateway)).value(b"retry-after") is None


async def test_failed_job_is_no_error(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """A failed job is a 200 whose `error` member is the job's own: it passes byte for byte."""
    body = json.dumps({"id": "job-1", "status": "failed", "error": NOT_FOUND}).encode()
    upstream.on("/jobs/imports/job-1", faults.reply(200, body, [JSON]))
    response = await ask(gateway, "/jobs/imports/job-1?api-version=2023-10-31")
    assert (response.status, response.body, response.value(CODE)) == (200, body, None)


@pytest.mark.parametrize("status", [401, 403])
async def test_challenge_survives_where_the_app_holds_the_token(
    engine: str, upstream: FaultUpstream, status: int
) -> None:
    """In passthrough mode WWW-Authenticate reaches the app unchanged, and so did its token the upstream."""
    challenge = (
        b'Bearer authorization_uri="https://login.example/t", error="insufficient_claims", claims="e30="'
    )
    upstream.on("/digitaltwins/t1", faults.reply(status, b"", [(b"www-authenticate", challenge)]))
    async with running_gateway(
        upstream.origin, upstream={"engine": engine}, auth={"mode": "passthrough"}
    ) as gateway:
        response = await ask(gateway, headers=[(b"authorization", b"Bearer the-apps-own")])
    assert response.values(b"www-authenticate") == [challenge]
    assert upstream.last.values(b"authorization") == [b"Bearer the-apps-own"]


WRITES = ("POST", "PATCH")
METHODS = ("GET", "HEAD", "PUT", "DELETE", *WRITES)


@asynccontextmanager
async def _gateway(engine: str, origin: str, **sections: Any) -> AsyncIterator[RunningGateway]:
    upstream = {"engine": engine, **sections.pop("upstream", {})}
    async with running_gateway(origin, upstream=upstream, **sections) as gateway:
        yield gateway


def _gateways_own(response: RawResponse, method: str, code: str, status: int, *, retry_after: bool) -> None:
    """What holds for a failure of the gateway; HEAD has the headers alone."""
    assert response.status == status
    assert response.value(CODE) == code.encode()
    assert response.value(b"x-gateway-error-origin") == b"gateway"
    assert response.value(b"x-gateway-error-normalised") is None
    assert (response.value(b"retry-after") is not None) == retry_after
    assert_traced(response)
    if method != "HEAD":
        assert error_of(response)["code"] == code


@pytest.mark.parametrize("cause", ["ConnectionRefused", "NameResolution", "Tls"])
async def test_unreachable(engine: str, cause: str) -> None:
    """Nothing was sent: 503 with Retry-After for every method, POST included, and the cause."""
    with closing(socket.socket()) as held:
        held.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{held.getsockname()[1]}"
        more: dict[str, Any] = {}
        if cause == "NameResolution":
            origin, more = "http://upstream.invalid", {"allow_plain_http": True}
        async with fault_upstream(tls=trustme.CA()) as unknown:
            if cause == "Tls":
                origin = unknown.origin
            async with _gateway(engine, origin, upstream=more) as gateway:
                for method in METHODS:
                    response = await ask(gateway, method=method)
                    _gateways_own(response, method, "GatewayUpstreamUnreachable", 503, retry_after=True)
                error = error_of(await ask(gateway))
                assert error["innererror"] == {"code": cause}
            assert unknown.requests == []


async def test_timeout(engine: str, upstream: FaultUpstream) -> None:
    """Sent and no answer in time: 504, but 502 for POST and PATCH; no Retry-After; each sent once."""
    upstream.on("/digitaltwins/t1", faults.never())
    async with _gateway(engine, upstream.origin, upstream={"timeout": {"first_byte": 0.2}}) as gateway:
        bodies = [b"{}" if method in {"PUT", *WRITES} else None for method in METHODS]
        asked = [ask(gateway, method=each, body=body) for each, body in zip(METHODS, bodies, strict=True)]
        answers = await asyncio.gather(*asked)
    for method, response in zip(METHODS, answers, strict=True):
        status = 502 if method in WRITES else 504
        _gateways_own(response, method, "GatewayUpstreamTimeout", status, retry_after=False)
    assert sorted(seen.method.decode() for seen in upstream.requests) == sorted(METHODS)


@pytest.mark.parametrize("method", METHODS)
async def test_connection_lost(gateway: RunningGateway, upstream: FaultUpstream, method: str) -> None:
    """Sent, and the connection broke: 502 without Retry-After; only GET and HEAD were sent once more."""
    upstream.on("/digitaltwins/t1", faults.cut(b"HTTP/1.1 200"))
    response = await ask(gateway, method=method, body=b"{}" if method in {"PUT", *WRITES} else None)
    _gateways_own(response, method, "GatewayUpstreamConnectionLost", 502, retry_after=False)
    assert len(upstream.requests) == (2 if method in {"GET", "HEAD"} else 1)


BAD_RESPONSES = {
    "no http": b"garbage\r\n\r\n",
    "length and coding": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
    "unasked 101": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "huge head": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 1_048_576 + b"\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@pytest.mark.parametrize("shape", BAD_RESPONSES)
async def test_bad_upstream_response(
    gateway: RunningGateway, upstream: FaultUpstream, shape: str, method: str
) -> None:
    """An answer that is not HTTP, is ambiguous or breaks a limit: 502, no Retry-After, sent once."""
    upstream.on("/digitaltwins/t1", faults.cut(BAD_RESPONSES[shape]))
    response = await ask(gateway, method=method, body=None if method == "GET" else b"{}")
    _gateways_own(response, method, "GatewayBadUpstreamResponse", 502, retry_after=False)
    assert len(upstream.requests) == 1


async def test_token_unavailable(engine: str, upstream: FaultUpstream) -> None:
    """No token: 503 with Retry-After for every method, no secret in it, and nothing sent upstream."""
    async with Issuer(status=500) as issuer:
        oauth2 = {"token_url": issuer.url, "client_id": "app", "client_secret": "right-secret"}
        async with _gateway(engine, upstream.origin, auth={"mode": "oauth2", "oauth2": oauth2}) as gateway:
            for method in METHODS:
                response = await ask(gateway, method=method)
                _gateways_own(response, method, "GatewayTokenUnavailable", 503, retry_after=True)
                assert b"right-secret" not in response.body
    assert upstream.requests == []


async def test_overloaded(engine: str, upstream: FaultUpstream) -> None:
    """Every connection in use: 503 with Retry-After for every method, and nothing sent."""
    gate = asyncio.Event()
    upstream.on("/busy", faults.gated(gate, faults.reply()))
    settings = {"max_connections": 1, "timeout": {"pool": 0.05}}
    async with _gateway(engine, upstream.origin, upstream=settings) as gateway:
        busy = asyncio.create_task(ask(gateway, "/busy"))
        await upstream.received(1)
        for method in METHODS:
            response = await ask(gateway, method=method)
            _gateways_own(response, method, "GatewayOverloaded", 503, retry_after=True)
        assert len(upstream.requests) == 1
        gate.set()
        assert (await busy).status == 200


@asynccontextmanager
async def _served(engine: str, upstream: FaultUpstream) -> AsyncIterator[Gateway]:
    """The parts of a gateway, for a test that has to reach into them."""
    settings = settings_for(upstream.origin, upstream={"engine": engine})
    with closing(configure_logging(settings.log, io.StringIO())) as log:
        async with open_gateway(settings, {}, log) as gateway:
            yield gateway


async def _asked(port: int, method: str) -> RawResponse:
    async with raw_client("127.0.0.1", port) as client:
        await client.send(request(method=method))
        return await client.response(method)


async def test_draining(engine: str, upstream: FaultUpstream) -> None:
    """A request that comes once the listener has closed: 503 with Retry-After, and nothing sent."""
    async with _served(engine, upstream) as gateway, served(gateway.data_app) as port:
        gateway.drain.close()
        for method in METHODS:
            response = await _asked(port, method)
            _gateways_own(response, method, "GatewayDraining", 503, retry_after=True)
            assert response.value(b"connection") == b"close"
    assert upstream.requests == []


class _Bug:
    """Stands where an answer is shaped, and fails as only a bug does."""

    async def shape(self, *_: object) -> None:
        raise ZeroDivisionError("secret detail")


async def test_internal(engine: str, upstream: FaultUpstream) -> None:
    """A bug: 500, but 502 for POST and PATCH once sent, and the message says only the trace id."""
    async with _served(engine, upstream) as gateway:
        proxy = dataclasses.replace(gateway.data_app.router.default, answers=_Bug())  # type: ignore[type-var]
        async with served(proxy) as port:
            for method in METHODS:
                response = await _asked(port, method)
                status = 502 if method in WRITES else 500
                _gateways_own(response, method, "GatewayInternal", status, retry_after=False)
                if method != "HEAD":
                    trace_id = (response.value(b"traceresponse") or b"").split(b"-")[1].decode()
                    assert error_of(response)["message"] == f"Internal error, trace id {trace_id}."


async def test_request_invalid(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """Framing that could be read in two ways: 400, and nothing sent."""
    both = [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")]
    response = await told(gateway, request(TWIN, "POST", both) + b"0\r\n\r\n")
    refused(response, 400, "GatewayRequestInvalid")
    assert upstream.requests == []


async def test_request_too_large(engine: str, upstream: FaultUpstream) -> None:
    """A body over the limit: 413; a head over the limit: 431; both name the key that allows more."""
    async with _gateway(
        engine, upstream.origin, limits={"request_body": 1000, "head_bytes": 1024}
    ) as gateway:
        body = await ask(gateway, method="PUT", body=b"x" * 1001)
        assert "limits.request_body" in refused(body, 413, "GatewayRequestTooLarge")
        head = await ask(gateway, headers=[(b"x-a", b"a" * 1024)])
        assert "limits.head_bytes" in refused(head, 431, "GatewayRequestTooLarge")
        assert (await ask(gateway, method="PUT", body=b"x" * 1000)).status == 200
    assert [seen.size for seen in upstream.requests] == [1000]


async def test_request_timeout(engine: str, upstream: FaultUpstream) -> None:
    """An app too slow with its head or its body: 408, and no complete request upstream."""
    limits = {"head_timeout": 0.2, "body_idle": 0.2}
    async with _gateway(engine, upstream.origin, limits=limits) as gateway:
        head = await told(gateway, b"GET / HTTP/1.1\r\nHost: local")
        assert "limits.head_timeout" in refused(head, 408, "GatewayRequestTimeout")
        body = await told(gateway, request(method="PUT", headers=[(b"content-length", b"5")]) + b"ab")
        assert "limits.body_idle" in refused(body, 408, "GatewayRequestTimeout")
    assert not any(seen.complete for seen in upstream.requests)


async def test_unauthorized(engine: str, upstream: FaultUpstream) -> None:
    """Inbound authentication failed: 401 with a challenge, and nothing sent."""
    inbound = {"keys": {"app": "k" * 32}}
    async with _gateway(engine, upstream.origin, auth={"mode": "none", "inbound": inbound}) as gateway:
        response = await ask(gateway)
    refused(response, 401, "GatewayUnauthorized")
    assert response.value(b"www-authenticate") == b'Bearer realm="adt-gateway"'
    assert upstream.requests == []


async def test_misdirected(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """A Host that is not this gateway: 421, and nothing sent."""
    refused(await ask(gateway, host="evil.example"), 421, "GatewayMisdirected")
    assert upstream.requests == []


async def test_forbidden(engine: str, upstream: FaultUpstream) -> None:
    """A denied route and a foreign page: 403, and nothing sent."""
    async with _gateway(engine, upstream.origin, routes={"deny": ["POST /jobs/deletions"]}) as gateway:
        refused(await ask(gateway, "/jobs/deletions", "POST"), 403, "GatewayForbidden")
        foreign = await ask(gateway, headers=[(b"origin", b"https://evil.example")])
        refused(foreign, 403, "GatewayForbidden")
    assert upstream.requests == []


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
async def test_method_not_allowed(gateway: RunningGateway, upstream: FaultUpstream, method: str) -> None:
    """TRACE and CONNECT: 405 that names what is allowed, echoes nothing, and nothing is sent."""
    target = "/echo-me" if method == "TRACE" else "upstream.example:443"
    response = await ask(gateway, target, method, [(b"x-secret", b"canary")])
    refused(response, 405, "GatewayMethodNotAllowed")
    assert b"GET" in (response.value(b"allow") or b"")
    assert b"canary" not in response.body
    assert b"echo-me" not in response.body
    assert upstream.requests == []


async def test_every_row_of_the_registry_has_a_test() -> None:
    """No failure of the gateway is without a test in this module."""
    here = {name.removeprefix("test_").replace("_", "") for name in globals()}
    aliases = {"GatewayUpstreamUnreachable": "unreachable", "GatewayUpstreamTimeout": "timeout",
               "GatewayUpstreamConnectionLost": "connectionlost"}  # fmt: skip
    for code in REGISTRY:
        assert aliases.get(code, code.removeprefix("Gateway").lower()) in here
