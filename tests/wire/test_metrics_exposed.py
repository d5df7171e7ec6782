"""What Prometheus gets of a gateway that has been through everything: names, labels, closed values."""

import subprocess
from collections.abc import AsyncIterator
from http import HTTPStatus

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample

from gateway.errors import REASONS, REFERENCE_CODES
from gateway.failures import REGISTRY
from gateway.routes import TEMPLATES
from tests.support.azure import Azure, gateway_to, running_azure
from tests.support.programs import require_program

HTTP = {"http_request_method", "http_route", "http_response_status_code", "error_type"}
CONTRACT = {
    "http_server_request_duration_seconds": ("histogram", HTTP),
    "http_server_active_requests": ("gauge", {"http_request_method"}),
    "http_client_request_duration_seconds": ("histogram", {*HTTP, "server_address"}),
    "adt_gateway_overhead_seconds": ("histogram", {"http_route"}),
    "adt_gateway_error_responses": ("counter", {"http_route", "error_code", "origin"}),
    "adt_gateway_error_normalisations": ("counter", {"reason"}),
    "adt_gateway_token_expiry_timestamp_seconds": ("gauge", {"source"}),
    "adt_gateway_token_refreshes": ("counter", {"source", "result"}),
    "adt_gateway_token_refresh_duration_seconds": ("histogram", {"source"}),
    "adt_gateway_retries": ("counter", {"reason"}),
    "adt_gateway_client_retries": ("counter", set[str]()),
    "adt_gateway_replayed_writes": ("counter", {"result"}),
    "adt_jobs_last_sync_timestamp_seconds": ("gauge", set[str]()),
    "adt_jobs_reads": ("counter", {"result"}),
    "adt_jobs_rate_wait_seconds": ("histogram", {"priority"}),
    "adt_jobs_rate_queue_length": ("gauge", {"priority"}),
    "adt_jobs_throttled": ("counter", {"priority"}),
    "adt_jobs_limit_reached": ("counter", {"active"}),
    "adt_jobs_watch_failures": ("counter", set[str]()),
    "adt_jobs_store_up": ("gauge", set[str]()),
    "adt_gateway_circuit_state": ("gauge", {"state"}),
    "adt_gateway_spans_dropped": ("counter", set[str]()),
    "adt_gateway_span_export_failures": ("counter", set[str]()),
    "adt_jobs": ("gauge", {"kind", "status"}),
    "adt_jobs_finished": ("counter", {"kind", "status", "error_code"}),
    "adt_job_duration_seconds": ("histogram", {"kind", "status"}),
    "adt_job_oldest_active_age_seconds": ("gauge", {"kind"}),
}
STATUSES = {str(int(status)) for status in HTTPStatus}
CODES = {*REFERENCE_CODES, *REGISTRY, "other"}
KINDS = {
    "import": {"notstarted", "running", "failed", "succeeded", "cancelling", "cancelled", "unknown"},
    "deletion": {"notstarted", "running", "failed", "succeeded", "unknown"},
}
CLOSED = {
    "http_request_method": {
        "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "_OTHER",
    },
    "http_route": {*TEMPLATES, "unmatched"},
    "http_response_status_code": {"", "_OTHER", *STATUSES},
    "error_type": {"", "4xx", "5xx", "_OTHER", *STATUSES, *REGISTRY},
    "server_address": {"127.0.0.1"},
    "error_code": {"", *CODES},
    "origin": {"gateway", "upstream"},
    "source": {"oauth2"},
    "result": {
        "success", "failure", "hit", "collapsed", "batched", "miss", "bypass", "recorded", "read", "unknown",
        "other",
    },
    "priority": {"write", "read", "watch"},
    "active": {"import", "deletion", "unknown"},
    "kind": set(KINDS),
    "status": KINDS["import"],
}  # fmt: skip
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    async with running_azure() as running:
        yield running


@pytest.fixture
async def app(azure: Azure) -> AsyncIterator[httpx.AsyncClient]:
    async with azure.app() as client:
        yield client


