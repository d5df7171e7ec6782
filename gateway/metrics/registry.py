"""`Metrics`: the registry, what other rooms report, and the scrape."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from gateway.exchange import Attempt, Exchange
from gateway.metrics import labels
from gateway.metrics.circuit import circuit_gauge
from gateway.metrics.client_retries import ClientRetries
from gateway.metrics.collectors import ReadFamily, View, Viewed, WithoutCreated
from gateway.metrics.exchanges import ExchangeMetrics
from gateway.metrics.fleet import FleetMetrics, watching_gauge
from gateway.metrics.job_requests import LIMIT_REACHED, JobRequestMetrics, queue_gauges, store_gauge
from gateway.metrics.job_series import JobState, job_families, states
from gateway.metrics.jobs import JobMetrics, JobsView, job_gauges
from gateway.metrics.labels import ErrorCodes, Kept, LabelValues
from gateway.metrics.tokens import TokenMetrics

OPENMETRICS = "application/openmetrics-text"


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
        self._on_loop: list[Callable[[], None]] = []
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
        self._job_requests = JobRequestMetrics(self._registry)
        self._tokens = TokenMetrics(self._registry, token_source)
        self._client_retries = ClientRetries()
        self._make_counters()
        # What every request calls is called without a layer between.
        self.exchange_started: Callable[[Exchange], None] = self._exchanges.started
        """A request came in."""
        self.attempt_finished: Callable[[Exchange, Attempt], None] = self._exchanges.attempt_finished
        """An attempt of the exchange is over, be it before or after the exchange itself."""

    def exchange_finished(self, exchange: Exchange) -> None:
        """A request is really over: its body was relayed, dropped or cut."""
        self._exchanges.finished(exchange)
        if exchange.error_code == LIMIT_REACHED:
            self._job_requests.limit_reached(exchange.active_job)
        if self._client_retries.is_retry(exchange):
            self._client_retries_seen.inc()

    def token_refreshed(self, source: str, result: str, seconds: float, expiry: float | None) -> None:
        """A token request ended as `success` or `failure`; `expiry` is the new token's end as Unix time."""
        self._tokens.refreshed(source, result, seconds, expiry)

    def job_finished(
        self, kind: str, status: str, error_code: str | None, duration: float | None, trace_id: str | None
    ) -> None:
        """A job ended; `trace_id` only where its creation was sampled."""
        self._jobs.finished(kind, status, error_code, duration, trace_id)

    def body_unread(self, reason: str) -> None:
        """A page passed without its link being read: `too_large`, or an `encoding` that is not undone."""
        self._links_unread[labels.one_of(self._links_unread, reason)] += 1

    def retried(self, reason: str) -> None:
        """The gateway sent a request once more.

        `token` after a 401, `unreachable` and `stale_connection` after a failure, `throttled` after a 429.
        """
        self._retries(labels.one_of(labels.RETRY_REASONS, reason)).inc()

    def job_read(self, result: str) -> None:
        """A read of jobs was answered: `hit`, `collapsed`, `batched`, `miss` or `bypass`."""
        self._job_requests.read(result)

    def rate_waited(self, priority: str, seconds: float) -> None:
        """A jobs request of priority `write`, `read` or `watch` got its turn; 0 where it went at once."""
        self._job_requests.waited(priority, seconds)

    def throttled(self, priority: str) -> None:
        """The upstream answered a jobs request with 429."""
        self._job_requests.throttled(priority)

    def watch_failed(self) -> None:
        """A read of the watcher failed."""
        self._job_requests.watch_failed()

    def write_replayed(self, result: str) -> None:
        """A repeated job write was answered unsent: `recorded`, `read` from the job, or still `unknown`."""
        self._job_requests.write_replayed(result)

    def watch_jobs(self, snapshot: Callable[[], JobsView]) -> None:
        """Show the ledger; `snapshot` is called on the loop, once a scrape."""
        self._watch(snapshot, job_gauges)

    def watch_job_series(self, newest: Callable[[], Sequence[JobState]], *, limit: int) -> None:
        """Show at most `limit` jobs one by one, 0 for none; `newest` is called on the loop, once a scrape."""
        if limit > 0:
            self._watch(lambda: states(newest(), limit), job_families)

    def watch_governor(self, queued: Callable[[], Mapping[str, int]]) -> None:
        """Show how many wait for a turn, by priority; `queued` is called on the loop, once a scrape."""
        self._watch(lambda: dict(queued()), queue_gauges)

    def watch_circuit(self, state: Callable[[], str]) -> None:
        """Show the circuit: `closed`, `open` or `half_open`; `state` is called on the loop, once a scrape."""
        self._watch(state, circuit_gauge)

    def watch_store(self, ok: Callable[[], bool]) -> None:
        """Show whether the jobs store keeps what it is given; `ok` is called on the loop, once a scrape."""
        self._watch(ok, store_gauge)

    def fleet(self) -> FleetMetrics:
        """What a fleet's store is told about; to be called once, where there is one."""
        return FleetMetrics(self._registry)

    def watch_fleet(self, watching: Callable[[], bool]) -> None:
        """Show whether this gateway follows jobs for its fleet; called on the loop, once a scrape."""
        self._watch(watching, watching_gauge)

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
        for refresh in self._on_loop:
            refresh()

    def _encode(self, accept: str) -> tuple[bytes, str]:
        # The library would put the version that the caller asked for into the answer: it gets a fixed one.
        encoder, content_type = choose_encoder(
            f"{OPENMETRICS}; version=1.0.0" if OPENMETRICS in accept else ""
        )
        return encoder(WithoutCreated(self._registry)), content_type

    def _watch(self, take: Callable[[], View], show: Callable[[View], Iterator[Metric]]) -> None:
        collector = Viewed(take, show)
        self._on_loop.append(collector.refresh)
        self._registry.register(collector)

    def _read_counter(self, name: str, documentation: str, read: Callable[[], int]) -> None:
        self._registry.register(
            ReadFamily(CounterMetricFamily, name, documentation, (), lambda: {(): read()})
        )

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
        self._retries = Kept(
            Counter(
                "adt_gateway_retries_total",
                "Requests the gateway sent once more.",
                ("reason",),
                registry=self._registry,
            )
        )
        self._links_unread = dict.fromkeys((*labels.LINK_UNREAD_REASONS, labels.OTHER), 0)
        self._registry.register(
            ReadFamily(
                CounterMetricFamily,
                "adt_gateway_bodies_unread",
                "Bodies that passed without their links or their jobs being read.",
                ("reader", "reason"),
                self._unread,
            )
        )
        for reason in labels.RETRY_REASONS:
            self._retries(reason)
