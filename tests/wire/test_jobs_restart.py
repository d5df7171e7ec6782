"""A job outlives the gateway that created it: the next one follows it to its end, and tells it once."""

import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest

from gateway.emulator import RunningEmulator, running_emulator
from tests.support.azure import Azure, fast, gateway_to, http_client
from tests.support.job_traces import TRACE, nanoseconds, within
from tests.support.otlp import OtlpReceiver, otlp_receiver
from tests.support.process import Serving
from tests.support.restarts import Site, app_of, metric, running_site

JOB_SPAN = "import job"
SUCCEEDED = {"kind": "import", "status": "succeeded"}
AT_ONCE = {"OTEL_BSP_SCHEDULE_DELAY": "50"}


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    async with otlp_receiver() as opened:
        yield opened


@pytest.fixture
async def site(receiver: OtlpReceiver, tmp_path: Path) -> AsyncIterator[Site]:
    environ = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": receiver.url, **AT_ONCE}
    async with running_site(tmp_path / "jobs.db", environ) as running:
        yield running


async def end(gateway: Serving, how: signal.Signals) -> None:
    """End the process; one that is asked to has nothing to complain of."""
    gateway.send_signal(how)
    assert await gateway.ended() == (0 if how is signal.SIGTERM else -how)
    assert {line["level"] for line in gateway.lines} <= {"info"}


def has_job_span(receiver: OtlpReceiver) -> bool:
    return any(span.name == JOB_SPAN for span in receiver.spans)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["SIGKILL", "SIGTERM"])
async def test_a_job_is_followed_over_a_restart(
    site: Site, receiver: OtlpReceiver, how: signal.Signals
) -> None:
    """Created, the gateway gone, started again: nobody polls, and its one span is in the first trace.

    It has the service's own times, is counted once, and a third gateway tells at most the same span again.
    """
    body = dict.fromkeys(("inputBlobUri", "outputBlobUri"), f"{site.cloud.url}/blob/samples/campus.ndjson")
    async with site.gateway() as gateway, app_of(gateway) as app:
        assert (await app.put("/jobs/imports/one", json=body, headers=within())).status_code == 201
        await receiver.wait_for(lambda got: any(span.kind == "SERVER" for span in got.spans))
        assert await metric(gateway, "adt_jobs_store_up") == 1
        await end(gateway, how)
    async with site.gateway() as gateway:
        assert await metric(gateway, "adt_job_oldest_active_age_seconds", kind="import")
        site.finish_jobs()
        await receiver.wait_for(has_job_span)
        assert await metric(gateway, "adt_jobs_finished_total", **SUCCEEDED) == 1
        assert await metric(gateway, "adt_job_duration_seconds_count", **SUCCEEDED) == 1
        await end(gateway, how)
    async with site.gateway() as gateway, app_of(gateway) as app:
        assert (await app.get("/jobs/imports/one")).json()["status"] == "succeeded"
        assert (await app.get("/jobs/imports")).json()["value"][0]["status"] == "succeeded"
        assert await metric(gateway, "adt_jobs", **SUCCEEDED) == 1
        assert not await metric(gateway, "adt_jobs_finished_total", **SUCCEEDED)
        await end(gateway, signal.SIGTERM)
    jobs = [span for span in receiver.spans if span.name == JOB_SPAN]
    # A gateway that was killed may have lost it, so the next one tells it again: the same span.
    assert len(jobs) == 1 + (how is signal.SIGKILL)
    assert len({(span.span_id, span.trace_id, span.start, span.end) for span in jobs}) == 1
    job = jobs[0]
    creation = receiver.named("PUT /jobs/imports/{id}", "SERVER")
    assert creation.trace_id == TRACE
    assert (job.trace_id, job.parent_id) == (TRACE, creation.span_id)
    known = site.cloud.emulator.state.jobs.imports["one"]
    assert known.finished is not None
    assert (job.start, job.end) == (nanoseconds(known.created), nanoseconds(known.finished))
    assert [entry.method for entry in site.arrived[:2]] == ["PUT", "GET"]


