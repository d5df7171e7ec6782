"""The eight operations of the Jobs API over a real socket."""

import re

import httpx

from gateway.emulator import RunningEmulator, sample
from tests.emulator.support import VERSION, ManualClock, error_of, import_body

SEVEN_DECIMALS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}\+00:00")


async def start_import(
    http: httpx.AsyncClient, job: str = "job", name: str = "campus.ndjson"
) -> httpx.Response:
    await http.put(f"/blob/in/{name}", content=sample(name))
    return await http.put(f"/jobs/imports/{job}", json=import_body(str(http.base_url).rstrip("/"), name))


async def test_import_is_created_with_the_documented_fields(http: httpx.AsyncClient) -> None:
    """ImportJobs_Add answers 201 with the whole job, seven decimals and a purge time 30 days out."""
    response = await start_import(http)
    body = response.json()
    assert response.status_code == 201
    assert body["id"] == "job"
    assert body["status"] == "notstarted"
    assert body["createdDateTime"] == "2024-05-06T07:08:09.1234560+00:00"
    assert body["purgeDateTime"] == "2024-06-05T07:08:09.1234560+00:00"
    assert SEVEN_DECIMALS.fullmatch(body["lastActionDateTime"])
    assert set(body) == {
        "id",
        "status",
        "createdDateTime",
        "lastActionDateTime",
        "purgeDateTime",
        "inputBlobUri",
        "outputBlobUri",
    }
    assert response.headers["x-ms-request-id"]


async def test_import_runs_with_the_clock(http: httpx.AsyncClient, clock: ManualClock) -> None:
    """A job is notstarted, then running, then succeeded, at the times the settings give."""
    await start_import(http)
    seen = []
    for _ in range(4):
        seen.append((await http.get("/jobs/imports/job")).json())
        clock.advance(2)
    assert [job["status"] for job in seen] == ["notstarted", "running", "running", "succeeded"]
    assert seen[3]["finishedDateTime"] == "2024-05-06T07:08:15.1234560+00:00"


async def test_failed_job_is_200_with_an_error(http: httpx.AsyncClient, clock: ManualClock) -> None:
    """A job whose model is broken reads as 200, status failed, error code DTDLParsingError."""
    await start_import(http, name="broken-model.ndjson")
    clock.advance(60)
    response = await http.get("/jobs/imports/job")
    assert response.status_code == 200
    assert response.json()["status"] == "failed"
    assert response.json()["error"]["code"] == "DTDLParsingError"
    assert "x-ms-error-code" not in response.headers


async def test_unknown_jobs_are_not_found(http: httpx.AsyncClient) -> None:
    """Each kind has its own 404 code."""
    assert error_of(await http.get("/jobs/imports/none")) == (404, "ImportJobNotFound")
    assert error_of(await http.get("/jobs/deletions/none")) == (404, "DeleteJobNotFound")


async def test_import_needs_both_uris(http: httpx.AsyncClient, running: RunningEmulator) -> None:
    """A missing, relative or odd URI, and a body that is no object, are 400 ValidationFailed."""
    good = import_body(running.url)
    bodies: list[object] = [
        {**good, "outputBlobUri": None},
        {**good, "inputBlobUri": "/blob/in/x"},
        {},
        [],
        "text",
    ]
    for body in bodies:
        assert error_of(await http.put("/jobs/imports/job", json=body)) == (400, "ValidationFailed")
    assert error_of(await http.put("/jobs/imports/job", content=b"{")) == (400, "ValidationFailed")


async def test_import_id_is_unique_and_case_sensitive(http: httpx.AsyncClient, clock: ManualClock) -> None:
    """The same id again is 400 ValidationFailed, also after the job ended; another casing is another id."""
    await start_import(http)
    clock.advance(60)
    assert error_of(await start_import(http)) == (400, "ValidationFailed")
    assert (await start_import(http, "JOB")).status_code == 201


async def test_import_id_is_one_decoded_segment(http: httpx.AsyncClient) -> None:
    """An id with a slash, a space and an accent arrives as one encoded segment and comes back as text."""
    assert (await start_import(http, "j%201%2F%C3%A9")).json()["id"] == "j 1/é"
    assert (await http.get("/jobs/imports/j%201%2F%C3%A9")).json()["id"] == "j 1/é"
    assert error_of(await http.get("/jobs/imports/j%25201")) == (404, "ImportJobNotFound")
    assert error_of(await http.get("/jobs/imports/j%FF")) == (400, "InvalidArgument")


async def test_one_bulk_job_at_a_time(http: httpx.AsyncClient, clock: ManualClock) -> None:
    """Imports and deletions share the limit: 400 JobLimitReached while one is active, not after it ended."""
    await start_import(http)
    assert error_of(await start_import(http, "other")) == (400, "JobLimitReached")
    assert error_of(await http.post("/jobs/deletions")) == (400, "JobLimitReached")
    clock.advance(60)
    assert (await http.post("/jobs/deletions")).status_code == 202
    assert error_of(await start_import(http, "other")) == (400, "JobLimitReached")


async def test_cancel_keeps_what_was_imported(http: httpx.AsyncClient, clock: ManualClock) -> None:
    """Cancelling goes over cancelling to cancelled, without rollback, and once."""
    await start_import(http)
    clock.advance(3.5)
    response = await http.post("/jobs/imports/job/cancel")
    assert (response.status_code, response.json()["status"]) == (200, "cancelling")
    assert (await http.post("/jobs/imports/job/cancel")).status_code == 200
    clock.advance(1)
    cancelled = (await http.get("/jobs/imports/job")).json()
    assert cancelled["status"] == "cancelled"
    assert cancelled["finishedDateTime"] == "2024-05-06T07:08:13.6234560+00:00"
    twins = (await http.post("/query", json={"query": "SELECT COUNT() FROM digitaltwins"})).json()["value"][
        0
    ]["COUNT"]
    assert 0 < twins < 30
    assert error_of(await http.post("/jobs/imports/job/cancel")) == (400, "ValidationFailed")
    assert error_of(await http.post("/jobs/imports/none/cancel")) == (400, "ValidationFailed")


