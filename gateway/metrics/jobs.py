"""Job metrics: the state of the ledger as gauges at scrape time, and what finished as counters.

The gauges follow kube-state-metrics: one series for each kind and status, at 0 too,
so that no state vanishes from a graph.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from gateway.metrics import labels
from gateway.metrics.labels import ErrorCodes, Kept

JOB_BUCKETS = (10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 86_400)
"""Seconds, 10 s to 24 h: a deletion job may run for a whole day."""

FINAL = (("import", "succeeded"), ("import", "cancelled"), ("deletion", "succeeded"))
JOB_ERROR_CODES = ("", "DTDLParsingError", labels.OTHER)
"""Codes under which failed jobs start at zero; a job's error needs no code at all."""


class JobsView(Protocol):
    """The ledger at one moment."""

    @property
    def counts(self) -> Mapping[tuple[str, str], int]:
        """Jobs by kind and status."""

    @property
    def oldest_active(self) -> Mapping[str, float]:
        """Seconds since the oldest unfinished job was created, by kind."""

    @property
    def last_sync(self) -> float | None:
        """When an answer about jobs was last read, Unix time; None before the first."""


def job_gauges(view: JobsView) -> Iterator[Metric]:
    """The gauges of a view, every status present."""
    totals = {(kind, status): 0 for kind, statuses in labels.JOB_STATUSES.items() for status in statuses}
    for (kind, status), count in view.counts.items():
        totals[kind, labels.job_status(kind, status)] += count
    jobs = GaugeMetricFamily("adt_jobs", "Jobs known to the gateway.", labels=("kind", "status"))
    for key, total in totals.items():
        jobs.add_metric(key, total)
    yield jobs
    ages = GaugeMetricFamily(
        "adt_job_oldest_active_age_seconds",
        "Age of the oldest unfinished job, 0 without one.",
        labels=("kind",),
    )
    for kind in labels.JOB_STATUSES:
        ages.add_metric((kind,), view.oldest_active.get(kind, 0.0))
    yield ages
    # Absent before the first answer: 0 would read as a last sync in 1970.
    yield GaugeMetricFamily(
        "adt_jobs_last_sync_timestamp_seconds",
        "When an answer about jobs was last read, as Unix time.",
        value=view.last_sync,
    )


class JobMetrics:
    """What is counted when a job ends."""

    def __init__(self, registry: CollectorRegistry, codes: ErrorCodes) -> None:
        self._codes = codes
        self._finished = Kept(
            Counter(
                "adt_jobs_finished_total",
                "Jobs that ended, each counted once; error_code is empty where there was none.",
                ("kind", "status", "error_code"),
                registry=registry,
            )
        )
        self._duration = Kept(
            Histogram(
                "adt_job_duration_seconds",
                "Time from a job's creation to its end, both as the service tells them.",
                ("kind", "status"),
                buckets=JOB_BUCKETS,
                registry=registry,
            )
        )
        for kind, status in FINAL:
            self._finished(kind, status, "")
        for kind in labels.JOB_STATUSES:
            for code in JOB_ERROR_CODES:
                self._finished(kind, "failed", code)

    def finished(
        self, kind: str, status: str, error_code: str | None, duration: float | None, trace_id: str | None
    ) -> None:
        """Count a job's end; a kind outside the reference is a bug of the caller's and raises ValueError."""
        if kind not in labels.JOB_STATUSES:
            raise ValueError(f"unknown job kind {kind!r}")
        status = labels.job_status(kind, status)
        code = self._codes.fold(error_code) if error_code else ""
        exemplar = {"trace_id": trace_id} if trace_id else None
        self._finished(kind, status, code).inc(exemplar=exemplar)
        if duration is not None:
            self._duration(kind, status).observe(max(duration, 0.0), exemplar)
