"""What was provably not sent is tried again: within the budget, and for as long as it is of use."""

import asyncio
import time
from typing import Any

import pytest

from tests.support import faults
from tests.support.door import Door, door_to
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.raw import RawResponse
from tests.support.upstream import FaultUpstream
from tests.support.wire import DELETIONS, IMPORT, TWIN, ask, connected, error_of, request, sample, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATIENT = {"attempts": 10, "backoff": 0.02, "floor": 1_000.0}
"""So many tries, and so much longer from one to the next, that a door opened late is still in time."""
LONG_PAUSE = {"backoff": 60.0, "attempts": 10}
RETRIED = 'adt_gateway_retries_total{reason="unreachable"}'
LARGE = b"x" * 300_000
DEAD_CONNECTIONS = {"pyreqwest": (2, 8), "asyncio": (1, 7), "httpx": (0, 6)}
"""Reads that go again, and requests; hyper does not tell which connection it took."""
"""More than limits.replay_body: it is streamed."""


async def _opened_once_it_was_refused(gateway: RunningGateway, door: Door, asked: Any) -> RawResponse:
    """The answer to a request that meets a shut door, which opens once the gateway tries again."""
    before = await sample(gateway, RETRIED)
    answering = asyncio.create_task(asked)

    async def tried_again() -> bool:
        return await sample(gateway, RETRIED) > before

    await until(tried_again)
    await door.open()
    response: RawResponse = await answering
    await door.shut()
    return response


async def test_an_upstream_that_comes_back(engine: str, upstream: FaultUpstream) -> None:
    """Any method, with any body that nobody has begun to send: one request arrives, whole."""
    cases = [
        ("GET", TWIN, None),
        ("POST", DELETIONS, b"{}"),
        ("PATCH", TWIN, b"[]"),
        ("PUT", IMPORT, LARGE),
        ("DELETE", IMPORT, None),
    ]
    async with (
        door_to(upstream) as door,
        running_gateway(door.origin, upstream={"engine": engine}, retry=PATIENT) as gateway,
    ):
        for method, target, body in cases:
            upstream.reset()
            asked = ask(gateway, target, method, body=body)
            response = await _opened_once_it_was_refused(gateway, door, asked)
            assert (response.status, response.body) == (200, b"hello"), method
            [seen] = upstream.requests
            assert (seen.method.decode(), seen.body) == (method, body or b"")
    assert all(line["attempts"] > 1 and line["status"] == 200 for line in gateway.exchanges())


async def test_a_body_in_chunks(engine: str, upstream: FaultUpstream) -> None:
    """A body without a length goes again too, as long as nothing beyond what is kept was read."""
    async with (
        door_to(upstream) as door,
        running_gateway(door.origin, upstream={"engine": engine}, retry=PATIENT) as gateway,
        connected(gateway) as app,
    ):

        async def asked() -> RawResponse:
            head = request(IMPORT, "PUT", [(b"transfer-encoding", b"chunked")])
            await app.send(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(LARGE), LARGE))
            return await app.response("PUT")

        response = await _opened_once_it_was_refused(gateway, door, asked())
    assert response.status == 200
    [seen] = upstream.requests
    assert seen.body == LARGE


@pytest.mark.parametrize(("attempts", "made"), [(1, 1), (2, 2), (3, 3)])
async def test_attempts_are_bounded(engine: str, attempts: int, made: int) -> None:
    """A dead upstream is tried so often and no more; then the failure is the answer, unsent as it is."""
    retry = {"attempts": attempts, "backoff": 0.001}
    async with running_gateway("http://127.0.0.1:9", upstream={"engine": engine}, retry=retry) as gateway:
        response = await ask(gateway, DELETIONS, "POST", body=b"{}")
        assert error_of(response)["code"] == "GatewayUpstreamUnreachable"
        assert (response.status, response.value(b"retry-after")) == (503, b"1")
        assert await sample(gateway, RETRIED) == made - 1
    [line] = gateway.exchanges()
    assert line["attempts"] == made