async def run_job(azure: Azure, app: httpx.AsyncClient, job_id: str, sample: str = "campus.ndjson") -> str:
    """Create an import and poll it to its end, and once more; its last status."""
    created = await app.put(f"/jobs/imports/{job_id}", json=azure.import_body(sample))
    assert created.status_code == 201
    while (job := (await app.get(f"/jobs/imports/{job_id}")).json())["status"] in {"notstarted", "running"}:
        continue
    return str(job["status"])


async def mixed_traffic(azure: Azure, app: httpx.AsyncClient) -> None:
    """Success, errors of both origins, odd methods and statuses, jobs of both ends, a new token."""
    await app.get("/eventroutes")
    await app.get("/digitaltwins/nobody")
    await app.get("/no/such/path")
    await app.request("BREW", "/eventroutes")
    await app.request("TRACE", "/eventroutes")
    await app.get("/eventroutes", headers={"host": "evil.example"})
    for fault in ("html-502", "empty-403", "sub-domain-not-found", "top-level"):
        azure.wrong(kind=fault, path="/models")
        await app.get("/models")
    azure.wrong(status=418, path="/models")
    await app.get("/models")
    azure.wrong(status=499, path="/models", body='{"error": {"code": "NeverHeardOf", "message": "x"}}')
    await app.get("/models")
    azure.wrong(cut="reset", path="/query")
    await app.post("/query", json={"query": "SELECT * FROM digitaltwins"})
    azure.wrong(status=401, path="/models")
    assert (await app.get("/models")).status_code == 200
    await run_job(azure, app, "good")
    await run_job(azure, app, "bad", "broken-model.ndjson")


def samples(text: str) -> list[Sample]:
    return [sample for family in parse_text(text) for sample in family.samples]


def value(text: str, name: str, **labels: str) -> float:
    """The value of the one sample with this name and at least these labels."""
    [found] = [s for s in samples(text) if s.name == name and s.labels.items() >= labels.items()]
    return found.value


def total(text: str, name: str, **labels: str) -> float:
    return sum(s.value for s in samples(text) if s.name == name and s.labels.items() >= labels.items())


async def test_promtool_is_content(azure: Azure, app: httpx.AsyncClient) -> None:
    """`promtool check metrics` has nothing to say about the page."""
    promtool = require_program("promtool", "apt-get install prometheus")
    await mixed_traffic(azure, app)
    page = (await azure.metrics()).encode()
    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, check=False)  # noqa: ASYNC221, S603
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


async def test_the_contract_s_metrics(azure: Azure, app: httpx.AsyncClient) -> None:
    """Every metric has its name, type and labels, in both formats, and only values from closed sets."""
    await mixed_traffic(azure, app)
    await app.delete("/jobs/imports/good")
    openmetrics = parse_openmetrics(await azure.metrics(OPENMETRICS))  # type: ignore[no-untyped-call]
    families = {family.name: family for family in openmetrics}
    for name, (kind, labels) in CONTRACT.items():
        family = families[name]
        assert (name, family.type) == (name, kind)
        assert family.samples, name
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == labels, sample
            for label, text in sample.labels.items():
                assert text in CLOSED.get(label, {text}), sample
    plain = {family.name for family in parse_text(await azure.metrics())}
    assert {name for name, (kind, _) in CONTRACT.items() if kind != "counter"} <= plain
    assert {name for name in plain if not name.startswith(("python_", "process_"))} <= {
        *CONTRACT, "adt_gateway_build_info", "adt_gateway_bodies_unread", "adt_gateway_log_lines_dropped",
    }  # fmt: skip
    [build] = families["adt_gateway_build"].samples
    assert (set(build.labels), build.labels["engine"]) == ({"version", "engine"}, "pyreqwest")


async def test_closed_sets_start_at_zero(azure: Azure) -> None:
    """Before the first request every known code, reason and status has a series, so that rates see it."""
    page = await azure.metrics()
    starts = {s.labels["error_code"] for s in samples(page) if s.name == "adt_gateway_error_responses_total"}
    assert starts == CODES
    name = "adt_gateway_error_normalisations_total"
    reasons = {s.labels["reason"] for s in samples(page) if s.name == name}
    assert reasons == set(REASONS)
    shown: dict[str, set[str]] = {}
    for sample in samples(page):
        if sample.name == "adt_jobs":
            shown.setdefault(sample.labels["kind"], set()).add(sample.labels["status"])
            assert sample.value == 0
    assert shown == KINDS


