"""What is counted of the requests to the Jobs API: reads, turns, repeated writes, the watcher, the store."""

from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.metrics import Metrics
from tests.support.exchanges import finished
from tests.support.exposition import bare, build, families, samples, value

CLOSED = [
    (Metrics.job_read, "adt_jobs_reads_total", "result", {"hit", "collapsed", "batched", "miss", "bypass"}),
    (Metrics.throttled, "adt_jobs_throttled_total", "priority", {"write", "read", "watch"}),
    (
        Metrics.write_replayed,
        "adt_gateway_replayed_writes_total",
        "result",
        {"recorded", "read", "unknown"},
    ),
]


@pytest.mark.parametrize(("count", "name", "label", "known"), CLOSED)
def test_counters_start_at_zero_and_stay_closed(
    count: Callable[[Metrics, str], None], name: str, label: str, known: set[str]
) -> None:
    """Every known value is there at 0, counts by itself, and any other counts as `other`."""
    metrics = build()
    assert {(sample.labels[label], sample.value) for sample in samples(metrics) if sample.name == name} == {
        (each, 0.0) for each in known
    }
    one = min(known)
    count(metrics, one)
    count(metrics, one)
    count(metrics, "made up")
    assert {sample.labels[label]: sample.value for sample in samples(metrics) if sample.name == name} == {
        **dict.fromkeys(known, 0.0),
        one: 2.0,
        "other": 1.0,
    }


def test_waits_for_a_turn() -> None:
    """A wait is recorded by priority, from 10 ms to a minute, and each priority starts at 0."""
    metrics = build()
    name = "adt_jobs_rate_wait_seconds"
    metrics.rate_waited("read", 0.0)
    metrics.rate_waited("read", 45.0)
    metrics.rate_waited("read", -0.001)
    assert value(metrics, f"{name}_bucket", priority="read", le="0.01") == 2
    assert value(metrics, f"{name}_bucket", priority="read", le="30.0") == 2
    assert value(metrics, f"{name}_bucket", priority="read", le="60.0") == 3
    assert value(metrics, f"{name}_sum", priority="read") == 45
    for priority in ("write", "watch"):
        assert value(metrics, f"{name}_count", priority=priority) == 0


def test_failures_of_the_watcher() -> None:
    """Each failed read of the watcher counts, from 0."""
    metrics = build()
    assert value(metrics, "adt_jobs_watch_failures_total") == 0
    metrics.watch_failed()
    assert value(metrics, "adt_jobs_watch_failures_total") == 1


@pytest.mark.parametrize(
    ("active_job", "label"),
    [
        ("import/one", "import"),
        ("deletion/a/b", "deletion"),
        ("purge/one", "unknown"),
        ("import", "import"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_job_limit_reached(active_job: str | None, label: str) -> None:
    """A refusal counts once, by the kind of the job in the way; an id never becomes a label."""
    metrics = build()
    exchange = finished("PUT", status=400)
    exchange.error_code, exchange.error_origin = "JobLimitReached", "upstream"
    exchange.active_job = active_job
    metrics.exchange_finished(exchange)
    counts = {
        sample.labels["active"]: sample.value
        for sample in samples(metrics)
        if sample.name == "adt_jobs_limit_reached_total"
    }
    assert counts == {"import": 0, "deletion": 0, "unknown": 0} | {label: 1}


def test_other_errors_are_no_job_limit() -> None:
    """Only `JobLimitReached` counts as a refusal because another job runs."""
    metrics = build()
    exchange = finished("PUT", status=400)
    exchange.error_code, exchange.active_job = "ValidationFailed", "import/one"
    metrics.exchange_finished(exchange)
    assert value(metrics, "adt_jobs_limit_reached_total", active="import") == 0


def test_the_queue_is_read_at_scrape_time() -> None:
    """The queue's length is that of now, every priority present and no other."""
    metrics = bare()
    queued = {"write": 1, "made up": 9}
    metrics.watch_governor(lambda: queued)
    name = "adt_jobs_rate_queue_length"
    assert value(metrics, name, priority="write") == 1
    queued["write"] = 5
    shown = {sample.labels["priority"]: sample.value for sample in families(metrics)[name].samples}
    assert shown == {"write": 5, "read": 0, "watch": 0}


async def test_the_store_shows_whether_it_keeps_what_it_is_given() -> None:
    """1 while it works, 0 while it does not, as of the scrape."""
    metrics = bare()
    answers = iter([True, False, True])
    metrics.watch_store(lambda: next(answers))
    shown = []
    for _ in range(2):
        body, _ = await metrics.scrape("")
        shown += [
            sample.value
            for family in text_string_to_metric_families(body.decode())
            for sample in family.samples
            if sample.name == "adt_jobs_store_up"
        ]
    assert shown == [0, 1]
