"""The jobs that pass through the gateway, as `/api/jobs` tells them."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.support.azure import Azure, running_azure

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PATH = "/jobs/imports/j%201%2F%C3%A9"
"""The id `j 1/é` as the SDK sends it."""


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    async with running_azure() as running:
        yield running


@pytest.fixture
async def app(azure: Azure) -> AsyncIterator[httpx.AsyncClient]:
    async with azure.app() as client:
        yield client


@pytest.fixture
async def operator(azure: Azure) -> AsyncIterator[httpx.AsyncClient]:
    async with azure.operator() as client:
        yield client


async def jobs(operator: httpx.AsyncClient) -> dict[tuple[str, str], dict[str, Any]]:
    """The listed jobs by kind and id."""
    listed = (await operator.get("/api/jobs")).raise_for_status().json()
    assert listed["total"] == len(listed["value"])
    return {(job["kind"], job["id"]): job for job in listed["value"]}


async def test_a_job_is_known_from_its_creation_to_its_end(
    azure: Azure, app: httpx.AsyncClient, operator: httpx.AsyncClient
) -> None:
    """Created, polled, failed: the ledger tells statuses, times, code and the creating trace, no blob URI."""
    creation = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    body = azure.import_body("broken-model.ndjson", sas="?sig=canary")
    assert (await app.put(PATH, json=body, headers=creation)).status_code == 201
    job = (await operator.get("/api/jobs/import/j%201%2F%C3%A9")).json()
    assert (job["kind"], job["id"], job["status"]) == ("import", "j 1/é", "notstarted")
    assert (job["createdHere"], job["traceId"]) == (True, TRACE)
    while (polled := (await app.get(PATH)).json())["status"] != "failed":
        continue
    job = (await operator.get("/api/jobs/import/j%201%2F%C3%A9")).json()
    assert (job["status"], job["errorCode"]) == ("failed", "DTDLParsingError")
    assert (job["history"][0]["status"], job["history"][-1]["status"]) == ("notstarted", "failed")
    assert job["finishedDateTime"][:26] == polled["finishedDateTime"][:26]
    assert job["purgeDateTime"][:19] == polled["purgeDateTime"][:19]
    assert job["durationSeconds"] >= 0
    assert "canary" not in str(await jobs(operator))


async def test_an_unknown_job_is_404(operator: httpx.AsyncClient) -> None:
    """A job that did not pass is not there, and the answer has the one error shape."""
    answer = await operator.get("/api/jobs/import/nobody")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NotFound")
    assert (await operator.get("/api/jobs/other/nobody")).status_code == 404


async def test_lists_and_deletions_feed_the_ledger(
    azure: Azure, app: httpx.AsyncClient, operator: httpx.AsyncClient
) -> None:
    """Jobs that others created show once a list passes, and a deletion is known by its operation-id."""
    async with httpx.AsyncClient(base_url=azure.cloud.url) as other:
        azure.change(verify_tokens=False)
        query = {"api-version": "2023-10-31"}
        body = azure.import_body("broken-model.ndjson")
        await other.put("/jobs/imports/theirs", params=query, json=body)
        while (await other.get("/jobs/imports/theirs", params=query)).json()["status"] != "failed":
            continue
    assert await jobs(operator) == {}
    await app.get("/jobs/imports")
    await app.post("/jobs/deletions", headers={"operation-id": "ours"})
    known = await jobs(operator)
    assert set(known) == {("import", "theirs"), ("deletion", "ours")}
    assert [job["createdHere"] for job in known.values()] == [True, False]


async def test_a_deleted_id_leaves(app: httpx.AsyncClient, operator: httpx.AsyncClient, azure: Azure) -> None:
    """A job whose id was freed is gone, and one that the service does not know leaves with its 404."""
    for name in ("one", "two"):
        await app.put(f"/jobs/imports/{name}", json=azure.import_body())
        while (await app.get(f"/jobs/imports/{name}")).json()["status"] in {"notstarted", "running"}:
            continue
    assert len(await jobs(operator)) == 2
    assert (await app.delete("/jobs/imports/one")).status_code == 204
    assert set(await jobs(operator)) == {("import", "two")}
    azure.cloud.emulator.state.jobs.imports.clear()
    assert (await app.get("/jobs/imports/two")).status_code == 404
    assert await jobs(operator) == {}


async def test_an_id_used_again_is_a_new_job(
    app: httpx.AsyncClient, operator: httpx.AsyncClient, azure: Azure
) -> None:
    """After a delete the same id begins afresh, with its own times and history."""
    for sample, end in (("broken-model.ndjson", "failed"), ("campus.ndjson", "succeeded")):
        assert (await app.put("/jobs/imports/again", json=azure.import_body(sample))).status_code == 201
        while (await app.get("/jobs/imports/again")).json()["status"] != end:
            continue
        [job] = (await jobs(operator)).values()
        assert (job["status"], job["errorCode"] is None) == (end, end == "succeeded")
        await app.delete("/jobs/imports/again")


async def test_the_log_tells_jobs(azure: Azure, app: httpx.AsyncClient) -> None:
    """The line of each exchange with a job names the job and its status as the answer told it."""
    await app.put(PATH, json=azure.import_body())
    while (await app.get(PATH)).json()["status"] != "succeeded":
        continue
    azure.gateway.stop.ask()
    await azure.gateway.serving
    told = [
        (line["status"], line.get("job_id"), line.get("job_status")) for line in azure.gateway.exchanges()
    ]
    assert told[0] == (201, "j 1/é", "notstarted")
    assert told[-1] == (200, "j 1/é", "succeeded")
