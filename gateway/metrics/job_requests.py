"""Metrics of the requests to the Jobs API: shared reads, turns of the governor, writes once, the watcher."""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from gateway.metrics import labels
from gateway.metrics.collectors import ReadFamily
from gateway.metrics.labels import Kept

WAIT_BUCKETS = (0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60)
"""Seconds. A turn comes about once a second, and 30 s is the longest wait unless configured."""
LIMIT_REACHED = "JobLimitReached"
"""The error code of such a refusal."""


class JobRequestMetrics:
    """What is counted as jobs requests pass."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, documentation: str, label: str, values: tuple[str, ...]) -> Kept[Counter]:
            kept = Kept(Counter(name, documentation, (label,), registry=registry))
            for value in values:
                kept(value)
            return kept

        self._reads = dict.fromkeys(labels.READ_RESULTS, 0)
        registry.register(
            # Not the library's counter: most requests are reads, and its lock and its checks cost 1 % of one.
            ReadFamily(
                CounterMetricFamily,
                "adt_jobs_reads",
                "Reads of jobs, by how they were answered.",
                ("result",),
                lambda: {(result,): count for result, count in self._reads.copy().items()},
            )
        )
        self._throttled = counter(
            "adt_jobs_throttled_total",
            "Jobs requests that the upstream answered with 429.",
            "priority",
            labels.PRIORITIES,
        )
        self._limits = counter(
            "adt_jobs_limit_reached_total",
            "JobLimitReached answers, by the kind of the job that was in the way.",
            "active",
            labels.ACTIVE_JOBS,
        )
        self._replayed = counter(
            "adt_gateway_replayed_writes_total",
            "Repeated job writes that were not sent again, by where the answer came from.",
            "result",
            labels.REPLAY_RESULTS,
        )
        self._watch_failures = Counter(
            "adt_jobs_watch_failures_total", "Reads of the watcher that failed.", registry=registry
        )
        self._waits = Kept(
            Histogram(
                "adt_jobs_rate_wait_seconds",
                "Time a jobs request waited for its turn, 0 where it went at once.",
                ("priority",),
                buckets=WAIT_BUCKETS,
                registry=registry,
            )
        )
        for priority in labels.PRIORITIES:
            self._waits(priority)

    def read(self, result: str) -> None:
        """A read of jobs was answered."""
        if result not in self._reads:
            result = labels.OTHER
            self._reads.setdefault(result, 0)
        self._reads[result] += 1

    def waited(self, priority: str, seconds: float) -> None:
        """A request got its turn."""
        self._waits(labels.one_of(labels.PRIORITIES, priority)).observe(max(seconds, 0.0))

    def throttled(self, priority: str) -> None:
        """The upstream said 429."""
        self._throttled(labels.one_of(labels.PRIORITIES, priority)).inc()

    def watch_failed(self) -> None:
        """A read of the watcher failed."""
        self._watch_failures.inc()

    def write_replayed(self, result: str) -> None:
        """A repeated write was answered without being sent."""
        self._replayed(labels.one_of(labels.REPLAY_RESULTS, result)).inc()

    def limit_reached(self, active_job: str | None) -> None:
        """A refusal because another job runs, `<kind>/<id>`; None where it is not known."""
        kind = (active_job or "").partition("/")[0]
        self._limits(kind if kind in labels.JOB_STATUSES else labels.UNKNOWN_STATUS).inc()


def queue_gauges(queued: Mapping[str, int]) -> Iterator[Metric]:
    """Requests that wait for a turn, every priority present."""
    family = GaugeMetricFamily(
        "adt_jobs_rate_queue_length", "Jobs requests that wait for a turn.", labels=("priority",)
    )
    for priority in labels.PRIORITIES:
        family.add_metric((priority,), queued.get(priority, 0))
    yield family


def store_gauge(ok: bool) -> Iterator[Metric]:
    """Whether the jobs store keeps what it is given."""
    yield GaugeMetricFamily(
        "adt_jobs_store_up", "1 while the jobs store keeps what it is given, else 0.", value=int(ok)
    )
