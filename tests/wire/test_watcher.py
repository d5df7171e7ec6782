"""Jobs that nobody polls are followed to their end by the gateway itself."""

from typing import Any

import pytest

from gateway.trace_context import parse
from tests.support.azure import Azure, fast, gateway_to, running_azure
from tests.support.foreign_jobs import created_elsewhere, ended_elsewhere
from tests.support.sdk import check_only_the_gateway_arrived
from tests.support.wire import sample, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
JOBS = [f"job-{number}" for number in range(20)]
FINISHED = 'adt_jobs_finished_total{error_code="",kind="import",status="succeeded"}'
WATCH_TURNS = 'adt_jobs_rate_wait_seconds_count{priority="watch"}'
FAILURES = "adt_jobs_watch_failures_total"


async def statuses(azure: Azure) -> dict[str, str]:
    """The known jobs and their statuses, as `/api/jobs` has them."""
    async with azure.operator() as operator:
        listed: dict[str, Any] = (await operator.get("/api/jobs")).raise_for_status().json()
    return {job["id"]: job["status"] for job in listed["value"]}


async def watcher(azure: Azure) -> dict[str, Any]:
    """What `/api/status` says of the watcher."""
    async with azure.operator() as operator:
        told: dict[str, Any] = (await operator.get("/api/status")).json()["jobs"]["watcher"]
    return told


async def shown(azure: Azure, **jobs: str) -> None:
    """Wait until the gateway knows these jobs with these statuses, and no others."""

    async def holds() -> bool:
        return await statuses(azure) == jobs

    await until(holds)


async def test_all_finds_jobs_of_others() -> None:
    """With `jobs.watch` `all` a job is known that was created past the gateway, and no request has shown."""
    async with running_azure() as azure:
        created_elsewhere(azure.cloud, "theirs")
        async with gateway_to(azure.cloud, jobs={"watch": "all"}) as gateway:
            await shown(Azure(gateway, azure.cloud), theirs="notstarted")
        assert await statuses(azure) == {}


@pytest.mark.slow
async def test_only_who_is_to_watch_asks_and_once_for_all_jobs() -> None:
    """Twenty jobs end that nobody polls: one list of one gateway shows it.

    With `jobs.watch` `off`, or with no token of its own, a gateway asks for nothing by itself.
    """
    passthrough = {"auth": {"mode": "passthrough"}}
    async with (
        running_azure(fast(verify_tokens=False), jobs={"watch": "seen", "rate": 10}) as azure,
        gateway_to(azure.cloud, jobs={"watch": "off"}) as off,
        gateway_to(azure.cloud, jobs={"watch": "all"}, **passthrough) as without_token,
    ):
        created_elsewhere(azure.cloud, *JOBS)
        sides = [azure, Azure(off, azure.cloud), Azure(without_token, azure.cloud)]
        for side in sides:
            async with side.app() as app:
                assert len((await app.get("/jobs/imports")).json()["value"]) == len(JOBS)
        ended_elsewhere(azure.cloud, *JOBS)
        await shown(azure, **dict.fromkeys(JOBS, "succeeded"))
        assert await sample(azure.gateway, FINISHED) == len(JOBS)
        assert await sample(azure.gateway, WATCH_TURNS) == 1
        for side in sides[1:]:
            assert await statuses(side) == dict.fromkeys(JOBS, "notstarted")
            assert await sample(side.gateway, WATCH_TURNS) == 0
    assert [entry.route for entry in azure.arrived] == ["GET /jobs/imports"] * 4


@pytest.mark.slow
async def test_a_job_that_nobody_polls_is_seen_to_its_end() -> None:
    """Created and left alone: its end is read as the gateway itself, also from an upstream that was away.

    Failed reads are counted and shown until it is back.
    """
    async with running_azure(jobs={"watch": "seen"}) as azure, azure.app() as app:
        creation = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        await app.put("/jobs/imports/alone", json=azure.import_body(), headers=creation)
        azure.wrong(cut="reset", path="/jobs/imports", times=None)

        async def failed() -> bool:
            return await sample(azure.gateway, FAILURES) > 0

        await until(failed)
        told = await watcher(azure)
        assert (told["following"], told["failingSince"] is not None) == (1, True)
        azure.mend()
        await shown(azure, alone="succeeded")
        told = await watcher(azure)
        assert (told["following"], told["failingSince"]) == (0, None)
        assert await sample(azure.gateway, FINISHED) == 1
    check_only_the_gateway_arrived(azure)
    reads = [entry for entry in azure.arrived if entry.method == "GET"]
    assert len(reads) >= 2
    for entry in reads:
        context = parse([(name.lower().encode(), value.encode()) for name, value in entry.headers])
        assert context is not None
        assert context.trace_id != TRACE
        assert entry.target.endswith("?api-version=2023-10-31")