async def test_a_storm_is_bounded_by_the_budget(engine: str) -> None:
    """1,000 requests at a dead upstream cost a tenth more connects than requests, and the floor's few."""
    began = time.monotonic()
    settings = {"engine": engine}
    async with running_gateway(
        "http://127.0.0.1:9", upstream=settings, retry={"backoff": 0.001}, log={"level": "error"}
    ) as gateway:

        async def app() -> None:
            async with connected(gateway) as client:
                for _ in range(100):
                    await client.send(request())
                    assert (await client.response()).status == 503

        await asyncio.gather(*(app() for _ in range(10)))
        retries = await sample(gateway, RETRIED)
    windows = 1 + (time.monotonic() - began) / 9
    assert 10 <= retries <= 1_000 * 0.1 + 10 * windows


async def test_each_try_takes_its_turn(engine: str) -> None:
    """On job routes no attempt goes out without a turn of its own at the Jobs API's pace."""
    jobs = {"rate": 50.0, "max_wait": 30.0}
    settings = {"engine": engine}
    async with running_gateway(
        "http://127.0.0.1:9", upstream=settings, jobs=jobs, retry={"backoff": 0.001}
    ) as gateway:
        for priority, method in (("read", "GET"), ("write", "DELETE")):
            assert (await ask(gateway, IMPORT, method)).status == 503
            assert await sample(gateway, f'adt_jobs_rate_wait_seconds_count{{priority="{priority}"}}') == 3
    assert [line["attempts"] for line in gateway.exchanges()] == [3, 3]


async def test_no_pause_reaches_beyond_the_requests_time(engine: str) -> None:
    """A retry that could not have its answer in time is not waited for."""
    settings = {"engine": engine, "timeout": {"head_total": 0.02}}
    async with running_gateway("http://127.0.0.1:9", upstream=settings, retry=LONG_PAUSE) as gateway:
        assert (await ask(gateway, DELETIONS, "POST", body=b"{}")).status in {502, 503}
    [line] = gateway.exchanges()
    assert line["attempts"] == 1


async def test_a_client_that_leaves_in_the_pause(engine: str, upstream: FaultUpstream) -> None:
    """Nothing was sent and nobody waits: a write is given up as a read is."""
    async with (
        door_to(upstream) as door,
        running_gateway(door.origin, upstream={"engine": engine}, retry=LONG_PAUSE) as gateway,
    ):
        async with connected(gateway) as app:
            await app.send(request(DELETIONS, "POST", body=b"{}"))

            async def tried() -> bool:
                name = "http_client_request_duration_seconds_count"
                labels = (
                    'error_type="GatewayUpstreamUnreachable",http_request_method="POST",'
                    'http_response_status_code="",http_route="/jobs/deletions",server_address="127.0.0.1"'
                )
                return await sample(gateway, f"{name}{{{labels}}}") >= 1

            await until(tried)
            await door.open()

        async def given_up() -> bool:
            return await sample(gateway, 'http_server_active_requests{http_request_method="POST"}') == 0

        await until(given_up)
    assert upstream.requests == []
    [line] = gateway.exchanges()
    assert (line["attempts"] >= 1, line["client_left"], line.get("status")) == (True, True, None)


async def test_a_drain_that_ends_in_the_pause(engine: str) -> None:
    """At the end of the drain it is told that nothing was sent, so that its SDK sends it elsewhere."""
    settings = {"engine": engine}
    async with running_gateway(
        "http://127.0.0.1:9", upstream=settings, retry=LONG_PAUSE, limits={"drain_timeout": 0.5}
    ) as gateway:
        answering = asyncio.create_task(ask(gateway, DELETIONS, "POST", body=b"{}"))

        async def under_way() -> bool:
            return await sample(gateway, 'http_server_active_requests{http_request_method="POST"}') == 1

        await until(under_way)
        gateway.stop.ask()
        response = await answering
    assert (response.status, error_of(response)["code"]) == (503, "GatewayDraining")
    assert response.value(b"retry-after") == b"1"


async def test_a_dead_connection_costs_budget(engine: str, upstream: FaultUpstream) -> None:
    """A read on a connection that died goes again only while there is budget for it."""
    retry = {"budget": 0.0, "floor": 0.2}
    upstream.on("/digitaltwins/t1", faults.cut())
    async with running_gateway(upstream.origin, upstream={"engine": engine}, retry=retry) as gateway:
        assert (await ask(gateway, "/warm")).status == 200
        for _ in range(5):
            assert (await ask(gateway)).status == 502
        stale = await sample(gateway, 'adt_gateway_retries_total{reason="stale_connection"}')
    assert (stale, len(upstream.requests)) == DEAD_CONNECTIONS[engine]
