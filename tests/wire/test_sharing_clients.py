"""Real clients do not notice that their reads are shared, paced and batched: the Azure SDK, and `az`."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from azure.core.exceptions import ResourceNotFoundError
from azure.digitaltwins.core import DigitalTwinsClient
from azure.digitaltwins.core._generated.models import ImportJobsListOptions
from azure.digitaltwins.core.aio import DigitalTwinsClient as AioClient

from tests.support.azure import VERSION, Azure, fast, running_azure
from tests.support.foreign_jobs import created_elsewhere
from tests.support.replays import forget_jobs
from tests.support.sdk import ENDED, UNDER_WAY, check_only_the_gateway_arrived, job_of, sdk_options
from tests.support.sharing import reads_counted

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEX = "delete-job-0123456789abcdef0123456789abcdef"
JOBS = {"rate": 20, "max_staleness": 0.2, "terminal_staleness": 0.2, "watch": "seen"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def whole() -> AsyncIterator[Azure]:
    """Everything on, twenty times as fast as in earnest; jobs take a third of a second."""
    async with running_azure(fast(rate_limit=100.0, job_seconds=0.3), jobs=JOBS) as running:
        yield running


@pytest.fixture
def azure(whole: Azure) -> Azure:
    """The module's, without what earlier tests left at the emulator."""
    forget_jobs(whole)
    return whole


async def check(azure: Azure) -> Counter[str]:
    """What holds afterwards: nothing was refused, and reads were shared; requests by route."""
    check_only_the_gateway_arrived(azure)
    assert {entry.status for entry in azure.arrived if entry.status is not None} <= {200, 201, 202, 204, 404}
    counted = await reads_counted(azure.gateway)
    assert counted["hit"] > counted["miss"]
    return Counter(entry.route for entry in azure.arrived)


def _stories(azure: Azure) -> None:
    client = DigitalTwinsClient(azure.gateway.data, **sdk_options(operation_id="delete-job-1"))
    imports, deletions = client._client.import_jobs, client._client.delete_jobs
    for _ in range(2):
        assert imports.add("j 1/é", job_of(azure)).status == "notstarted"
        while (job := imports.get_by_id("j 1/é")).status not in ENDED:
            assert job.status in UNDER_WAY
        assert (job.id, job.status) == ("j 1/é", "succeeded")
        imports.delete("j 1/é")
        with pytest.raises(ResourceNotFoundError):
            imports.get_by_id("j 1/é")
        assert list(imports.list()) == []
    poller = deletions.begin_add()
    polling: Any = poller.polling_method()
    assert polling._operation._async_url.startswith(f"{azure.gateway.data}/jobs/deletions/delete-job-1?")
    done = poller.result()
    assert (done.id, done.status) == ("delete-job-1", "succeeded")
    assert [job.status for job in deletions.list()] == ["succeeded"]


async def test_the_sdk_creates_polls_deletes_and_creates_again(azure: Azure) -> None:
    """The sync client: each write shows in its next read, and its poller ends with the job."""
    await asyncio.to_thread(_stories, azure)
    routes = await check(azure)
    assert routes["PUT /jobs/imports/{id}"] == routes["DELETE /jobs/imports/{id}"] == 2
    assert routes["POST /jobs/deletions"] == 1


async def test_pollers_of_one_job_share_it(azure: Azure) -> None:
    """The aio client's poller ends with its job, and so do others that poll the same by its id."""

    async def other() -> str:
        async with AioClient(azure.gateway.data, **sdk_options()) as client:
            deletions = client._client.delete_jobs
            while (job := await deletions.get_by_id("shared")).status not in ENDED:
                assert job.status in UNDER_WAY
            return str(job.status)

    async with AioClient(azure.gateway.data, **sdk_options(operation_id="shared")) as client:
        poller = await client._client.delete_jobs.begin_add()
        others = asyncio.gather(*(other() for _ in range(5)))
        done: Any = await poller.result()
    assert (done.id, done.status, await others) == ("shared", "succeeded", ["succeeded"] * 5)
    assert (await check(azure))["POST /jobs/deletions"] == 1


async def test_requests_of_az_arrive_as_they_are(azure: Azure) -> None:
    """`az dt job` names its deletions and sends a content type with every request, reads and deletes too."""
    kind = ("content-type", "application/json")
    async with azure.app(headers=dict([kind]), params={"api-version": VERSION}) as app:
        posted = await app.post("/jobs/deletions", headers={"operation-id": HEX})
        assert (posted.status_code, posted.headers["operation-id"]) == (202, HEX)
        location = posted.headers["operation-location"]
        assert location == f"{azure.gateway.data}/jobs/deletions/{HEX}?api-version={VERSION}"
        while (await app.get(location.partition("?")[0])).json()["status"] not in ENDED:
            continue
        assert (await app.put("/jobs/imports/one", json=azure.import_body())).status_code == 201
        while (await app.get("/jobs/imports/one")).json()["status"] not in ENDED:
            continue
        assert (await app.delete("/jobs/imports/one")).status_code == 204
        assert (await app.get("/jobs/imports/one")).status_code == 404
    await check(azure)
    sent = [
        [(name.lower(), value) for name, value in entry.headers]
        for entry in azure.arrived
        if ("user-agent" in {name.lower() for name, _ in entry.headers})
    ]
    assert len(sent) >= 6
    assert all(headers.count(kind) == 1 for headers in sent)
    assert all(("operation-id", HEX) not in headers for headers in sent[1:])
    assert sent[0].count(("operation-id", HEX)) == 1
    assert [entry.body_size for entry in azure.arrived if entry.method in {"GET", "DELETE"}] == [0] * (
        len(azure.arrived) - 2
    )


async def test_pages_keep_their_size(azure: Azure) -> None:
    """Clients that page with different sizes at the same time each see every job once, in pages of theirs."""
    names = [f"job-{number}" for number in range(7)]
    created_elsewhere(azure.cloud, *names)

    async def pages(size: int) -> list[list[str]]:
        async with AioClient(azure.gateway.data, **sdk_options()) as client:
            listed = client._client.import_jobs.list(ImportJobsListOptions(max_items_per_page=size))
            return [[str(job.id) async for job in page] async for page in listed.by_page()]

    sizes = [2, 3, 2, 7, 3]
    for size, told in zip(sizes, await asyncio.gather(*map(pages, sizes)), strict=True):
        assert told == [names[at : at + size] for at in range(0, 7, size)]
    assert 4 + 3 + 1 <= len(azure.arrived) < 4 + 3 + 4 + 1 + 3
    check_only_the_gateway_arrived(azure)
