"""A site at work: apps that use a gateway as the demo's do, and errors of every kind."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.azure import Azure, fast
from tests.support.job_traces import within
from tests.support.wire import until

SETTINGS = fast(job_start_seconds=0.2, job_seconds=0.8, cancel_seconds=0.2)
SECTIONS: dict[str, Any] = {
    "jobs": {"rate": 20.0, "max_staleness": 0.2, "terminal_staleness": 0.2, "watch": "seen"},
    "metrics": {"job_series": 20},
}
"""Sections of a gateway as in production, only faster."""
PACE = 0.05
"""Seconds between two requests of an app at work."""
ENDED = frozenset({"succeeded", "failed", "cancelled"})


@asynccontextmanager
async def at_work(azure: Azure, pace: float = PACE) -> AsyncIterator[None]:
    """One app reads models, routes and jobs all the time; it takes whatever it gets."""
    targets = itertools.cycle(("/models", "/jobs/imports", "/eventroutes", "/jobs/deletions"))

    async def work() -> None:
        async with azure.app(timeout=None) as app:
            while True:
                await app.get(next(targets))
                await asyncio.sleep(pace)

    working = asyncio.create_task(work())
    try:
        yield
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


async def import_job(app: httpx.AsyncClient, azure: Azure, job_id: str, name: str = "campus.ndjson") -> None:
    """Create an import in a trace that is sampled, as soon as no other job is in the way."""
    body = azure.import_body(name)

    async def created() -> bool:
        answer = await app.put(f"/jobs/imports/{job_id}", json=body, headers=within())
        assert answer.status_code in {201, 400}, answer.text
        return answer.status_code == 201

    await until(created)


async def polled(app: httpx.AsyncClient, path: str) -> str:
    """Poll a job to its end, as three apps do at the same time; its last status."""
    while True:
        answers = await asyncio.gather(*(app.get(path) for _ in range(3)))
        status: str = answers[0].json()["status"]
        if status in ENDED:
            return status
        await asyncio.sleep(PACE)


async def known_to_have_ended(azure: Azure, kind: str, job_id: str) -> str:
    """Wait, without asking the gateway for the job, until its watcher has seen the end; the status."""
    async with azure.operator() as operator:
        status = ""

        async def over() -> bool:
            nonlocal status
            status = (await operator.get(f"/api/jobs/{kind}/{job_id}")).json()["status"]
            return status in ENDED

        await until(over)
    return status


async def a_day(azure: Azure) -> None:
    """All that the demo shows, and what else an operator sees: refusals, retries, throttling, odd answers."""
    async with azure.app() as app:
        await import_job(app, azure, "campus")
        refused = await app.put("/jobs/imports/second", json=azure.import_body())
        assert refused.headers["x-ms-error-code"] == "JobLimitReached"
        assert await polled(app, "/jobs/imports/campus") == "succeeded"
        count = await app.post("/query", json={"query": "SELECT COUNT() FROM digitaltwins"})
        assert count.json()["value"][0]["COUNT"] > 0
        deletion = await app.post("/jobs/deletions")
        assert await polled(app, httpx.URL(deletion.headers["operation-location"]).path) == "succeeded"
        await import_job(app, azure, "broken", "broken-model.ndjson")
        await _go_wrong(app, azure)
        assert await known_to_have_ended(azure, "import", "broken") == "failed"
        await import_job(app, azure, "long")
        await app.post("/jobs/imports/long/cancel")


async def _go_wrong(app: httpx.AsyncClient, azure: Azure) -> None:
    missing = await app.get("/jobs/imports/no-such-job")
    assert missing.headers["x-ms-error-code"] == "ImportJobNotFound"
    assert (await app.get("/no/such/path")).status_code == 404
    # Nobody else asks for models like that: a fault is for one request.
    whole = {"includeModelDefinition": "true"}
    azure.wrong(kind="html-502", pattern="includeModelDefinition")
    assert (await app.get("/models", params=whole)).headers["x-gateway-error-normalised"] == "html"
    azure.wrong(status=401, pattern="includeModelDefinition")
    assert (await app.get("/models", params=whole)).status_code == 200
    azure.wrong(status=429, headers=[("Retry-After", "1")], method="GET", path="/jobs/imports/throttled")
    await app.get("/jobs/imports/throttled")
    for _ in range(2):
        await app.get("/digitaltwins/nobody", headers={"x-ms-client-request-id": "the-same-again"})
    azure.wrong(cut="reset", path="/query")
    assert (await app.post("/query", json={"query": "SELECT * FROM digitaltwins"})).status_code == 502
