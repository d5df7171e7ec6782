"""The official SDK for Python, without a credential, through the gateway: every operation of an app.

The SDK's sync client blocks, so each story runs in a thread while gateway and emulator share the loop.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.digitaltwins.core import DigitalTwinsClient
from azure.digitaltwins.core._generated.models import DigitalTwinsEventRoute, ImportJobsListOptions

from tests.support.azure import Azure, fast, running_azure
from tests.support.sdk import (
    APP_TOKEN,
    ENDED,
    UNDER_WAY,
    check_only_the_gateway_arrived,
    job_of,
    sdk_options,
)

MODEL: dict[str, Any] = {
    "@id": "dtmi:x;1",
    "@type": "Interface",
    "@context": "dtmi:dtdl:context;2",
    "displayName": "X",
    "contents": [
        {"@type": "Relationship", "name": "to"},
        {"@type": "Property", "name": "n", "schema": "integer"},
        {"@type": "Telemetry", "name": "noise", "schema": "integer"},
    ],
}


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    async with running_azure() as running:
        yield running


def client_of(azure: Azure, **options: Any) -> DigitalTwinsClient:
    return DigitalTwinsClient(azure.gateway.data, **sdk_options(**options))


def ended(read: Callable[[], Any]) -> Any:
    """Poll until the job has ended, as an app does."""
    while (job := read()).status not in ENDED:
        assert job.status in UNDER_WAY
    return job


def _life_of_an_import(azure: Azure) -> None:
    imports = client_of(azure)._client.import_jobs
    created = imports.add("j 1/é", job_of(azure))
    assert (created.id, created.status) == ("j 1/é", "notstarted")
    with pytest.raises(HttpResponseError) as second:
        imports.add("other", job_of(azure))
    assert second.value.status_code == 400
    assert second.value.error is not None
    assert second.value.error.code == "JobLimitReached"
    assert imports.cancel("j 1/é").status == "cancelling"
    assert ended(lambda: imports.get_by_id("j 1/é")).status == "cancelled"
    imports.delete("j 1/é")
    with pytest.raises(ResourceNotFoundError) as missing:
        imports.get_by_id("j 1/é")
    assert missing.value.error is not None
    assert missing.value.error.code == "ImportJobNotFound"


async def test_an_import_lives_its_whole_life(azure: Azure) -> None:
    """Add, the limit of one job, cancel, get, delete and the 404 after it are the SDK's own types."""
    azure.change(job_seconds=60.0)
    await asyncio.to_thread(_life_of_an_import, azure)
    targets = {entry.target.partition("?")[0] for entry in azure.arrived if entry.method == "PUT"}
    assert targets == {"/jobs/imports/j%201%2F%C3%A9", "/jobs/imports/other"}
    check_only_the_gateway_arrived(azure)


def _deletions(azure: Azure) -> None:
    client = client_of(azure, operation_id="delete-job-1", timeout_in_minutes=20)
    imports, deletions = client._client.import_jobs, client._client.delete_jobs
    imports.add("campus", job_of(azure))
    assert ended(lambda: imports.get_by_id("campus")).status == "succeeded"
    assert list(client.list_models())
    poller = deletions.begin_add()
    polling: Any = poller.polling_method()
    leads_to = polling._operation._async_url
    assert leads_to.startswith(f"{azure.gateway.data}/jobs/deletions/delete-job-1?")
    done = poller.result()
    assert (done.id, done.status) == ("delete-job-1", "succeeded")
    assert deletions.get_by_id("delete-job-1").finished_date_time is not None
    assert [job.id for job in deletions.list()] == ["delete-job-1"]
    with pytest.raises(ResourceNotFoundError) as missing:
        deletions.get_by_id("no-such-job")
    assert missing.value.error is not None
    assert missing.value.error.code == "DeleteJobNotFound"
    assert list(client.list_models()) == []


async def test_a_deletion_is_polled_to_its_end(azure: Azure) -> None:
    """The SDK's long-running poller follows Operation-Location through the gateway until nothing is left."""
    await asyncio.to_thread(_deletions, azure)
    [creation] = [entry for entry in azure.arrived if entry.method == "POST" and "/jobs/" in entry.target]
    assert ("operation-id", "delete-job-1") in [(name.lower(), value) for name, value in creation.headers]
    assert "timeoutInMinutes=20" in creation.target
    polls = [entry for entry in azure.arrived if entry.route == "GET /jobs/deletions/{id}"]
    assert len(polls) >= 3
    check_only_the_gateway_arrived(azure)


def _failed_job(azure: Azure) -> None:
    imports = client_of(azure)._client.import_jobs
    imports.add("broken", job_of(azure, "broken-model.ndjson"))
    failed = ended(lambda: imports.get_by_id("broken"))
    assert (failed.status, failed.error.code) == ("failed", "DTDLParsingError")


async def test_a_failed_job_is_no_http_error(azure: Azure) -> None:
    """A job that failed reaches the app as a job with its error, not as an exception."""
    await asyncio.to_thread(_failed_job, azure)