async def test_errors_are_counted_by_code_route_and_origin(azure: Azure, app: httpx.AsyncClient) -> None:
    """An error shows under its own code, a code nobody knows under `other`, each with who made it."""
    await mixed_traffic(azure, app)
    page, name = await azure.metrics(), "adt_gateway_error_responses_total"
    told = {
        (s.labels["http_route"], s.labels["error_code"], s.labels["origin"]): s.value
        for s in samples(page)
        if s.name == name and s.value
    }
    assert (
        told.items()
        >= {
            ("/digitaltwins/{id}", "DigitalTwinNotFound", "upstream"): 1,
            ("/models", "BadGateway", "upstream"): 1,
            ("/models", "Forbidden", "upstream"): 1,
            ("/models", "other", "upstream"): 1,
            ("/query", "GatewayUpstreamConnectionLost", "gateway"): 1,
            ("/eventroutes", "GatewayMisdirected", "gateway"): 1,
        }.items()
    )
    assert value(page, "http_client_request_duration_seconds_count", error_type="4xx") == 1
    assert value(page, "adt_gateway_error_normalisations_total", reason="html") == 1
    assert value(page, "adt_gateway_retries_total", reason="token") == 1
    assert value(page, "adt_gateway_token_refreshes_total", result="success") == 2
    assert total(page, "http_client_request_duration_seconds_count") == len(azure.arrived)
    assert total(page, "http_server_active_requests") == 0


async def test_a_finish_is_counted_once_however_often_it_is_seen(
    azure: Azure, app: httpx.AsyncClient
) -> None:
    """Polls, lists and a second gateway do not count a finished job again; a failed one tells its code."""
    assert await run_job(azure, app, "good") == "succeeded"
    assert await run_job(azure, app, "bad", "broken-model.ndjson") == "failed"
    for _ in range(5):
        assert (await app.get("/jobs/imports/bad")).status_code == 200
        assert len((await app.get("/jobs/imports")).json()["value"]) == 2
    page, finished = await azure.metrics(), "adt_jobs_finished_total"
    assert value(page, finished, kind="import", status="succeeded", error_code="") == 1
    assert value(page, finished, kind="import", status="failed", error_code="DTDLParsingError") == 1
    assert total(page, finished) == 2
    assert value(page, "adt_jobs", kind="import", status="failed") == 1
    assert value(page, "adt_job_duration_seconds_count", kind="import", status="failed") == 1
    async with gateway_to(azure.cloud) as successor:
        again = Azure(successor, azure.cloud)
        async with again.app() as later:
            await later.get("/jobs/imports/bad")
            await later.get("/jobs/imports")
        page = await again.metrics()
    assert total(page, finished) == 0
    assert value(page, "adt_jobs", kind="import", status="failed") == 1


async def test_every_status_of_a_job_is_seen(azure: Azure, app: httpx.AsyncClient) -> None:
    """The gauge follows a job through its statuses, and its age ends with it."""
    azure.change(job_start_seconds=60.0, cancel_seconds=60.0)
    await app.put("/jobs/imports/slow", json=azure.import_body())
    page = await azure.metrics()
    assert value(page, "adt_jobs", kind="import", status="notstarted") == 1
    assert value(page, "adt_job_oldest_active_age_seconds", kind="import") > 0
    await app.post("/jobs/imports/slow/cancel")
    page = await azure.metrics()
    assert value(page, "adt_jobs", kind="import", status="cancelling") == 1
    assert total(page, "adt_jobs") == 1
    await app.delete("/jobs/imports/slow")
    page = await azure.metrics()
    assert total(page, "adt_jobs") == 0
    assert value(page, "adt_job_oldest_active_age_seconds", kind="import") == 0
