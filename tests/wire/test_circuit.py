"""An upstream that fails is left alone: requests get 503 at once until it answers a probe."""

import asyncio
import json
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from tests.support import faults
from tests.support.door import door_to
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.issuer import Issuer
from tests.support.raw import RawResponse
from tests.support.upstream import FaultUpstream
from tests.support.wire import DELETIONS, IMPORT, MODELS, admin, ask, error_of, sample, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

TWINS = "/digitaltwins/t1"
DEAD = "http://127.0.0.1:9"
OPEN = "GatewayCircuitOpen"
DEFAULT = {"failures": 5, "open_for": 60.0}
"""The defaults, but for a wait that no test sees the end of."""


def _gateway(
    engine: str, origin: str, circuit: dict[str, Any] | None = None, **sections: Any
) -> AbstractAsyncContextManager[RunningGateway]:
    settings = {"engine": engine, "circuit": circuit or DEFAULT}
    return running_gateway(origin, upstream=settings, **{"retry": {"attempts": 1}, **sections})


def _code(response: RawResponse) -> str:
    return str(error_of(response)["code"])


async def _state(gateway: RunningGateway) -> str:
    """The one state whose gauge is 1."""
    states = {
        state: await sample(gateway, f'adt_gateway_circuit_state{{state="{state}"}}')
        for state in ("closed", "open", "half_open")
    }
    assert sorted(states.values()) == [0, 0, 1]
    return max(states, key=lambda state: states[state])


async def test_a_dead_upstream(engine: str, upstream: FaultUpstream) -> None:
    """After five refused connects nothing is asked any more, not even once the upstream is back."""
    before = upstream.connections
    async with door_to(upstream) as door, _gateway(engine, door.origin) as gateway:
        for _ in range(5):
            assert await _state(gateway) == "closed"
            assert _code(await ask(gateway)) == "GatewayUpstreamUnreachable"
        await door.open()
        for method, body in (("GET", None), ("POST", b"{}"), ("PUT", b"x" * 300_000)):
            response = await ask(gateway, method=method, body=body)
            assert (response.status, _code(response)) == (503, OPEN)
            assert 1 <= int(response.value(b"retry-after") or 0) <= 66
        assert await _state(gateway) == "open"
        assert upstream.connections == before
    lines = gateway.exchanges()
    assert [line["attempts"] for line in lines] == [1] * 5 + [0] * 3
    [change] = [line for line in gateway.lines() if line.get("logger") == "gateway.circuit"]
    assert change["level"] == "warning"
    assert "5 connects in a row failed" in change["message"]


async def test_retries_count_too(engine: str) -> None:
    """Each refused connect counts: two requests of three attempts open it, and each says why it failed."""
    async with _gateway(engine, DEAD, retry={"attempts": 3, "backoff": 0.001}) as gateway:
        codes = [_code(await ask(gateway)) for _ in range(3)]
    assert codes == ["GatewayUpstreamUnreachable", "GatewayUpstreamUnreachable", OPEN]
    assert [line["attempts"] for line in gateway.exchanges()] == [3, 2, 0]


async def test_a_probe_closes_it(engine: str, upstream: FaultUpstream) -> None:
    """Once the upstream is back, one request is let through, and then all are."""
    circuit = {"failures": 5, "open_for": 0.2}
    async with door_to(upstream) as door, _gateway(engine, door.origin, circuit) as gateway:
        for _ in range(5):
            await ask(gateway)
        await door.open()

        async def answers() -> bool:
            return (await ask(gateway)).status == 200

        await until(answers)
        assert len(upstream.requests) == 1
        assert await _state(gateway) == "closed"
        assert {(await ask(gateway)).status for _ in range(5)} == {200}
    changes = [line["level"] for line in gateway.lines() if line.get("logger") == "gateway.circuit"]
    assert (changes[0], set(changes[1:])) == ("warning", {"info"})