@pytest.mark.slow
@pytest.mark.parametrize("request_id", [None, "told-once"])
async def test_a_job_that_an_app_was_told_of_is_known(site: Site, request_id: str | None) -> None:
    """However soon after its 201 the gateway is killed, the next one follows the job."""
    body = dict.fromkeys(("inputBlobUri", "outputBlobUri"), f"{site.cloud.url}/blob/samples/campus.ndjson")
    headers = {} if request_id is None else {"x-ms-client-request-id": request_id}
    for number in range(3):
        async with site.gateway() as gateway, app_of(gateway) as app:
            assert (await app.put(f"/jobs/imports/{number}", json=body, headers=headers)).status_code == 201
            await end(gateway, signal.SIGKILL)
        site.finish_jobs()
    async with site.gateway() as gateway:
        assert await metric(gateway, "adt_jobs_store_up") == 1
        async with http_client(gateway.admin, params={}) as operator:
            assert (await operator.get("/api/jobs")).json()["total"] == 3
        await end(gateway, signal.SIGTERM)


def spoilt(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 8192)


def of_a_newer_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.execute("PRAGMA application_id=1094997063")
        file.execute("PRAGMA user_version=99")
        file.execute("CREATE TABLE entries (something TEXT)")


def no_place(path: Path) -> None:
    path.mkdir()


@pytest.fixture
async def cloud() -> AsyncIterator[RunningEmulator]:
    async with running_emulator(fast()) as running:
        yield running


async def works_without(cloud: RunningEmulator, path: Path) -> str:
    """What a gateway logs of a store that it cannot use, after it was shown to work without it."""
    async with gateway_to(cloud, jobs={"store": f"sqlite://{path}"}) as gateway:
        azure = Azure(gateway, cloud)
        async with azure.app() as app, azure.operator() as operator:
            assert (await app.put("/jobs/imports/one", json=azure.import_body())).status_code == 201
            assert (await app.get("/jobs/imports/one")).status_code == 200
            assert (await app.get("/models")).status_code == 200
            assert (await operator.get("/readyz")).status_code == 200
            assert (await operator.get("/api/jobs")).json()["total"] == 1
            assert "\nadt_jobs_store_up 0.0\n" in (await operator.get("/metrics")).text
    [line] = [line for line in gateway.lines() if line["level"] != "info"]
    assert (line["level"], line["logger"]) == ("error", "gateway.jobs")
    message: str = line["message"]
    assert message.startswith(f"jobs.store: {path} ")
    assert message.endswith("until the gateway is started again, jobs are kept in memory")
    return message


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (spoilt, "another application's"),
        (of_a_newer_version, "written by a newer version of the gateway"),
        (no_place, "is a directory: name a file in it"),
    ],
)
async def test_a_store_that_cannot_be_used(
    cloud: RunningEmulator, tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    """One clear line, a metric that says so, and everything else works."""
    path = tmp_path / "jobs.db"
    spoil(path)
    assert says in await works_without(cloud, path)


async def test_a_store_that_cannot_be_written(cloud: RunningEmulator) -> None:
    """A place that takes no file, whoever asks: as if its volume were read-only."""
    assert "cannot be written" in await works_without(cloud, Path("/sys/kernel/adt-gateway-test.db"))


@pytest.mark.slow
async def test_a_store_that_another_gateway_has(site: Site) -> None:
    """Two gateways on one file: the first keeps it, the second says so and works."""
    async with site.gateway() as gateway, app_of(gateway) as app:
        assert "in use by another process" in await works_without(site.cloud, site.store)
        await app.delete("/jobs/imports/one")
        assert await metric(gateway, "adt_jobs_store_up") == 1
        await end(gateway, signal.SIGTERM)
