"""The metrics of the contract, their closed labels, their exemplars and their price."""

import asyncio
import math
import random
import subprocess
import time
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.exchange import Attempt, Exchange
from gateway.failures import REGISTRY
from gateway.metrics import Metrics
from gateway.metrics.client_retries import MAX_ID_LENGTH, ClientRetries
from tests.support.exchanges import TRACE_ID, finished, trace
from tests.support.exposition import (
    OPENMETRICS,
    REFERENCE,
    Job,
    Ledger,
    bare,
    build,
    families,
    samples,
    value,
)
from tests.support.programs import require_program

MIB = 1_048_576

CONTRACT: Mapping[str, set[str]] = {
    "http_server_request_duration_seconds": {
        "http_request_method",
        "http_route",
        "http_response_status_code",
        "error_type",
    },
    "http_client_request_duration_seconds": {
        "http_request_method",
        "http_route",
        "http_response_status_code",
        "error_type",
        "server_address",
    },
    "http_server_active_requests": {"http_request_method"},
    "adt_gateway_overhead_seconds": {"http_route"},
    "adt_gateway_error_responses": {"http_route", "error_code", "origin"},
    "adt_gateway_error_normalisations": {"reason"},
    "adt_gateway_token_expiry_timestamp_seconds": {"source"},
    "adt_gateway_token_refreshes": {"source", "result"},
    "adt_gateway_token_refresh_duration_seconds": {"source"},
    "adt_gateway_retries": {"reason"},
    "adt_gateway_client_retries": set(),
    "adt_gateway_spans_dropped": set(),
    "adt_gateway_span_export_failures": set(),
    "adt_gateway_log_lines_dropped": set(),
    "adt_gateway_bodies_unread": {"reader", "reason"},
    "adt_gateway_build": {"version", "engine"},
    "adt_jobs": {"kind", "status"},
    "adt_jobs_finished": {"kind", "status", "error_code"},
    "adt_job_duration_seconds": {"kind", "status"},
    "adt_job_oldest_active_age_seconds": {"kind"},
    "adt_jobs_last_sync_timestamp_seconds": set(),
    "adt_jobs_reads": {"result"},
    "adt_jobs_rate_wait_seconds": {"priority"},
    "adt_jobs_rate_queue_length": {"priority"},
    "adt_jobs_throttled": {"priority"},
    "adt_jobs_limit_reached": {"active"},
    "adt_jobs_watch_failures": set(),
    "adt_jobs_store_up": set(),
    "adt_gateway_circuit_state": {"state"},
    "adt_gateway_replayed_writes": {"result"},
    "adt_job": {"kind", "job_id"},
    "adt_job_status": {"kind", "job_id", "status"},
}


def tell(metrics: Metrics, exchange: Exchange) -> None:
    """A whole exchange with its attempts."""
    metrics.exchange_started(exchange)
    for attempt in exchange.attempts:
        metrics.attempt_finished(exchange, attempt)
    metrics.exchange_finished(exchange)


def tell_everything(metrics: Metrics) -> None:
    """Touch every metric once."""
    failing = finished(status=400)
    failing.error_code, failing.error_origin, failing.normalised = "JobLimitReached", "upstream", "empty"
    for exchange in (finished(), failing):
        tell(metrics, exchange)
    metrics.token_refreshed("oauth2", "success", 0.2, 1_900_000_000.0)
    metrics.retried("token")
    metrics.body_unread("too_large")
    metrics.job_finished("import", "failed", "DTDLParsingError", 42.0, TRACE_ID)


def test_contract() -> None:
    """Every metric of the contract is exported under its name, with exactly its labels."""
    metrics = build(jobs=[Job()], job_series=1)
    tell_everything(metrics)
    found = families(metrics)
    for name, names in CONTRACT.items():
        seen = {frozenset(sample.labels) - {"le"} for sample in found[name].samples}
        assert seen == {frozenset(names)}, name
    ours = {name for name in found if not name.startswith(("process_", "python_"))}
    assert ours == set(CONTRACT)
    assert "process_resident_memory_bytes" in found