async def test_one_probe_at_a_time(engine: str, upstream: FaultUpstream) -> None:
    """While a probe is under way the others are refused: at most one goes out in each open_for."""
    gate, open_for = asyncio.Event(), 2.0
    upstream.on(TWINS, faults.reply(500), faults.gated(gate, faults.reply()))
    circuit = {"failures": 1, "volume": 1, "open_for": open_for}
    async with _gateway(engine, upstream.origin, circuit) as gateway:
        assert (await ask(gateway)).status == 500
        began = time.monotonic()

        async def refused() -> bool:
            return await _state(gateway) == "open"

        assert await refused()
        probes = []
        while len(upstream.requests) < 2:
            probes = [asyncio.create_task(ask(gateway)) for _ in range(5)]
            await asyncio.wait(probes, timeout=0.2)
        for _ in range(20):
            probes.append(asyncio.create_task(ask(gateway)))
        await asyncio.wait(probes, timeout=0.2)
        sent = len(upstream.requests) - 1
        assert 1 <= sent <= 1 + (time.monotonic() - began - open_for * 0.9) / open_for
        gate.set()
        answers = [(await probe).status for probe in probes]
        assert answers.count(503) == len(probes) - answers.count(200)
        assert await _state(gateway) == "closed"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 408, 412, 429, 501])
async def test_errors_of_the_request_never_open_it(engine: str, upstream: FaultUpstream, status: int) -> None:
    """However many 4xx ADT answers, each request is sent."""
    upstream.on(TWINS, faults.reply(status))
    circuit = {**DEFAULT, "failures": 1, "volume": 1, "share": 0.01}
    async with _gateway(engine, upstream.origin, circuit) as gateway:
        assert {(await ask(gateway)).status for _ in range(8)} == {status}
        assert await _state(gateway) == "closed"
    assert len(upstream.requests) == 8


async def test_half_of_the_answers_are_5xx(engine: str, upstream: FaultUpstream) -> None:
    """More than half of at least twenty attempts failed, whatever the failures are: it opens."""
    script = [faults.reply(500), faults.reply(), faults.cut(b"HTTP/1.1 2"), faults.reply()]
    upstream.on(TWINS, *script * 5, faults.reply(503))
    async with _gateway(engine, upstream.origin) as gateway:
        answers = [(await ask(gateway, method="POST", body=b"{}")).status for _ in range(20)]
        assert answers == [500, 200, 502, 200] * 5
        assert await _state(gateway) == "closed"
        assert (await ask(gateway, method="POST", body=b"{}")).status == 503
        assert _code(await ask(gateway, MODELS)) == OPEN
    assert len(upstream.requests) == 21


async def test_clients_that_leave_never_open_it(engine: str, upstream: FaultUpstream) -> None:
    """An upstream whose clients lose patience has not failed."""
    upstream.on(TWINS, faults.never())
    circuit = {**DEFAULT, "failures": 1, "volume": 1}
    async with _gateway(engine, upstream.origin, circuit) as gateway:
        for number in range(1, 4):
            leaving = asyncio.create_task(ask(gateway))
            await upstream.received(number)
            leaving.cancel()
            await asyncio.wait((leaving,))

        async def over() -> bool:
            return await sample(gateway, 'http_server_active_requests{http_request_method="GET"}') == 0

        await until(over)
        assert await _state(gateway) == "closed"


async def test_an_app_that_sends_slowly_never_opens_it(engine: str, upstream: FaultUpstream) -> None:
    """An upload that is not over in time says nothing of the upstream, which still waits for it."""
    circuit = {**DEFAULT, "failures": 1, "volume": 1}
    settings = {"engine": engine, "circuit": circuit, "timeout": {"head_total": 0.3}}
    async with running_gateway(upstream.origin, upstream=settings) as gateway:
        slow = [(b"content-length", b"300000")]
        response = await ask(gateway, IMPORT, "PUT", slow)
        assert _code(response) == "GatewayUpstreamTimeout"
        assert await _state(gateway) == "closed"


async def test_the_token_endpoint_has_nothing_to_do_with_it(engine: str, upstream: FaultUpstream) -> None:
    """Requests without a token are not sent, and are no failures of the upstream."""
    async with Issuer(status=500) as issuer:
        oauth2 = {"token_url": issuer.url, "client_id": "app", "client_secret": "right-secret"}
        circuit = {**DEFAULT, "failures": 1, "volume": 1}
        auth = {"mode": "oauth2", "oauth2": oauth2}
        async with _gateway(engine, upstream.origin, circuit, auth=auth) as gateway:
            codes = {_code(await ask(gateway)) for _ in range(5)}
            assert (codes, await _state(gateway)) == ({"GatewayTokenUnavailable"}, "closed")


