"""The official SDK's aio client, without a credential, through the gateway: all job operations, twins."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.digitaltwins.core._generated.models import ImportJobsListOptions
from azure.digitaltwins.core.aio import DigitalTwinsClient

from tests.support.azure import JOB_SECONDS, Azure, running_azure
from tests.support.sdk import ENDED, UNDER_WAY, check_only_the_gateway_arrived, job_of, sdk_options

ROOMS = "SELECT * FROM digitaltwins WHERE IS_OF_MODEL('dtmi:com:example:campus:Room;1')"
EIGHT = {
    "PUT /jobs/imports/{id}",
    "GET /jobs/imports/{id}",
    "GET /jobs/imports",
    "POST /jobs/imports/{id}/cancel",
    "DELETE /jobs/imports/{id}",
    "POST /jobs/deletions",
    "GET /jobs/deletions/{id}",
    "GET /jobs/deletions",
}


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    async with running_azure() as running:
        yield running


def client_of(azure: Azure, **options: Any) -> DigitalTwinsClient:
    return DigitalTwinsClient(azure.gateway.data, **sdk_options(**options))


async def ended(imports: Any, job_id: str) -> Any:
    """Poll until the job has ended, as an app does."""
    while (job := await imports.get_by_id(job_id)).status not in ENDED:
        assert job.status in UNDER_WAY
    return job


async def code_of(refused: Any) -> str:
    """`error.code` of what an operation raises."""
    with pytest.raises(HttpResponseError) as raised:
        await refused
    assert raised.value.error is not None
    return str(raised.value.error.code)


async def test_all_eight_job_operations(azure: Azure) -> None:
    """One app does all eight, pages over three pages and polls its deletion to the end."""
    async with client_of(azure) as client:
        imports, deletions = client._client.import_jobs, client._client.delete_jobs
        azure.change(job_seconds=60.0)
        assert (await imports.add("j 1/é", job_of(azure))).status == "notstarted"
        assert await code_of(imports.add("other", job_of(azure))) == "JobLimitReached"
        assert (await imports.cancel("j 1/é")).status == "cancelling"
        assert (await ended(imports, "j 1/é")).status == "cancelled"
        await imports.delete("j 1/é")
        assert await code_of(imports.get_by_id("j 1/é")) == "ImportJobNotFound"
        azure.change(job_seconds=JOB_SECONDS)
        for number in range(5):
            await imports.add(f"job-{number}", job_of(azure, "broken-model.ndjson"))
            assert (await ended(imports, f"job-{number}")).error.code == "DTDLParsingError"
        pages = imports.list(ImportJobsListOptions(max_items_per_page=2)).by_page()
        assert [[job.id async for job in page] async for page in pages] == [
            ["job-0", "job-1"],
            ["job-2", "job-3"],
            ["job-4"],
        ]
        done = await (await deletions.begin_add()).result()
        assert (done.status, done.id is not None) == ("succeeded", True)
        assert (await deletions.get_by_id(str(done.id))).finished_date_time is not None
        assert [job.id async for job in deletions.list()] == [done.id]
    counts = azure.cloud.emulator.state.journal.counts
    assert set(counts) >= EIGHT
    assert counts["GET /jobs/imports"] == 3
    check_only_the_gateway_arrived(azure)


async def test_an_import_fills_the_graph_and_a_deletion_empties_it(azure: Azure) -> None:
    """Import, query and deletion, the job this is all for, by an app that names the deletion itself."""
    async with client_of(azure, operation_id="delete-job-1") as client:
        imports = client._client.import_jobs
        await imports.add("campus", job_of(azure))
        assert (await ended(imports, "campus")).status == "succeeded"
        rooms = client.query_twins(ROOMS)
        assert len([twin async for twin in rooms]) == 12
        done = await (await client._client.delete_jobs.begin_add()).result()
        assert (done.id, done.status) == ("delete-job-1", "succeeded")
        with pytest.raises(ResourceNotFoundError) as missing:
            await client.get_digital_twin("building-1")
        assert missing.value.error is not None
        assert missing.value.error.code == "DigitalTwinNotFound"
    check_only_the_gateway_arrived(azure)


async def test_conditions_pass(azure: Azure) -> None:
    """ETags and the conditional requests made of them work from app to upstream and back."""
    async with client_of(azure) as client:
        imports = client._client.import_jobs
        await imports.add("campus", job_of(azure))
        await ended(imports, "campus")
        twin = await client.get_digital_twin("building-1")
        patch = [{"op": "replace", "path": "/name", "value": "renamed"}]
        await client.update_digital_twin("building-1", patch, etag=twin["$etag"])
        assert (await client.get_digital_twin("building-1"))["name"] == "renamed"
        with pytest.raises(HttpResponseError) as stale:
            await client.update_digital_twin(
                "building-1", patch, etag=twin["$etag"], match_condition=MatchConditions.IfNotModified
            )
    assert stale.value.status_code == 412


async def test_apps_at_the_same_time(azure: Azure) -> None:
    """Fifty concurrent reads of fifty twins give each reader its own twin."""
    twins = azure.cloud.emulator.state.graph
    model = {"@id": "dtmi:x;1", "@type": "Interface", "@context": "dtmi:dtdl:context;2"}
    async with client_of(azure) as client:
        await client.create_models([model])
        for number in range(50):
            await client.upsert_digital_twin(f"t{number}", {"$metadata": {"$model": "dtmi:x;1"}})
        assert len(twins.twins) == 50
        read = await asyncio.gather(*(client.get_digital_twin(f"t{number}") for number in range(50)))
    assert [twin["$dtId"] for twin in read] == [f"t{number}" for number in range(50)]
    check_only_the_gateway_arrived(azure)