def test_promtool_is_content() -> None:
    """`promtool check metrics` has nothing to say about the text format."""
    promtool = require_program("promtool", "apt-get install prometheus")
    metrics = build(jobs=[Job()], job_series=1)
    tell_everything(metrics)
    body, _ = metrics.render("")
    checked = subprocess.run(  # noqa: S603 - the program was found by name on PATH
        [promtool, "check", "metrics"], input=body, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_durations() -> None:
    """Total, upstream and own time of an exchange are recorded apart."""
    metrics = build()
    tell(metrics, finished())
    assert value(metrics, "http_server_request_duration_seconds_sum") == pytest.approx(0.5)
    assert value(metrics, "http_client_request_duration_seconds_sum") == pytest.approx(0.3)
    assert value(metrics, "adt_gateway_overhead_seconds_sum") == pytest.approx(0.1)


def test_overhead_leaves_the_governors_wait_out() -> None:
    """Waiting for a turn at the Jobs API is not the gateway's own time."""
    metrics = build()
    exchange = finished()
    exchange.rate_wait = 0.075
    metrics.exchange_finished(exchange)
    assert value(metrics, "adt_gateway_overhead_seconds_sum") == pytest.approx(0.025)


def test_overhead_is_never_negative() -> None:
    """Waiting for the app while the upstream works does not make the own time negative."""
    metrics = build()
    exchange = finished()
    exchange.app_wait = 0.4
    metrics.exchange_finished(exchange)
    assert value(metrics, "adt_gateway_overhead_seconds_sum") == 0


def test_active_requests() -> None:
    """The gauge counts requests in flight, by method."""
    metrics = build()
    metrics.exchange_started(finished("PUT"))
    metrics.exchange_started(finished("PUT"))
    metrics.exchange_finished(finished("PUT"))
    assert value(metrics, "http_server_active_requests", http_request_method="PUT") == 1
    assert value(metrics, "http_server_active_requests", http_request_method="GET") == 0


def test_each_attempt_is_recorded() -> None:
    """Failed attempts are recorded too, with their error, and a cancelled one is no error."""
    metrics = build()
    exchange = finished()
    exchange.attempts = [
        Attempt(0, 10.0, 10.1, error_type="GatewayUpstreamConnectionLost"),
        Attempt(1, 10.1, 10.2, status=401, error_type="401"),
        Attempt(2, 10.2, 10.3, error_type="GatewayInternal", cancelled=True),
    ]
    tell(metrics, exchange)
    name = "http_client_request_duration_seconds_count"
    lost = "GatewayUpstreamConnectionLost"
    assert value(metrics, name, http_response_status_code="", error_type=lost) == 1
    assert value(metrics, name, http_response_status_code="401", error_type="401") == 1
    assert value(metrics, name, http_response_status_code="", error_type="") == 1


def test_an_attempt_that_outlives_its_exchange() -> None:
    """An attempt counts when it ends, once, and not with the exchange that began it."""
    metrics = build()
    exchange = finished()
    metrics.exchange_finished(exchange)
    assert not families(metrics)["http_client_request_duration_seconds"].samples
    exchange.attempts[0].finished = 12.1
    metrics.attempt_finished(exchange, exchange.attempts[0])
    assert value(metrics, "http_client_request_duration_seconds_sum") == pytest.approx(2.0)
    assert value(metrics, "http_client_request_duration_seconds_count") == 1


@pytest.mark.parametrize(
    ("code", "origin", "label"),
    [
        ("JobLimitReached", "upstream", "JobLimitReached"),
        ("GatewayUpstreamTimeout", "gateway", "GatewayUpstreamTimeout"),
        ("Made up by a peer", "upstream", "other"),
    ],
)
def test_error_responses(code: str, origin: str, label: str) -> None:
    """Errors count by code and origin, and codes outside the known set count as `other`."""
    metrics = build()
    exchange = finished(status=400)
    exchange.error_code, exchange.error_origin = code, origin
    metrics.exchange_finished(exchange)
    assert (
        value(
            metrics,
            "adt_gateway_error_responses_total",
            http_route="/jobs/imports/{id}",
            error_code=label,
            origin=origin,
        )
        == 1
    )


def test_first_error_is_seen_by_rate() -> None:
    """Every known code, reason and result is there at 0 before anything happened."""
    found = samples(build())
    zero = {
        (sample.name, *sample.labels.values())
        for sample in found
        if sample.name.startswith("adt_") and sample.value == 0
    }
    for code in (*REFERENCE, "other"):
        assert ("adt_gateway_error_responses_total", code, "unmatched", "upstream") in zero
    for code in REGISTRY:
        assert ("adt_gateway_error_responses_total", code, "unmatched", "gateway") in zero
    assert ("adt_gateway_token_refreshes_total", "failure", "oauth2") in zero
    assert ("adt_gateway_retries_total", "stale_connection") in zero
    assert ("adt_gateway_retries_total", "throttled") in zero
    assert ("adt_gateway_error_normalisations_total", "html") in zero
    assert ("adt_jobs_finished_total", "DTDLParsingError", "import", "failed") in zero
    assert ("adt_gateway_client_retries_total",) in zero


def test_idle_scrape_is_small() -> None:
    """Before the first request there are few series: each costs some 20 µs at every scrape."""
    assert len(samples(build())) < 160


def test_exemplars_say_when_they_were() -> None:
    """An exemplar has the time at which its request ended, in seconds since the epoch."""
    metrics, exchange = build(), finished()
    exchange.finished = time.perf_counter()
    exchange.started = exchange.finished - 0.5
    before = time.time()
    metrics.exchange_finished(exchange)
    [exemplar] = [sample.exemplar for sample in samples(metrics) if sample.exemplar is not None]
    assert exemplar.value == pytest.approx(0.5)
    assert exemplar.timestamp is not None
    assert float(exemplar.timestamp) == pytest.approx(before, abs=30)


def test_exemplars_only_when_sampled() -> None:
    """Histograms and error counters carry the trace id of sampled exchanges, and of no others."""
    for sampled in (True, False):
        metrics = build()
        exchange = finished(status=500)
        exchange.trace = trace(sampled=sampled)
        exchange.error_code, exchange.error_origin = "GatewayInternal", "gateway"
        tell(metrics, exchange)
        metrics.job_finished("deletion", "succeeded", None, 100.0, TRACE_ID if sampled else None)
        found = {
            sample.name: sample.exemplar.labels for sample in samples(metrics) if sample.exemplar is not None
        }
        expected = {
            "http_server_request_duration_seconds_bucket",
            "http_client_request_duration_seconds_bucket",
            "adt_gateway_error_responses_total",
            "adt_jobs_finished_total",
            "adt_job_duration_seconds_bucket",
        }
        assert found == ({name: {"trace_id": TRACE_ID} for name in expected} if sampled else {})


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html, */*", "text/plain; version=0.0.4; charset=utf-8"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (
            "application/openmetrics-text;version=x\x00;q=0.5,text/plain;version=0.0.4",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
)
def test_negotiation(accept: str, content_type: str) -> None:
    """OpenMetrics is given to whoever names it, in one version, whatever else the header holds."""
    body, got = build().render(accept)
    assert got.startswith(content_type)
    assert body.endswith(b"# EOF\n") == ("openmetrics" in content_type)


def test_no_created_series() -> None:
    """`_created` samples are left out of both formats, without a switch of the process."""
    metrics = build()
    tell_everything(metrics)
    assert b"_created" not in metrics.render("")[0]
    assert b"_created" not in metrics.render(OPENMETRICS)[0]


def test_token_metrics() -> None:
    """A refresh counts by source and result, and a failed one keeps the expiry of the token in use."""
    metrics = build()
    assert not families(metrics)["adt_gateway_token_expiry_timestamp_seconds"].samples
    metrics.token_refreshed("oauth2", "success", 0.2, 1_900_000_000.0)
    metrics.token_refreshed("oauth2", "failure", 1.0, None)
    assert value(metrics, "adt_gateway_token_expiry_timestamp_seconds", source="oauth2") == 1_900_000_000
    assert value(metrics, "adt_gateway_token_refreshes_total", result="success") == 1
    assert value(metrics, "adt_gateway_token_refreshes_total", result="failure") == 1
    assert value(metrics, "adt_gateway_token_refresh_duration_seconds_count") == 2


def test_a_token_without_an_end() -> None:
    """A new token that never ends does not keep the end of the one before it."""
    metrics = build()
    metrics.token_refreshed("oauth2", "success", 0.2, 1_900_000_000.0)
    metrics.token_refreshed("oauth2", "success", 0.2, None)
    assert value(metrics, "adt_gateway_token_expiry_timestamp_seconds", source="oauth2") == math.inf


def test_jobs_gauges() -> None:
    """Every status of each kind is present, and one that the ledger does not know counts as unknown."""
    ledger = Ledger({("import", "running"): 2, ("deletion", "pausing"): 1}, {"import": 77.5})
    metrics = build(ledger)
    assert value(metrics, "adt_jobs", kind="import", status="running") == 2
    assert value(metrics, "adt_jobs", kind="deletion", status="unknown") == 1
    assert value(metrics, "adt_jobs", kind="import", status="cancelling") == 0
    assert len(families(metrics)["adt_jobs"].samples) == 12
    assert value(metrics, "adt_job_oldest_active_age_seconds", kind="import") == 77.5
    assert value(metrics, "adt_job_oldest_active_age_seconds", kind="deletion") == 0
    assert value(metrics, "adt_jobs_last_sync_timestamp_seconds") == 1_700_000_000


def test_no_sync_yet() -> None:
    """Before the first answer about jobs there is no last sync, rather than one in 1970."""
    assert not families(build(Ledger(last_sync=None)))["adt_jobs_last_sync_timestamp_seconds"].samples


def test_a_scrape_costs_the_same_however_many_jobs_there_are() -> None:
    """The ledger shows as counts: ten thousand jobs make no more samples than none."""
    many = Ledger({("import", "running"): 9_000, ("deletion", "failed"): 1_000}, {"import": 5.0})
    assert len(samples(build(many))) == len(samples(build()))


def test_jobs_finished() -> None:
    """A finish counts once by kind, status and code, and its duration is in buckets up to a day."""
    metrics = build()
    metrics.job_finished("import", "failed", "Unheard", 86_000.0, None)
    metrics.job_finished("import", "succeeded", None, None, None)
    metrics.job_finished("import", "exploded", None, -5.0, None)
    total = "adt_jobs_finished_total"
    assert value(metrics, total, kind="import", status="failed", error_code="other") == 1
    assert value(metrics, total, kind="import", status="succeeded", error_code="") == 1
    assert value(metrics, total, status="unknown", error_code="") == 1
    buckets = "adt_job_duration_seconds_bucket"
    assert value(metrics, buckets, status="failed", le="43200.0") == 0
    assert value(metrics, buckets, status="failed", le="86400.0") == 1
    assert value(metrics, "adt_job_duration_seconds_sum", status="unknown") == 0


def test_unknown_job_kind_is_refused() -> None:
    """A job kind outside the reference is a caller's mistake, not a new series."""
    with pytest.raises(ValueError, match="unknown job kind"):
        build().job_finished("purge", "failed", None, None, None)


def test_numbers_kept_elsewhere() -> None:
    """Losses of spans and log lines, and unread bodies by reader, are read at scrape time."""
    metrics = build()
    metrics.body_unread("encoding")
    metrics.body_unread("never heard of")
    assert value(metrics, "adt_gateway_spans_dropped_total") == 7
    assert value(metrics, "adt_gateway_span_export_failures_total") == 2
    assert value(metrics, "adt_gateway_log_lines_dropped_total") == 5
    unread = "adt_gateway_bodies_unread_total"
    assert value(metrics, unread, reader="links", reason="encoding") == 1
    assert value(metrics, unread, reader="links", reason="other") == 1
    assert value(metrics, unread, reader="jobs", reason="not_json") == 3
    assert value(metrics, unread, reader="jobs", reason="other") == 1


def hostile(chance: random.Random) -> Exchange:
    """An exchange whose every label came from a peer who wants many series."""
    routes = ("/models", "/query", "/jobs/imports/{id}", "/digitaltwins/{id}", "unmatched")
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "get")
    method = chance.choice((*methods, f"M{chance.random()}"))
    status = chance.randrange(100, 1000)
    exchange = finished(method, b"/%d" % chance.randrange(10**9), chance.choice(routes), status)
    exchange.error_code, exchange.error_origin = f"Code{chance.randrange(10**9)}", "upstream"
    exchange.normalised = str(chance.random())
    exchange.error_type = exchange.attempts[0].error_type = str(chance.random())
    exchange.client_request_id = str(chance.random())
    exchange.active_job = f"{chance.random()}/x"
    return exchange


def test_cardinality() -> None:
    """Random methods, paths, statuses and codes stop making series, and the scrape stays below 1 MiB."""
    metrics = build()
    chance = random.Random(7)  # noqa: S311 - the seed makes the run repeatable
    counts = []
    for _ in range(3):
        for _ in range(4000):
            tell(metrics, hostile(chance))
        counts.append(len(samples(metrics)))
    assert counts[1] == counts[2]
    assert max(len(metrics.render(accept)[0]) for accept in ("", OPENMETRICS)) < MIB


def test_overflow_keeps_totals_and_failures() -> None:
    """Beyond the bound on label sets all still count, under coarser labels, of a status its class."""
    metrics = build()
    statuses = [int(status) for status in HTTPStatus]
    for method in ("GET", "POST", "PUT", "PATCH"):
        for status in statuses:
            metrics.exchange_finished(finished(method, status=status))
    server = families(metrics)["http_server_request_duration_seconds"].samples
    counts = [sample for sample in server if sample.name.endswith("_count")]
    assert sum(sample.value for sample in counts) == 4 * len(statuses)
    coarse = {
        "http_request_method": "_OTHER",
        "http_route": "unmatched",
        "http_response_status_code": "_OTHER",
    }
    assert {sample.labels["error_type"] for sample in counts if coarse.items() <= sample.labels.items()} == {
        "",
        "5xx",
    }


async def test_scrape_reads_the_ledger_on_the_loop() -> None:
    """The snapshot is taken on the loop, where the ledger lives, although the encoding is not."""
    loops = []

    def snapshot() -> Ledger:
        loops.append(asyncio.get_running_loop())
        return Ledger({("import", "running"): len(loops)})

    metrics = bare()
    metrics.watch_jobs(snapshot)
    bodies = await asyncio.gather(*(metrics.scrape("") for _ in range(3)))
    shown = [
        sample.value
        for body, _ in bodies
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
        if sample.labels == {"kind": "import", "status": "running"} and sample.name == "adt_jobs"
    ]
    assert shown == [2, 3, 4]


def repeated(parent: bytes | None, status: int | None = 200, path: bytes = b"/jobs/deletions") -> Exchange:
    exchange = finished("POST", path, "/jobs/deletions", status)
    exchange.client_request_id = "c0ffee"
    return replace(exchange, headers=[] if parent is None else [(b"traceparent", parent)])


@pytest.mark.parametrize(
    ("first", "second", "is_retry"),
    [
        (repeated(b"span-a", 500), repeated(b"span-b"), True),
        (repeated(b"span-a", None), repeated(b"span-b"), True),
        (repeated(None, 500), repeated(None), True),
        (repeated(b"span-a", 500), repeated(b"span-a"), False),
        (repeated(b"span-a", 200), repeated(b"span-b"), False),
        (repeated(b"span-a", 500), repeated(b"span-b", path=b"/jobs/deletions/1"), False),
    ],
)
def test_client_retries(first: Exchange, second: Exchange, *, is_retry: bool) -> None:
    """The same request id in a new span is a retry after a failed or undelivered answer, else a poll."""
    metrics = build()
    metrics.exchange_finished(first)
    metrics.exchange_finished(second)
    assert value(metrics, "adt_gateway_client_retries_total") == is_retry


def test_client_retries_of_an_undelivered_answer() -> None:
    """An answer that was cut, or whose client left, was not delivered."""
    for name in ("cut", "client_left"):
        retries = ClientRetries()
        lost = repeated(b"span-a")
        setattr(lost, name, True)
        assert not retries.is_retry(lost)
        assert retries.is_retry(repeated(b"span-b"))
        assert not retries.is_retry(repeated(b"span-c"))


def test_client_retries_memory_is_bounded() -> None:
    """Only the last failures are remembered, and no id of unusual length."""
    retries = ClientRetries(limit=2)
    for number in range(3):
        assert not retries.is_retry(repeated(b"span-a", 500, b"/%d" % number))
    assert not retries.is_retry(repeated(b"span-b", 200, b"/0"))
    assert retries.is_retry(repeated(b"span-b", 200, b"/2"))
    long = repeated(b"span-a", 500)
    long.client_request_id = "x" * (MAX_ID_LENGTH + 1)
    assert not retries.is_retry(long)
    assert not retries.is_retry(long)
