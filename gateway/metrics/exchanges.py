"""What a finished exchange adds to the metrics: durations, errors, rewritten errors.

Not initialised at zero: histograms, whose 16 samples for each label set would make every idle scrape pay.
Errors start at zero by code under the route `unmatched`, not by route x code (17 routes x some 40 codes would
cost 13 ms a scrape); `sum by (error_code)` therefore starts at 0 for every known code.
"""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily

from gateway.exchange import Attempt, Exchange
from gateway.metrics import labels
from gateway.metrics.collectors import ReadFamily
from gateway.metrics.distributions import Distribution, Distributions
from gateway.metrics.labels import ErrorCodes, Found, Kept, LabelValues

HTTP_LABELS = ("http_request_method", "http_route", "http_response_status_code", "error_type")
HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Seconds. Up to 60, which a query may take; fewer than the convention's 14, since each costs a sample."""
OVERHEAD_BUCKETS = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1)
"""Seconds. The gateway's own time is well under a millisecond; the long end shows a blocked loop."""

MAX_DURATION_SETS = 120
"""Label sets of each duration histogram. The whole data plane has 43 method and route pairs; with their usual
statuses they fit, and a caller who tries every status cannot push the scrape over 1 MiB."""
MAX_ERROR_SETS = 400
"""Label sets of the error counter."""

UNMATCHED = "unmatched"

_Ended = tuple[str, str, int | None, str | None]
"""A known method, a route, a status and an error type, the last two as they came."""


def _coarse_duration(values: LabelValues) -> LabelValues:
    error_type = labels.coarse_error_type(values[3])
    return (labels.OTHER_HTTP, UNMATCHED, labels.OTHER_HTTP, error_type, *values[4:])


def _coarse_error(values: LabelValues) -> LabelValues:
    return (UNMATCHED, *values[1:])


def _histogram(
    registry: CollectorRegistry, name: str, documentation: str, names: tuple[str, ...]
) -> Kept[Distribution]:
    family = Distributions(name, documentation, names, buckets=HTTP_BUCKETS, registry=registry)
    return Kept(family, limit=MAX_DURATION_SETS, overflow=_coarse_duration)


def _overhead(registry: CollectorRegistry) -> Kept[Distribution]:
    documentation = (
        "The gateway's own time: total less upstream, less the governor's wait, less waiting for the app."
    )
    return Kept(
        Distributions(
            "adt_gateway_overhead_seconds",
            documentation,
            ("http_route",),
            buckets=OVERHEAD_BUCKETS,
            registry=registry,
        )
    )


def _errors(registry: CollectorRegistry) -> Kept[Counter]:
    names = ("http_route", "error_code", "origin")
    documentation = "Error responses given to the app, by code and by who made the error."
    family = Counter("adt_gateway_error_responses_total", documentation, names, registry=registry)
    return Kept(family, limit=MAX_ERROR_SETS, overflow=_coarse_error)


def _normalised(registry: CollectorRegistry) -> Kept[Counter]:
    documentation = "Upstream errors whose body or headers were rewritten into the one error shape."
    return Kept(
        Counter("adt_gateway_error_normalisations_total", documentation, ("reason",), registry=registry)
    )


class ExchangeMetrics:
    """The metrics of the data path; `server_address` is the upstream's host."""

    def __init__(
        self,
        registry: CollectorRegistry,
        codes: ErrorCodes,
        *,
        server_address: str,
        normalisations: Collection[str],
    ) -> None:
        self._codes = codes
        self._server_address = server_address
        self._known_normalisations = frozenset(normalisations)
        self._server = _histogram(
            registry,
            "http_server_request_duration_seconds",
            "Time from a request's arrival, its head read, to the end of its response.",
            HTTP_LABELS,
        )
        self._client = _histogram(
            registry,
            "http_client_request_duration_seconds",
            "Time of one attempt at the upstream, until its response was relayed or it failed.",
            (*HTTP_LABELS, "server_address"),
        )
        self._overhead = _overhead(registry)
        self._of_exchange: Found[_Ended, tuple[Distribution, Distribution]] = Found(self._exchange_series)
        self._of_attempt: Found[_Ended, Distribution] = Found(self._attempt_series)
        self._active = dict.fromkeys((*labels.METHODS, labels.OTHER_HTTP), 0)
        registry.register(
            ReadFamily(
                GaugeMetricFamily,
                "http_server_active_requests",
                "Requests in flight.",
                HTTP_LABELS[:1],
                lambda: {(method,): count for method, count in self._active.copy().items()},
            )
        )
        self._errors = _errors(registry)
        self._normalised = _normalised(registry)
        self._start_at_zero()

    def started(self, exchange: Exchange) -> None:
        """Count a request as in flight."""
        active, method = self._active, exchange.method
        active[method if method in active else labels.OTHER_HTTP] += 1

    def attempt_finished(self, exchange: Exchange, attempt: Attempt) -> None:
        """Record an attempt that is over; one that is shared may outlive the exchange that began it."""
        method, trace = exchange.method, exchange.trace
        if method not in self._active:
            method = labels.OTHER_HTTP
        error_type = None if attempt.cancelled else attempt.error_type
        series = self._of_attempt[method, exchange.route.template, attempt.status, error_type]
        end = attempt.finished
        series.observe(end - attempt.started, trace.trace_id if trace.sampled else None, end)

    def finished(self, exchange: Exchange) -> None:
        """Record a finished exchange; its clock readings are those of its spans."""
        active, method, trace = self._active, exchange.method, exchange.trace
        if method not in active:
            method = labels.OTHER_HTTP
        active[method] -= 1
        key = (method, exchange.route.template, exchange.status, exchange.error_type)
        duration, overhead = self._of_exchange[key]
        end = exchange.finished
        duration.observe(end - exchange.started, trace.trace_id if trace.sampled else None, end)
        overhead.observe(exchange.own_seconds)
        if exchange.error_code is not None:
            self._count_error(exchange, exchange.error_code)
        if exchange.normalised is not None:
            self._normalised(labels.one_of(self._known_normalisations, exchange.normalised)).inc()

    def _count_error(self, exchange: Exchange, error_code: str) -> None:
        origin = "upstream" if exchange.error_origin == "upstream" else "gateway"
        code = self._codes.fold(error_code)
        example = {"trace_id": exchange.trace.trace_id} if exchange.trace.sampled else None
        self._errors(exchange.route.template, code, origin).inc(exemplar=example)

    def _exchange_series(self, key: _Ended) -> tuple[Distribution, Distribution]:
        method, route, status, error_type = key
        server = self._server(method, route, labels.status(status), self._codes.error_type(error_type))
        return server, self._overhead(route)

    def _attempt_series(self, key: _Ended) -> Distribution:
        method, route, status, error_type = key
        folded = self._codes.error_type(error_type)
        return self._client(method, route, labels.status(status), folded, self._server_address)

    def _start_at_zero(self) -> None:
        for code in sorted(self._codes.known):
            self._errors(UNMATCHED, code, "gateway" if code in self._codes.gateway else "upstream")
        self._errors(UNMATCHED, labels.OTHER, "upstream")
        for reason in sorted(self._known_normalisations):
            self._normalised(reason)
