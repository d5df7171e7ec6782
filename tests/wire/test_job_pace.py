"""All apps together keep the rate of the Jobs API, against an emulator that refuses what is too fast."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import httpx
import pytest

from gateway.emulator import running_emulator
from gateway.emulator.faults import Fault
from tests.support.azure import Azure, fast, gateway_to, running_azure
from tests.support.foreign_jobs import created_elsewhere
from tests.support.wire import sample

JOBS = [f"job-{number}" for number in range(20)]
LENIENT = 5
"""How much faster the emulator lets requests in than the gateway sends them, so that no jitter is refused."""


def too_fast(azure: Azure) -> int:
    """Requests that the emulator refused with 429."""
    return [entry.status for entry in azure.arrived].count(429)


async def turns(azure: Azure, priority: str) -> float:
    """How many turns were had."""
    return await sample(azure.gateway, f'adt_jobs_rate_wait_seconds_count{{priority="{priority}"}}')


async def polled(azure: Azure, job_ids: Sequence[str], times: int) -> list[httpx.Response]:
    """One app per job, all at once, each of which polls so many times; every answer."""

    async def poll(job_id: str) -> list[httpx.Response]:
        return [await app.get(f"/jobs/imports/{job_id}") for _ in range(times)]

    async with azure.app() as app:
        answers = await asyncio.gather(*(poll(job_id) for job_id in job_ids))
    for job_id, mine in zip(job_ids, answers, strict=True):
        assert {answer.json()["id"] for answer in mine if answer.status_code == 200} <= {job_id}
    return [answer for mine in answers for answer in mine]


@pytest.mark.slow
async def test_twenty_apps_poll_twenty_jobs() -> None:
    """At the real limit of one request a second: lists answer for all, and nobody is refused anything."""
    jobs = {"rate": 1, "max_staleness": 0}
    async with running_azure(fast(rate_limit=1.0), jobs=jobs) as azure:
        created_elsewhere(azure.cloud, *JOBS)
        answers = await polled(azure, JOBS, 2)
    assert {answer.status_code for answer in answers} == {200}
    assert too_fast(azure) == 0
    routes = Counter(entry.route for entry in azure.arrived)
    assert routes["GET /jobs/imports/{id}"] <= 2
    assert 2 <= routes["GET /jobs/imports"] <= 4


async def test_without_lists_each_waits_for_its_turn() -> None:
    """With `jobs.batch` off every job is a request of its own, in turn; who can wait is not refused."""
    jobs = {"rate": 20, "batch": False, "max_staleness": 0}
    async with running_azure(fast(), jobs=jobs) as azure:
        created_elsewhere(azure.cloud, *JOBS)
        answers = await polled(azure, JOBS[:10], 1)
    assert {answer.status_code for answer in answers} == {200}
    targets = [entry.target.partition("?")[0].rpartition("/")[2] for entry in azure.arrived]
    assert targets == JOBS[:10]


async def test_who_cannot_wait_that_long_is_told_so() -> None:
    """Beyond `jobs.max_wait`: 429 of the gateway's with the time until a turn; nothing is sent for it."""
    jobs = {"rate": 8, "batch": False, "max_wait": 0.3}
    async with running_azure(fast(), jobs=jobs) as azure:
        created_elsewhere(azure.cloud, *JOBS)
        answers = await polled(azure, JOBS, 1)
    served = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert served
    assert refused
    for answer in refused:
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "GatewayRateLimited")
        assert answer.headers["x-gateway-error-origin"] == "gateway"
        assert int(answer.headers["retry-after"]) >= 1
    assert len(azure.arrived) == len(served)


async def test_a_caller_may_say_how_long_it_waits() -> None:
    """`Prefer: wait=0` is answered at once: with what is kept, with a free turn, or with 429."""
    now = {"prefer": "respond-async, wait=0"}
    async with running_azure(fast(), jobs={"rate": 2, "max_staleness": 60}) as azure, azure.app() as app:
        created_elsewhere(azure.cloud, *JOBS)
        first = await app.get("/jobs/imports/job-0", headers=now)
        kept = await app.get("/jobs/imports/job-0", headers=now)
        refused = [
            await app.get("/jobs/imports/job-1", headers=now),
            await app.get("/jobs/imports", headers=now),
            await app.get("/jobs/imports/job-0", headers={**now, "cache-control": "no-cache"}),
            await app.head("/jobs/imports/job-0", headers=now),
            await app.put("/jobs/imports/new", headers=now, json=azure.import_body()),
            await app.delete("/Jobs/imports/job-0", headers=now),
        ]
        waited = await app.get("/jobs/imports/job-1")
    assert [answer.status_code for answer in (first, kept, waited)] == [200, 200, 200]
    assert kept.headers["cache-status"] == "adt-gateway; hit"
    assert {answer.headers["x-ms-error-code"] for answer in refused} == {"GatewayRateLimited"}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert len(azure.arrived) == 2


@pytest.mark.parametrize(
    ("method", "priority"),
    [("GET", "read"), ("DELETE", "write")],
)
async def test_a_request_that_is_repeated_takes_another_turn(method: str, priority: str) -> None:
    """A 401 that is met with a new token costs two turns."""
    async with running_azure(jobs={"rate": 20}) as azure, azure.app() as app:
        created_elsewhere(azure.cloud, "one")
        await app.get("/models")
        azure.cloud.emulator.state.issuer.revoke()
        assert (await app.request(method, "/jobs/imports/one")).is_success
        assert await turns(azure, priority) == 2
    assert [entry.status == 401 for entry in azure.arrived] == [False, True, False]


async def test_what_may_be_the_jobs_api_is_paced_and_nothing_else_is() -> None:
    """Odd spellings of the Jobs API take turns; twins and models do not wait for them."""
    async with running_azure(jobs={"rate": 0.5, "max_wait": 0}) as azure, azure.app() as app:
        assert (await app.get("/jobs/imports")).status_code == 200
        for target in ("/Jobs/imports", "/jobs", "/jobs/imports/one/", "/%6Aobs/imports"):
            assert (await app.get(target)).headers["x-ms-error-code"] == "GatewayRateLimited"
        for _ in range(3):
            assert (await app.get("/models")).status_code == 200
    assert [entry.route for entry in azure.arrived] == ["GET /jobs/imports", *["GET /models"] * 3]


async def test_a_slow_token_at_the_start_makes_no_burst() -> None:
    """Polls that came before the first token go out at the rate once it is there; so does the watcher."""
    settings = fast(rate_limit=10.0 * LENIENT)
    async with running_emulator(settings) as cloud:
        created_elsewhere(cloud, *JOBS)
        cloud.emulator.state.faults.add(Fault(path=f"/{settings.tenant}/", delay=0.3))
        async with gateway_to(cloud, jobs={"rate": 10, "batch": False, "watch": "all"}) as gateway:
            azure = Azure(gateway, cloud)
            answers = await polled(azure, JOBS[:5], 1)
            while len(azure.arrived) < 6:
                await turns(azure, "watch")
    assert {answer.status_code for answer in answers} == {200}
    assert azure.token_requests == 1
    assert too_fast(azure) == 0