def _three_pages(azure: Azure) -> None:
    imports = client_of(azure)._client.import_jobs
    for number in range(5):
        imports.add(f"job-{number}", job_of(azure, "broken-model.ndjson"))
        assert ended(partial(imports.get_by_id, f"job-{number}")).status == "failed"
    pages = imports.list(ImportJobsListOptions(max_items_per_page=2)).by_page()
    ids = [[job.id for job in page] for page in pages]
    assert ids == [["job-0", "job-1"], ["job-2", "job-3"], ["job-4"]]


async def test_a_list_of_three_pages(azure: Azure) -> None:
    """Paging follows nextLink back to the gateway, page by page, with the app's page size."""
    await asyncio.to_thread(_three_pages, azure)
    lists = [entry for entry in azure.arrived if entry.route == "GET /jobs/imports"]
    assert len(lists) == 3
    assert ("max-items-per-page", "2") in [(name.lower(), value) for name, value in lists[0].headers]
    check_only_the_gateway_arrived(azure)


async def test_links_lead_to_the_gateway(azure: Azure) -> None:
    """What the upstream links to itself, the app sees at the gateway: nextLink and Operation-Location."""
    async with azure.app() as app:
        deletion = await app.post("/jobs/deletions", headers={"operation-id": "one"})
        location = deletion.headers["operation-location"]
        assert location == f"{azure.gateway.data}/jobs/deletions/one?api-version=2023-10-31"
        while (await app.get("/jobs/deletions/one")).json()["status"] != "succeeded":
            continue
        assert (await app.post("/jobs/deletions", headers={"operation-id": "two"})).status_code == 202
        page = (await app.get("/jobs/deletions", headers={"max-items-per-page": "1"})).json()
        assert page["nextLink"].startswith(f"{azure.gateway.data}/jobs/deletions?")
    async with azure.app(params={}) as follower:
        following = await follower.get(page["nextLink"])
        assert [job["id"] for job in following.json()["value"]] == ["two"]


def _graph(azure: Azure) -> None:
    client = client_of(azure)
    assert client.create_models([MODEL])[0].id == "dtmi:x;1"
    assert client.get_model("dtmi:x;1", include_model_definition=True).model == MODEL
    for number in range(5):
        client.upsert_digital_twin(f"t{number}", {"$metadata": {"$model": "dtmi:x;1"}, "n": number})
    client.update_digital_twin("t0", [{"op": "replace", "path": "/n", "value": 7}])
    assert client.get_digital_twin("t0")["n"] == 7
    for number in range(1, 5):
        link = {"$relationshipId": f"r{number}", "$sourceId": "t0", "$targetId": f"t{number}"}
        client.upsert_relationship("t0", f"r{number}", {**link, "$relationshipName": "to"})
    assert client.get_relationship("t0", "r1")["$targetId"] == "t1"
    assert len(list(client.list_relationships("t0"))) == 4
    assert [item.source_id for item in client.list_incoming_relationships("t1")] == ["t0"]
    client.publish_telemetry("t0", {"noise": 1})
    pages = client.query_twins("SELECT * FROM digitaltwins").by_page()
    assert [len(list(page)) for page in pages] == [2, 2, 1]
    route = DigitalTwinsEventRoute(endpoint_name="hub", filter="true")
    client.upsert_event_route("route", route)
    assert client.get_event_route("route").endpoint_name == "hub"
    assert [item.id for item in client.list_event_routes()] == ["route"]
    client.delete_event_route("route")
    client.delete_relationship("t0", "r1")
    client.decommission_model("dtmi:x;1")
    assert [item.decommissioned for item in client.list_models()] == [True]
    with pytest.raises(ResourceNotFoundError) as missing:
        client.get_digital_twin("nobody")
    assert missing.value.error is not None
    assert missing.value.error.code == "DigitalTwinNotFound"


async def test_the_rest_of_the_data_plane() -> None:
    """Models, twins, relationships in pages, queries in pages, telemetry and event routes all pass."""
    async with running_azure(fast(page_size=2)) as azure:
        await asyncio.to_thread(_graph, azure)
        relationships = "GET /digitaltwins/{id}/relationships"
        assert len([entry for entry in azure.arrived if entry.route == relationships]) == 2
        check_only_the_gateway_arrived(azure)


def _with_its_own_token(azure: Azure) -> None:
    headers = {"Authorization": f"Bearer {APP_TOKEN}"}
    assert list(client_of(azure).list_models(headers=headers)) == []


async def test_an_app_s_own_token_goes_no_further(azure: Azure) -> None:
    """A credential that the app sends nevertheless never reaches the upstream."""
    await asyncio.to_thread(_with_its_own_token, azure)
    check_only_the_gateway_arrived(azure)


def _refused(azure: Azure) -> None:
    with pytest.raises(ClientAuthenticationError) as refused:
        list(client_of(azure).list_models())
    assert refused.value.status_code == 401
    assert refused.value.error is not None
    assert refused.value.error.code == "Unauthorized"


async def test_an_upstream_s_401_is_an_error_the_app_can_read(azure: Azure) -> None:
    """Where the upstream refuses the gateway's tokens, the SDK raises its own error with the code."""
    azure.wrong(status=401, path="/models", times=None)
    await asyncio.to_thread(_refused, azure)
