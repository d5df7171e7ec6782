"""`Metrics`: the registry, what other rooms report, and the scrape."""

import asyncio
from collections.abc import Callable, Collection, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.exposition import choose_encoder

from gateway.exchange import Exchange
from gateway.metrics import labels
from gateway.metrics.client_retries import ClientRetries
from gateway.metrics.collectors import ReadCounter, WithoutCreated
from gateway.metrics.exchanges import ExchangeMetrics
from gateway.metrics.jobs import JobMetrics, JobsCollector, JobsView
from gateway.metrics.labels import ErrorCodes, Kept, LabelValues

OPENMETRICS = "application/openmetrics-text"
TOKEN_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds; a token request is given up after 10."""


class Metrics:
    """All metrics of one gateway.

    `known_codes` are the error codes that may be label values besides the gateway's own, `gateway_codes`.
    `normalisations` are the reasons for rewriting an error. `token_source` is the auth mode where the gateway
    owns the token.
    """

    def __init__(
        self,
        *,
        version: str,
        engine: str,
        server_address: str,
        known_codes: frozenset[str],
        gateway_codes: frozenset[str],
        normalisations: Collection[str] = (),
        token_source: str | None = None,
    ) -> None:
        self._registry = CollectorRegistry()
        self._scraping = asyncio.Lock()
        self._jobs_view: JobsCollector | None = None
        self._job_bodies_unread: Callable[[], Mapping[str, int]] = dict
        codes = ErrorCodes(known=known_codes, gateway=gateway_codes)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        build = Info("adt_gateway_build", "Version and HTTP engine of this gateway.", registry=self._registry)
        build.info({"version": version, "engine": engine})
        self._exchanges = ExchangeMetrics(
            self._registry, codes, server_address=server_address, normalisations=normalisations
        )
        self._jobs = JobMetrics(self._registry, codes)
        self._client_retries = ClientRetries()
        self._make_counters()
        self._make_token_metrics(token_source)

    def exchange_started(self, exchange: Exchange) -> None:
        """A request came in."""
        self._exchanges.started(exchange)

    def exchange_finished(self, exchange: Exchange) -> None:
        """A request is really over: its body was relayed, dropped or cut."""
        self._exchanges.finished(exchange)
        if self._client_retries.is_retry(exchange):
            self._client_retries_seen.inc()

    def token_refreshed(self, source: str, result: str, seconds: float, expiry: float | None) -> None:
        """A token request ended as `success` or `failure`; `expiry` is the new token's end as Unix time."""
        source = labels.one_of(labels.TOKEN_SOURCES, source)
        self._token_refreshes(source, labels.one_of(labels.TOKEN_RESULTS, result)).inc()
        self._token_duration(source).observe(seconds)
        if expiry is not None:
            self._token_expiry(source).set(expiry)

    def job_finished(
        self, kind: str, status: str, error_code: str | None, duration: float | None, trace_id: str | None
    ) -> None:
        """A job ended; `trace_id` only where its creation was sampled."""
        self._jobs.finished(kind, status, error_code, duration, trace_id)

    def body_unread(self, reason: str) -> None:
        """A page passed without its link being read: `too_large`, or an `encoding` that is not undone."""
        self._links_unread[labels.one_of(self._links_unread, reason)] += 1

    def retried(self, reason: str) -> None:
        """The gateway sent a request once more: `token` after a 401, or `stale_connection`."""
        self._retries(labels.one_of(labels.RETRY_REASONS, reason)).inc()

    def watch_jobs(self, snapshot: Callable[[], JobsView]) -> None:
        """Show the ledger; `snapshot` is called on the loop, once a scrape."""
        self._jobs_view = JobsCollector(snapshot)
        self._registry.register(self._jobs_view)

    def watch_job_bodies(self, unread: Callable[[], Mapping[str, int]]) -> None:
        """Show the job bodies that were not understood, by reason; read in a scrape's thread."""
        self._job_bodies_unread = unread

    def watch_spans(self, *, dropped: Callable[[], int], export_failures: Callable[[], int]) -> None:
        """Show the span exporter's losses; both are read in a scrape's thread."""
        self._read_counter("adt_gateway_spans_dropped", "Spans lost because the queue was full.", dropped)
        self._read_counter(
            "adt_gateway_span_export_failures", "Batches of spans that could not be sent.", export_failures
        )

    def watch_log(self, *, dropped: Callable[[], int]) -> None:
        """Show the log's losses; read in a scrape's thread."""
        self._read_counter(
            "adt_gateway_log_lines_dropped", "Log lines lost because the output was too slow.", dropped
        )

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """`render`, encoded in a thread, one at a time: at 20 µs a sample it would hold the loop for long."""
        async with self._scraping:
            self._refresh()
            return await asyncio.to_thread(self._encode, accept)

    def render(self, accept: str) -> tuple[bytes, str]:
        """Body and content type: OpenMetrics, with exemplars, where `accept` names it; else text."""
        self._refresh()
        return self._encode(accept)

    def _refresh(self) -> None:
        if self._jobs_view is not None:
            self._jobs_view.refresh()

    def _encode(self, accept: str) -> tuple[bytes, str]:
        # The library would put the version that the caller asked for into the answer: it gets a fixed one.
        encoder, content_type = choose_encoder(
            f"{OPENMETRICS}; version=1.0.0" if OPENMETRICS in accept else ""
        )
        return encoder(WithoutCreated(self._registry)), content_type

    def _read_counter(self, name: str, documentation: str, read: Callable[[], int]) -> None:
        self._registry.register(ReadCounter(name, documentation, (), lambda: {(): read()}))

    def _unread(self) -> Mapping[LabelValues, int]:
        """By reader and reason; a page of jobs has two readers."""
        jobs = dict.fromkeys((*labels.JOB_UNREAD_REASONS, labels.OTHER), 0)
        for reason, count in self._job_bodies_unread().items():
            jobs[labels.one_of(labels.JOB_UNREAD_REASONS, reason)] += count
        by_reader = {"links": self._links_unread, "jobs": jobs}
        return {(reader, why): count for reader, counts in by_reader.items() for why, count in counts.items()}

    def _make_counters(self) -> None:
        self._client_retries_seen = Counter(
            "adt_gateway_client_retries_total",
            "Requests a client sent again after a failed or undelivered answer.",
            registry=self._registry,
        )
        self._retries = self._counter(
            "adt_gateway_retries_total", "Requests the gateway sent once more.", "reason"
        )
        self._links_unread = dict.fromkeys((*labels.LINK_UNREAD_REASONS, labels.OTHER), 0)
        self._registry.register(
            ReadCounter(
                "adt_gateway_bodies_unread",
                "Bodies that passed without their links or their jobs being read.",
                ("reader", "reason"),
                self._unread,
            )
        )
        for reason in labels.RETRY_REASONS:
            self._retries(reason)

    def _make_token_metrics(self, source: str | None) -> None:
        self._token_refreshes = self._counter(
            "adt_gateway_token_refreshes_total", "Token requests that ended.", "source", "result"
        )
        self._token_duration = Kept(
            Histogram(
                "adt_gateway_token_refresh_duration_seconds",
                "Time of one token request.",
                ("source",),
                buckets=TOKEN_BUCKETS,
                registry=self._registry,
            )
        )
        # Not initialised: an expiry of 0 would read as a token that ended in 1970.
        self._token_expiry = Kept(
            Gauge(
                "adt_gateway_token_expiry_timestamp_seconds",
                "When the token in use ends, as Unix time.",
                ("source",),
                registry=self._registry,
            )
        )
        if source in labels.TOKEN_SOURCES:
            for result in labels.TOKEN_RESULTS:
                self._token_refreshes(source, result)

    def _counter(self, name: str, documentation: str, *names: str) -> Kept[Counter]:
        return Kept(Counter(name, documentation, names, registry=self._registry))
