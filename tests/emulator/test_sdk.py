"""The official SDK for Python against the emulator, as its users would run it: sync and aio."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.digitaltwins.core import DigitalTwinsClient
from azure.digitaltwins.core._generated.models import ImportJob, ImportJobsListOptions, QueryTwinsOptions
from azure.digitaltwins.core.aio import DigitalTwinsClient as AioClient

from gateway.emulator import EmulatorSettings, RunningEmulator, running_emulator, sample
from tests.emulator.support import import_body

FAST = EmulatorSettings(
    verify_tokens=False,
    rate_limit=None,
    job_start_seconds=0,
    job_seconds=0.05,
    cancel_seconds=0,
    retry_after=None,
)


class NoCredential:
    """Must never be asked: the policy given instead sends no token."""

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        raise AssertionError("a token was asked for")


@pytest.fixture
async def running() -> AsyncIterator[RunningEmulator]:
    """An emulator by the real clock, whose jobs take 50 ms, with the sample uploaded."""
    async with running_emulator(FAST) as emulator, httpx.AsyncClient(base_url=emulator.url) as http:
        await http.put("/blob/in/campus.ndjson", content=sample("campus.ndjson"))
        yield emulator


def sync_client(url: str, **options: Any) -> DigitalTwinsClient:
    policy: SansIOHTTPPolicy[Any, Any] = SansIOHTTPPolicy()
    credential: Any = NoCredential()
    return DigitalTwinsClient(url, credential, authentication_policy=policy, polling_interval=0.01, **options)


def aio_client(url: str, **options: Any) -> AioClient:
    policy: SansIOHTTPPolicy[Any, Any] = SansIOHTTPPolicy()
    credential: Any = NoCredential()
    return AioClient(url, credential, authentication_policy=policy, polling_interval=0.01, **options)


def job_for(url: str) -> ImportJob:
    body = import_body(url)
    return ImportJob(input_blob_uri=body["inputBlobUri"], output_blob_uri=body["outputBlobUri"])


def finished(read: Any, wanted: str) -> ImportJob:
    """Poll until the job has the status; a job that never gets it fails with the test's time."""
    while True:
        job: ImportJob = read()
        if job.status == wanted:
            return job
        assert job.status in ("notstarted", "running", "cancelling")


def every_job_operation(url: str) -> None:
    """All eight, in the order of a job's life."""
    client = sync_client(url)
    imports, deletions = client._client.import_jobs, client._client.delete_jobs
    httpx.post(f"{url}/_emulator/settings", json={"job_seconds": 3600})
    created = imports.add("j 1/é", job_for(url))
    assert (created.id, created.status) == ("j 1/é", "notstarted")
    with pytest.raises(HttpResponseError) as second:
        imports.add("other", job_for(url))
    assert second.value.error is not None
    assert second.value.error.code == "JobLimitReached"
    assert imports.cancel("j 1/é").status == "cancelling"
    assert finished(lambda: imports.get_by_id("j 1/é"), "cancelled").finished_date_time is not None
    httpx.post(f"{url}/_emulator/settings", json={"job_seconds": 0.05})
    imports.delete("j 1/é")
    with pytest.raises(ResourceNotFoundError) as missing:
        imports.get_by_id("j 1/é")
    assert missing.value.error is not None
    assert missing.value.error.code == "ImportJobNotFound"
    for number in range(5):
        imports.add(f"job-{number}", job_for(url))
        finished(lambda name=f"job-{number}": imports.get_by_id(name), "succeeded")
    pages = list(imports.list(ImportJobsListOptions(max_items_per_page=2)).by_page())
    assert [len(list(page)) for page in pages] == [2, 2, 1]
    done = deletions.begin_add().result()
    assert done.status == "succeeded"
    assert done.id is not None
    assert deletions.get_by_id(done.id).as_dict() == done.as_dict()
    assert [job.id for job in deletions.list()] == [done.id]
    assert list(client.list_models()) == []


async def test_every_job_operation_sync(running: RunningEmulator) -> None:
    """The sync client does all eight operations, pages and polls a deletion to its end."""
    await asyncio.to_thread(every_job_operation, running.url)
    counts = running.emulator.state.journal.counts
    assert counts["GET /jobs/imports"] == 3
    assert {route.partition("{")[0] for route in counts if "/jobs/" in route} == {
        "GET /jobs/imports",
        "PUT /jobs/imports/",
        "GET /jobs/imports/",
        "DELETE /jobs/imports/",
        "POST /jobs/imports/",
        "POST /jobs/deletions",
        "GET /jobs/deletions",
        "GET /jobs/deletions/",
    }


async def test_jobs_aio(running: RunningEmulator) -> None:
    """The aio client imports the sample, asks for twins, and polls a deletion with its own id to the end."""
    async with aio_client(running.url, operation_id="delete-job-1", timeout_in_minutes=20) as client:
        imports = client._client.import_jobs
        await imports.add("job", job_for(running.url))
        while (await imports.get_by_id("job")).status != "succeeded":
            continue
        assert [job.id async for job in imports.list()] == ["job"]
        query = "SELECT * FROM digitaltwins WHERE IS_OF_MODEL('dtmi:com:example:campus:Room;1')"
        assert len([twin async for twin in client.query_twins(query)]) == 12
        done = await (await client._client.delete_jobs.begin_add()).result()
        assert (done.id, done.status) == ("delete-job-1", "succeeded")
        with pytest.raises(ResourceNotFoundError) as missing:
            await client.get_digital_twin("building-1")
        assert missing.value.error is not None
        assert missing.value.error.code == "DigitalTwinNotFound"


def graph_calls(url: str) -> None:
    """The SDK's ordinary calls on models, twins, relationships, telemetry, routes and queries."""
    client = sync_client(url)
    model: dict[str, Any] = {
        "@id": "dtmi:x;1",
        "@type": "Interface",
        "@context": "dtmi:dtdl:context;2",
        "displayName": "X",
    }
    model["contents"] = [
        {"@type": "Relationship", "name": "to"},
        {"@type": "Property", "name": "n", "schema": "integer"},
    ]
    assert client.create_models([model])[0].id == "dtmi:x;1"
    assert client.get_model("dtmi:x;1", include_model_definition=True).model == model
    for number in range(5):
        client.upsert_digital_twin(f"t{number}", {"$metadata": {"$model": "dtmi:x;1"}, "n": number})
    client.update_digital_twin("t0", [{"op": "replace", "path": "/n", "value": 7}])
    assert client.get_digital_twin("t0")["n"] == 7
    relationship: dict[str, object] = {
        "$relationshipId": "r",
        "$sourceId": "t0",
        "$targetId": "t1",
        "$relationshipName": "to",
    }
    client.upsert_relationship("t0", "r", relationship)
    assert [item["$targetId"] for item in client.list_relationships("t0")] == ["t1"]
    assert [item.source_id for item in client.list_incoming_relationships("t1")] == ["t0"]
    client.publish_telemetry("t0", {"noise": 1})
    pages = list(
        client.query_twins(
            "SELECT * FROM digitaltwins", query_twins_options=QueryTwinsOptions(max_items_per_page=2)
        ).by_page()
    )
    assert sum(len(list(page)) for page in pages) == 5
    client.delete_relationship("t0", "r")
    client.delete_digital_twin("t0")
    client.decommission_model("dtmi:x;1")
    assert [item.decommissioned for item in client.list_models()] == [True]
    client.delete_model("dtmi:x;1")


async def test_graph_calls_sync(running: RunningEmulator) -> None:
    """The rest of the data plane is enough for the SDK."""
    await asyncio.to_thread(graph_calls, running.url)
