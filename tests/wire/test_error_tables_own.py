"""The failures of the gateway itself, row by row of the registry, over real sockets and on every engine."""

import asyncio
import dataclasses
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
import trustme

from gateway.config import Limits
from gateway.crowd import bounded_protocol
from gateway.failures import REGISTRY
from gateway.proxy import Proxy
from tests.support import faults
from tests.support.asgi_server import served
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.issuer import Issuer
from tests.support.raw import RawResponse, raw_client
from tests.support.upstream import FaultUpstream, fault_upstream
from tests.support.wire import IMPORT, ask, assert_traced, error_of, opened_gateway, refused, request, told

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE = b"x-ms-error-code"
STRICT = bounded_protocol(Limits(), 100)
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
    assert (response.value(b"retry-after") is not None) == retry_after
    assert_traced(response)
    if method != "HEAD":
        assert error_of(response)["code"] == code


@pytest.mark.parametrize("cause", ["ConnectionRefused", "NameResolution", "Tls"])
async def test_upstream_unreachable(engine: str, cause: str) -> None:
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
                assert error_of(await ask(gateway))["innererror"] == {"code": cause}
            assert unknown.requests == []


async def test_upstream_timeout(engine: str, upstream: FaultUpstream) -> None:
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
async def test_upstream_connection_lost(
    gateway: RunningGateway, upstream: FaultUpstream, method: str, engine: str
) -> None:
    """Sent, and the connection broke: 502 without Retry-After.

    Only GET and HEAD were sent once more, and only where connections are kept and may have died.
    """
    assert (await ask(gateway, "/answered")).status == 200
    upstream.requests.clear()
    upstream.on("/digitaltwins/t1", faults.cut(b"HTTP/1.1 200"))
    response = await ask(gateway, method=method, body=b"{}" if method in {"PUT", *WRITES} else None)
    _gateways_own(response, method, "GatewayUpstreamConnectionLost", 502, retry_after=False)
    assert len(upstream.requests) == (2 if method in {"GET", "HEAD"} and engine == "pyreqwest" else 1)


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
@pytest.mark.parametrize("shape", faults.NO_RESPONSES)
async def test_bad_upstream_response(
    gateway: RunningGateway, upstream: FaultUpstream, shape: str, method: str
) -> None:
    """An answer that is not HTTP, is ambiguous or breaks a limit: 502, no Retry-After, sent once."""
    upstream.on("/digitaltwins/t1", faults.cut(faults.NO_RESPONSES[shape]))
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


async def test_circuit_open(engine: str, upstream: FaultUpstream) -> None:
    """The upstream failed too often: 503 with Retry-After for every method, and nothing sent."""
    upstream.on("/digitaltwins/t1", faults.reply(500))
    circuit = {"failures": 1, "volume": 1, "open_for": 60.0}
    async with _gateway(engine, upstream.origin, upstream={"circuit": circuit}) as gateway:
        assert (await ask(gateway)).status == 500
        for method in METHODS:
            response = await ask(gateway, method=method)
            _gateways_own(response, method, "GatewayCircuitOpen", 503, retry_after=True)
    assert len(upstream.requests) == 1


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


async def test_rate_limited(engine: str, upstream: FaultUpstream) -> None:
    """No turn within the time the app can wait: 429 with Retry-After for every method, and nothing sent."""
    async with _gateway(engine, upstream.origin, jobs={"rate": 0.01, "max_wait": 0}) as gateway:
        assert (await ask(gateway, IMPORT)).status == 200
        for method in METHODS:
            response = await ask(gateway, IMPORT, method)
            _gateways_own(response, method, "GatewayRateLimited", 429, retry_after=True)
    assert len(upstream.requests) == 1


async def _asked(port: int, method: str) -> RawResponse:
    async with raw_client("127.0.0.1", port) as client:
        await client.send(request(method=method))
        return await client.response(method)


async def test_draining(engine: str, upstream: FaultUpstream) -> None:
    """A request that comes once the listener has closed: 503 with Retry-After, and nothing sent."""
    parts = opened_gateway(upstream.origin, upstream={"engine": engine})
    async with parts as gateway, served(gateway.data_app, http=STRICT) as port:
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
    async with opened_gateway(upstream.origin, upstream={"engine": engine}) as gateway:
        running = gateway.data_app.middleware_stack
        assert isinstance(running, Proxy)
        proxy = dataclasses.replace(running, answers=_Bug())  # type: ignore[arg-type]  # on purpose
        async with served(proxy, http=STRICT) as port:
            for method in METHODS:
                response = await _asked(port, method)
                status = 502 if method in WRITES else 500
                _gateways_own(response, method, "GatewayInternal", status, retry_after=False)
                if method != "HEAD":
                    trace_id = (response.value(b"traceresponse") or b"").split(b"-")[1].decode()
                    assert error_of(response)["message"] == f"Internal error, trace id {trace_id}."


async def test_request_invalid(gateway: RunningGateway, upstream: FaultUpstream) -> None:
    """Framing that could be read in two ways: 400, and nothing sent."""
    response = await told(gateway, request(headers=[(b"transfer-encoding", b"chunked")], body=b"abc"))
    refused(response, 400, "GatewayRequestInvalid")
    assert upstream.requests == []


async def test_request_too_large(engine: str, upstream: FaultUpstream) -> None:
    """A body over the limit: 413; a head over the limit: 431; both name the key that allows more."""
    limits = {"request_body": 1000, "head_bytes": 1024}
    async with _gateway(engine, upstream.origin, limits=limits) as gateway:
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
    async with _gateway(engine, upstream.origin, auth={"inbound": {"keys": {"app": "k" * 32}}}) as gateway:
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
        refused(await ask(gateway, headers=[(b"origin", b"null")]), 403, "GatewayForbidden")
    assert upstream.requests == []


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
async def test_method_not_allowed(gateway: RunningGateway, upstream: FaultUpstream, method: str) -> None:
    """TRACE and CONNECT: 405 that names what is allowed, echoes nothing, and nothing is sent."""
    target = "/echo-me" if method == "TRACE" else "upstream.example:443"
    response = await ask(gateway, target, method, [(b"x-secret", b"canary")])
    refused(response, 405, "GatewayMethodNotAllowed")
    assert b"GET" in (response.value(b"allow") or b"")
    assert not any(text in response.body for text in (b"canary", b"echo-me"))
    assert upstream.requests == []


async def test_every_row_of_the_registry_has_a_test() -> None:
    """No failure of the gateway is without a test in this module."""
    here = {name.removeprefix("test_").replace("_", "") for name in globals()}
    assert {code.removeprefix("Gateway").lower() for code in REGISTRY} <= here
