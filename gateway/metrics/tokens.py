"""Token metrics: what became of each token request, and when the token in use ends."""

import math

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.metrics import labels
from gateway.metrics.labels import Kept

TOKEN_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds; a token request is given up after 10."""


class TokenMetrics:
    """Metrics of the token; `source` is the auth mode where the gateway owns it."""

    def __init__(self, registry: CollectorRegistry, source: str | None) -> None:
        self._refreshes = Kept(
            Counter(
                "adt_gateway_token_refreshes_total",
                "Token requests that ended.",
                ("source", "result"),
                registry=registry,
            )
        )
        self._duration = Kept(
            Histogram(
                "adt_gateway_token_refresh_duration_seconds",
                "Time of one token request.",
                ("source",),
                buckets=TOKEN_BUCKETS,
                registry=registry,
            )
        )
        # Not initialised: an expiry of 0 would read as a token that ended in 1970.
        self._expiry = Kept(
            Gauge(
                "adt_gateway_token_expiry_timestamp_seconds",
                "When the token in use ends, as Unix time.",
                ("source",),
                registry=registry,
            )
        )
        if source in labels.TOKEN_SOURCES:
            for result in labels.TOKEN_RESULTS:
                self._refreshes(source, result)

    def refreshed(self, source: str, result: str, seconds: float, expiry: float | None) -> None:
        """Record a token request that ended; `expiry` is the new token's end as Unix time, None without one.

        A failed request leaves the token in use.
        """
        source = labels.one_of(labels.TOKEN_SOURCES, source)
        self._refreshes(source, labels.one_of(labels.TOKEN_RESULTS, result)).inc()
        self._duration(source).observe(seconds)
        if result == labels.SUCCESS:
            # Without an end of its own a new token must not show that of the one before it.
            self._expiry(source).set(math.inf if expiry is None else expiry)
