"""The last minutes as `/api/status` tells them, after real traffic."""

import json
from typing import Any

import pytest

from tests.support import faults
from tests.support.azure import Azure, fast, gateway_to, running_azure
from tests.support.foreign_jobs import created_elsewhere
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.raw import RawResponse
from tests.support.upstream import FaultUpstream
from tests.support.wire import IMPORT, admin, ask, connected, request, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def status(gateway: RunningGateway) -> dict[str, Any]:
    """`/api/status`."""
    told: dict[str, Any] = json.loads((await admin(gateway, "/api/status")).body)
    return told


async def counted(gateway: RunningGateway, side: str) -> tuple[int, int]:
    """Requests and failures of the whole window, of the `app` or at the `upstream`."""
    steps = (await status(gateway))["recent"][side]
    return sum(step["requests"] for step in steps), sum(step["failed"] for step in steps)


async def told(gateway: RunningGateway, *, app: tuple[int, int], upstream: tuple[int, int]) -> None:
    """Wait until requests and failures of both sides are these; an exchange ends after its answer came."""

    async def holds() -> bool:
        return (await counted(gateway, "app"), await counted(gateway, "upstream")) == (app, upstream)

    await until(holds)


def error(code: str, **more: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": "a canary of the upstream's", **more}}).encode()


def trace_of(response: RawResponse) -> str:
    return (response.value(b"traceresponse") or b"").split(b"-")[1].decode()


async def test_a_new_gateway_has_nothing_to_tell(upstream: FaultUpstream) -> None:
    """From the start there are sixty steps of each side, none with anything in it, and no error."""
    async with running_gateway(upstream.origin) as gateway:
        glance = await status(gateway)
    recent = glance["recent"]
    assert (recent["stepSeconds"], recent["windowSeconds"], recent["errors"]) == (10, 600, [])
    for side in ("app", "upstream"):
        assert len(recent[side]) == 60
        assert {step["requests"] for step in recent[side]} == {0}
        assert recent[side][-1]["start"] <= glance["now"] < recent[side][-1]["start"] + 11
    assert (glance["draining"], glance["traces"]) == (False, {"uiUrl": None})
    assert glance["startedOn"] <= glance["now"]


async def test_traffic_of_every_outcome(upstream: FaultUpstream) -> None:
    """Successes, refusals, 5xx and cuts are counted on the side where they happened, with their durations."""
    upstream.on("/models/bad", faults.reply(503, error("ServiceUnavailable")))
    upstream.on("/models/none", faults.reply(404, error("ModelNotFound")))
    upstream.on("/models/lost", faults.cut())
    upstream.on("/models/short", faults.cut(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nfour"))
    async with running_gateway(upstream.origin, routes={"deny": ["GET /eventroutes"]}) as gateway:
        for path in ("/models/a", "/models/none", "/models/bad", "/eventroutes"):
            await ask(gateway, path)
        await told(gateway, app=(4, 1), upstream=(3, 1))
        assert not (await ask(gateway, "/models/short")).complete
        await told(gateway, app=(5, 2), upstream=(4, 2))
        assert (await ask(gateway, "/models/lost", "POST")).status == 502
        await told(gateway, app=(6, 3), upstream=(5, 3))
        recent = (await status(gateway))["recent"]
    for side in ("app", "upstream"):
        for step in recent[side]:
            assert (step["p50Seconds"] is None) == (step["requests"] == 0)
            assert step["requests"] == 0 or 0 < step["p50Seconds"] <= step["p95Seconds"] < 60
    assert {(seen["code"], seen["origin"], seen["status"]) for seen in recent["errors"]} == {
        ("ModelNotFound", "upstream", 404),
        ("ServiceUnavailable", "upstream", 503),
        ("GatewayForbidden", "gateway", 403),
        ("GatewayUpstreamConnectionLost", "gateway", 502),
    }


async def test_errors_lead_to_their_traces(upstream: FaultUpstream) -> None:
    """Each code has the traces of its three latest responses, newest first, with method and route."""
    upstream.on("/digitaltwins/secret-name", faults.reply(404, error("DigitalTwinNotFound")))
    async with running_gateway(upstream.origin) as gateway:
        answers = [
            await ask(gateway, "/digitaltwins/secret-name", method)
            for method in ("GET", "PATCH", "DELETE", "GET")
        ]
        await told(gateway, app=(4, 0), upstream=(4, 0))
        [seen] = (await status(gateway))["recent"]["errors"]
    assert (seen["count"], seen["origin"]) == (4, "upstream")
    assert [one["traceId"] for one in seen["latest"]] == [trace_of(answer) for answer in answers[:0:-1]]
    assert [one["method"] for one in seen["latest"]] == ["GET", "DELETE", "PATCH"]
    assert {one["route"] for one in seen["latest"]} == {"/digitaltwins/{id}"}
    assert seen["lastOn"] == seen["latest"][0]["on"]


async def test_a_client_that_left_did_not_fail(upstream: FaultUpstream) -> None:
    """A request whose client left before the answer counts on both sides, as no failure and no error."""
    upstream.on("/models/slow", faults.never())
    async with running_gateway(upstream.origin) as gateway:
        async with connected(gateway) as client:
            await client.send(request("/models/slow"))
            await upstream.received(1)
        await told(gateway, app=(1, 0), upstream=(1, 0))
        assert (await status(gateway))["recent"]["errors"] == []


async def test_shared_reads_and_the_watcher_are_attempts(upstream: FaultUpstream) -> None:
    """An answer that was kept is no attempt at the upstream; what the gateway asks by itself is one."""
    job = {"id": "job-1", "status": "running", "createdDateTime": "2026-01-01T00:00:00.0000000Z"}
    upstream.on("/jobs/imports/job-1", faults.reply(200, json.dumps(job).encode()))
    static = {"mode": "static", "static": {"token": "t"}}
    async with running_gateway(upstream.origin, auth=static, jobs={"max_staleness": 3600}) as gateway:
        for _ in range(5):
            assert (await ask(gateway, IMPORT)).status == 200
        await told(gateway, app=(5, 0), upstream=(1, 0))
    async with running_azure(fast()) as azure:
        created_elsewhere(azure.cloud, "theirs")
        async with gateway_to(azure.cloud, jobs={"watch": "all", "rate": 0}) as gateway:
            watched = Azure(gateway, azure.cloud)

            async def asked() -> bool:
                return (await counted(gateway, "upstream"))[0] > 0

            await until(asked)
            assert await counted(gateway, "app") == (0, 0)
            assert len(watched.arrived) > 0


async def test_a_failed_job_is_no_error_here(upstream: FaultUpstream) -> None:
    """A job that failed is told by a 200: the request did not fail."""
    failed = {
        "id": "job-1",
        "status": "failed",
        "createdDateTime": "2026-01-01T00:00:00.0000000Z",
        "error": {"code": "ValidationFailed", "message": "x"},
    }
    upstream.on("/jobs/imports/job-1", faults.reply(200, json.dumps(failed).encode()))
    async with running_gateway(upstream.origin) as gateway:
        await ask(gateway, IMPORT)
        await told(gateway, app=(1, 0), upstream=(1, 0))
        assert (await status(gateway))["recent"]["errors"] == []


async def test_nothing_of_a_request_is_shown_but_its_trace(upstream: FaultUpstream) -> None:
    """Paths, queries, headers and bodies of failed requests, and what ADT said, are not in the status."""
    upstream.on("/digitaltwins/canary-id", faults.reply(409, error("Conflict", target="canary")))
    headers = [(b"authorization", b"Bearer canary"), (b"x-ms-client-request-id", b"canary-id")]
    static = {"mode": "static", "static": {"token": "canary-of-the-gateway"}}
    async with running_gateway(upstream.origin, auth=static, admin={"token": "canary-admin"}) as gateway:
        for target in ("/digitaltwins/canary-id?sig=canary", "/canary%00?canary", "/jobs/%3Ccanary%3E"):
            await ask(gateway, target, headers=headers)
        await ask(gateway, "/models", headers=headers, host="canary.example")

        async def all_told() -> bool:
            return (await counted(gateway, "app"))[0] == 4

        await until(all_told)
        for page in ("/api/status", "/readyz?verbose"):
            assert b"canary" not in (await admin(gateway, page)).body
        assert len((await status(gateway))["recent"]["errors"]) >= 3


async def test_codes_and_their_number_are_bounded(upstream: FaultUpstream) -> None:
    """An upstream that makes up a code for each answer fills the list, and pushes nothing known out of it."""
    upstream.on("/models/none", faults.reply(404, error("ModelNotFound")))
    async with running_gateway(upstream.origin) as gateway:
        await ask(gateway, "/models/none")
        await ask(gateway, "/models", host="elsewhere.example")
        for number in range(60):
            bad = error(f"Made.Up-{number}-<script>" + "x" * 9_999)
            upstream.on(f"/models/{number}", faults.reply(400, bad))
            upstream.on(f"/eventroutes/{number}", faults.reply(400, error(f"Made.Up-{number}")))
            await ask(gateway, f"/models/{number}")
            await ask(gateway, f"/eventroutes/{number}")
        await told(gateway, app=(122, 0), upstream=(121, 0))
        errors = (await status(gateway))["recent"]["errors"]
    codes = {seen["code"] for seen in errors}
    assert len(errors) == 50
    assert codes >= {"ModelNotFound", "GatewayMisdirected", "BadRequest"}
    assert max(map(len, codes)) <= 128
    assert "<" not in "".join(codes)


async def test_the_link_to_traces_and_the_drain_are_told(upstream: FaultUpstream) -> None:
    """The template of `tracing.ui_url` is there as it was given; draining shows while anybody can ask."""
    url = "http://traces.example/{trace_id}?a=<b>"
    async with running_gateway(
        upstream.origin, tracing={"ui_url": url}, limits={"drain_delay": 20}
    ) as gateway:
        assert (await status(gateway))["traces"] == {"uiUrl": url}
        gateway.stop.ask()

        async def draining() -> bool:
            return bool((await status(gateway))["draining"])

        await until(draining)
        assert (await status(gateway))["ready"] is False
        gateway.stop.ask()