async def test_delete_only_frees_the_id(http: httpx.AsyncClient, clock: ManualClock) -> None:
    """A deleted import goes on: its id is free at once, the place for a bulk job only when it ends."""
    await start_import(http)
    response = await http.delete("/jobs/imports/job")
    assert (response.status_code, response.content) == (204, b"")
    assert error_of(await http.get("/jobs/imports/job")) == (404, "ImportJobNotFound")
    assert error_of(await start_import(http)) == (400, "JobLimitReached")
    clock.advance(60)
    assert (await start_import(http)).status_code == 201
    assert (await http.get("/digitaltwins/building-1")).status_code == 200
    assert error_of(await http.delete("/jobs/imports/none")) == (400, "ValidationFailed")


async def test_deletion_empties_the_instance(
    http: httpx.AsyncClient, bare: httpx.AsyncClient, running: RunningEmulator, clock: ManualClock
) -> None:
    """DeleteJobs_Add answers 202 with both headers; at the job's end models and twins are gone."""
    await start_import(http)
    clock.advance(60)
    response = await http.post("/jobs/deletions", headers={"operation-id": "d 1/2"})
    assert response.status_code == 202
    location = response.headers["Operation-Location"]
    assert location == f"{running.url}/jobs/deletions/d%201%2F2?api-version={VERSION}"
    assert response.headers["Retry-After"] == "1"
    assert set(response.json()) == {"id", "status", "createdDateTime", "purgeDateTime"}
    assert (await http.get("/digitaltwins/building-1")).status_code == 200
    clock.advance(60)
    done = await bare.get(location)
    assert done.json()["status"] == "succeeded"
    assert "Retry-After" not in done.headers
    assert (await http.get("/models")).json() == {"value": []}
    assert error_of(await http.get("/digitaltwins/building-1")) == (404, "DigitalTwinNotFound")


async def test_operation_id_is_taken_and_unique(http: httpx.AsyncClient, clock: ManualClock) -> None:
    """The header becomes the id; used again it is 400 ValidationFailed with the documented message."""
    response = await http.post("/jobs/deletions", headers={"operation-id": "delete-job-1"})
    assert response.json()["id"] == response.headers["Operation-Id"] == "delete-job-1"
    clock.advance(60)
    again = await http.post("/jobs/deletions", headers={"operation-id": "delete-job-1"})
    assert error_of(again) == (400, "ValidationFailed")
    assert again.json()["error"]["message"] == "Operation-Id already exists."


async def test_deletion_timeout_is_checked_and_kept(http: httpx.AsyncClient, clock: ManualClock) -> None:
    """The parameter timeoutInMinutes is 15 to 1440; a job that needs longer fails at its timeout."""
    for text in ("14", "1441", "-1", "x", "", "1e2"):
        response = await http.post("/jobs/deletions", params={"timeoutInMinutes": text})
        assert error_of(response) == (400, "ValidationFailed")
    await http.post("/_emulator/settings", json={"job_seconds": 3600})
    job = (await http.post("/jobs/deletions", params={"timeoutInMinutes": "15"})).json()
    clock.advance(15 * 60 + 1)
    failed = (await http.get(f"/jobs/deletions/{job['id']}")).json()
    assert (failed["status"], failed["error"]["code"]) == ("failed", "OperationTimedOut")


async def test_lists_page_by_absolute_links(
    http: httpx.AsyncClient, bare: httpx.AsyncClient, running: RunningEmulator, clock: ManualClock
) -> None:
    """Five jobs in pages of two: three pages, followed by nextLink alone, in order, for both kinds."""
    for number in range(5):
        await start_import(http, f"job-{number}")
        clock.advance(60)
    for number in range(5):
        await http.post("/jobs/deletions", headers={"operation-id": f"job-{number}"})
        clock.advance(60)
    for kind in ("imports", "deletions"):
        page = (await http.get(f"/jobs/{kind}", headers={"max-items-per-page": "2"})).json()
        sizes, ids = [len(page["value"])], [job["id"] for job in page["value"]]
        while "nextLink" in page:
            assert page["nextLink"].startswith(f"{running.url}/jobs/{kind}?")
            page = (await bare.get(page["nextLink"])).json()
            sizes.append(len(page["value"]))
            ids += [job["id"] for job in page["value"]]
        assert sizes == [2, 2, 1]
        assert ids == [f"job-{number}" for number in range(5)]


async def test_bad_paging_is_refused(http: httpx.AsyncClient) -> None:
    """A page size that is no count and a token from elsewhere are 400."""
    for size in ("0", "-1", "x", "9" * 5000):
        response = await http.get("/jobs/imports", headers={"max-items-per-page": size})
        assert error_of(response) == (400, "InvalidArgument")
    for token in ("x", "W10=", "WzEsMF0=", "%%%"):
        assert error_of(await http.get("/jobs/imports", params={"continuationToken": token})) == (
            400,
            "BadRequest",
        )


async def test_finished_jobs_are_purged(http: httpx.AsyncClient, clock: ManualClock) -> None:
    """After its purgeDateTime a job is gone."""
    await start_import(http)
    clock.advance(31 * 24 * 3600)
    await http.get("/jobs/imports/job")
    assert error_of(await http.get("/jobs/imports/job")) == (404, "ImportJobNotFound")