async def test_nobody_waits_for_a_token_in_vain(engine: str, upstream: FaultUpstream) -> None:
    """While the circuit is open the token is not asked for: with neither, it is the circuit that is told."""
    upstream.on(TWINS, faults.reply(500))
    async with Issuer(expires_in=2) as issuer:
        oauth2 = {"token_url": issuer.url, "client_id": "app", "client_secret": "right-secret"}
        circuit = {**DEFAULT, "failures": 1, "volume": 1}
        auth = {"mode": "oauth2", "oauth2": oauth2}
        async with _gateway(engine, upstream.origin, circuit, auth=auth) as gateway:
            assert (await ask(gateway)).status == 500
            issuer.status = 500

            async def without_token() -> bool:
                return (await admin(gateway, "/readyz")).status == 503

            await until(without_token)
            assert _code(await ask(gateway)) == OPEN


async def test_one_circuit_for_all_routes(engine: str) -> None:
    """Shared reads of jobs open it for every other route, and theirs is refused with the others'."""
    auth = {"mode": "static", "static": {"token": "canary"}}
    async with _gateway(engine, DEAD, auth=auth) as gateway:
        for number in range(5):
            assert _code(await ask(gateway, f"/jobs/imports/{number}")) == "GatewayUpstreamUnreachable"
        for target, method in ((MODELS, "GET"), (IMPORT, "GET"), (DELETIONS, "POST")):
            assert _code(await ask(gateway, target, method)) == OPEN


async def test_nobody_queues_in_vain(engine: str) -> None:
    """On job routes a request is refused at once, and not when its turn at the Jobs API comes."""
    shared = {"mode": "static", "static": {"token": "canary"}}
    for auth in (shared, {"mode": "none"}):
        # A turn every 20 s, which the first request takes.
        async with _gateway(engine, DEAD, jobs={"rate": 0.05}, auth=auth) as gateway:
            assert _code(await ask(gateway, IMPORT)) == "GatewayUpstreamUnreachable"
            for _ in range(4):
                await ask(gateway)
            for method in ("GET", "PUT"):
                assert _code(await ask(gateway, IMPORT, method)) == OPEN


async def test_a_refused_write_is_sent_once_it_can_be(engine: str, upstream: FaultUpstream) -> None:
    """A creation that was refused leaves nothing behind: its SDK's next try is sent, and only that."""
    upstream.on(IMPORT.partition("?")[0], faults.reply(201, b"{}"))
    circuit = {"failures": 1, "open_for": 0.2}
    key = [(b"x-ms-client-request-id", b"the-same"), (b"content-type", b"application/json")]
    async with door_to(upstream) as door, _gateway(engine, door.origin, circuit) as gateway:
        await ask(gateway)
        codes = [_code(await ask(gateway, IMPORT, "PUT", key, body=b"{}")) for _ in range(2)]
        assert OPEN in codes
        await door.open()

        async def created() -> bool:
            return (await ask(gateway, IMPORT, "PUT", key, body=b"{}")).status == 201

        await until(created)
        again = await ask(gateway, IMPORT, "PUT", key, body=b"{}")
        assert (again.status, again.value(b"x-gateway-replayed")) == (201, b"true")
    assert len(upstream.requests) == 1


async def test_the_operator_is_told(engine: str) -> None:
    """The gateway stays ready, and check, status and page say that the circuit is open and why."""
    async with _gateway(engine, DEAD) as gateway:
        told = json.loads((await admin(gateway, "/api/status")).body)["upstream"]["circuit"]
        assert told == {"state": "closed", "cause": None, "openSeconds": None, "nextProbeSeconds": None}
        for _ in range(5):
            await ask(gateway)
        ready = await admin(gateway, "/readyz?verbose")
        assert ready.status == 200
        assert (
            b"the circuit opened 0 s ago, because 5 connects in a row failed: nothing is sent" in ready.body
        )
        told = json.loads((await admin(gateway, "/api/status")).body)["upstream"]["circuit"]
        assert (told["state"], told["cause"]) == ("open", "5 connects in a row failed")
        assert 0 < told["nextProbeSeconds"] <= 66
        page = (await admin(gateway, "/")).body.decode()
        assert "ADT is left alone for now and requests get 503" in page
