"""A repeat that does not come about: the failure before it stays the answer, and no retry is counted."""

import asyncio

import pytest

from tests.support import faults
from tests.support.door import door_to
from tests.support.gateway import running_gateway
from tests.support.issuer import Issuer
from tests.support.raw import RawClient
from tests.support.upstream import FaultUpstream, fault_upstream
from tests.support.wire import (
    DELETIONS,
    IMPORT,
    MODELS,
    TWIN,
    admin,
    ask,
    connected,
    error_of,
    request,
    sample,
    until,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEAD = "http://127.0.0.1:9"
RETRIES = 'adt_gateway_retries_total{{reason="{}"}}'
NO_SECOND_TURN = {"rate": 0.05, "max_wait": 1.0}
"""A turn every 20 s, for which nobody waits so long."""


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PUT", b"{}"), ("POST", b"{}")])
async def test_no_turn_for_a_second_try(engine: str, method: str, body: bytes | None) -> None:
    """The upstream cannot be reached, which is the answer: not that there is no turn to try again."""
    target = DELETIONS if method == "POST" else IMPORT
    settings = {"engine": engine}
    async with running_gateway(DEAD, upstream=settings, jobs=NO_SECOND_TURN) as gateway:
        response = await ask(gateway, target, method, body=body)
        assert (response.status, error_of(response)["code"]) == (503, "GatewayUpstreamUnreachable")
        assert response.value(b"retry-after") == b"1"
        assert await sample(gateway, RETRIES.format("unreachable")) == 0
    [line] = gateway.exchanges()
    assert line["attempts"] == 1


async def test_no_turn_after_a_dead_connection() -> None:
    """A read that may have been carried out is told as lost, and not as one of which nothing was sent."""
    async with fault_upstream() as upstream:
        upstream.on(IMPORT.partition("?")[0], faults.cut())
        async with running_gateway(upstream.origin, jobs=NO_SECOND_TURN) as gateway:
            assert (await ask(gateway, MODELS)).status == 200
            response = await ask(gateway, IMPORT)
            assert (response.status, error_of(response)["code"]) == (502, "GatewayUpstreamConnectionLost")
            assert await sample(gateway, RETRIES.format("stale_connection")) == 0


async def test_no_turn_after_a_401(engine: str, upstream: FaultUpstream) -> None:
    """A retry with a new token that gets no turn was not made, so it is not counted."""
    upstream.on(IMPORT.partition("?")[0], faults.reply(401))
    async with Issuer() as issuer:
        oauth2 = {"token_url": issuer.url, "client_id": "app", "client_secret": issuer.secret}
        auth = {"mode": "oauth2", "oauth2": oauth2}
        settings = {"engine": engine}
        async with running_gateway(
            upstream.origin, upstream=settings, jobs=NO_SECOND_TURN, auth=auth
        ) as gateway:
            response = await ask(gateway, IMPORT, "DELETE")
            assert (response.status, error_of(response)["code"]) == (429, "GatewayRateLimited")
            assert await sample(gateway, RETRIES.format("token")) == 0
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("target", [TWIN, MODELS, "/query", DELETIONS, IMPORT])
async def test_an_open_circuit_asks_for_no_body(engine: str, target: str) -> None:
    """A body that does not come is not waited for: what would not be sent is told at once."""
    settings = {"engine": engine, "circuit": {"failures": 1, "open_for": 60.0}}
    async with running_gateway(DEAD, upstream=settings, retry={"attempts": 1}) as gateway:
        assert (await ask(gateway)).status == 503
        for method in ("POST", "PUT"):
            async with connected(gateway) as app:
                await app.send(request(target, method, [(b"content-length", b"1000")]))
                response = await app.response()
                assert (response.status, error_of(response)["code"]) == (503, "GatewayCircuitOpen")
                assert response.value(b"connection") == b"close"
        async with connected(gateway) as app:
            for _ in range(2):
                await app.send(request(target))
                response = await app.response()
                assert error_of(response)["code"] == "GatewayCircuitOpen"
                assert response.value(b"connection") is None


async def test_no_connection_is_free_within_the_time_left(engine: str, upstream: FaultUpstream) -> None:
    """A try whose time is over before it has a connection was not sent: 503, so a POST may go again."""
    settings = {"engine": engine, "max_connections": 1, "timeout": {"head_total": 5.0, "pool": 600.0}}
    slow_turns = {"rate": 0.25, "max_wait": 60.0}
    async with (
        door_to(upstream) as door,
        running_gateway(
            door.origin, upstream=settings, jobs=slow_turns, retry={"attempts": 10, "backoff": 0.001}
        ) as gateway,
        connected(gateway) as holds,
    ):
        asking = asyncio.create_task(ask(gateway, DELETIONS, "POST", body=b"{}"))

        async def refused() -> bool:
            told = (await admin(gateway, "/metrics")).body.decode()
            return 'error_type="GatewayUpstreamUnreachable"' in told

        await until(refused)
        await door.open()
        await hold_the_connection(holds, upstream)
        response = await asking
    assert (response.status, error_of(response)["code"]) == (503, "GatewayOverloaded")
    assert response.value(b"retry-after") == b"1"
    assert {seen.path for seen in upstream.requests} == {b"/held"}


async def test_the_time_is_that_of_the_request(engine: str, upstream: FaultUpstream) -> None:
    """What goes again with a new token has what is left of the request's time, and no more."""
    gate = asyncio.Event()
    upstream.on(TWIN.partition("?")[0], faults.gated(gate, faults.reply(401)), faults.reply())
    settings = {"engine": engine, "max_connections": 1, "timeout": {"head_total": 2.0, "pool": 600.0}}
    async with Issuer() as issuer:
        oauth2 = {"token_url": issuer.url, "client_id": "app", "client_secret": issuer.secret}
        auth = {"mode": "oauth2", "oauth2": oauth2}
        async with (
            running_gateway(upstream.origin, upstream=settings, auth=auth) as gateway,
            connected(gateway) as holds,
        ):
            asking = asyncio.create_task(ask(gateway, TWIN))
            await upstream.received(1)
            holding = asyncio.create_task(hold_the_connection(holds, upstream))

            async def queued() -> bool:
                return await sample(gateway, 'http_server_active_requests{http_request_method="GET"}') == 2

            await until(queued)
            gate.set()
            await holding
            response = await asking
    assert (response.status, error_of(response)["code"]) == (503, "GatewayOverloaded")
    assert [seen.path for seen in upstream.requests] == [b"/digitaltwins/t1", b"/held"]


async def hold_the_connection(app: RawClient, upstream: FaultUpstream) -> None:
    """Take the only connection with an answer that has no end."""
    before = len(upstream.requests)
    upstream.on("/held", faults.never(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"))
    await app.send(request("/held"))
    await upstream.received(before + 1)
