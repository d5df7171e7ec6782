"""Metrics of the store through which gateways keep their limits together; there only with `fleet.url`."""

from collections.abc import Iterator
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from gateway.metrics import labels
from gateway.metrics.labels import Kept

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1)
"""Seconds; none takes longer than its budget, 0.1 s."""


class FleetMetrics:
    """What is told of the store."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._up = Gauge(
            "adt_gateway_fleet_store_up",
            "1 while the fleet's store can be used, 0 while this gateway decides alone.",
            registry=registry,
        )
        self._operations = Kept(
            Counter(
                "adt_gateway_fleet_operations_total",
                "Operations on the fleet's store, by how they ended.",
                ("operation", "result"),
                registry=registry,
            )
        )
        self._duration = Histogram(
            "adt_gateway_fleet_operation_duration_seconds",
            "Time an operation on the fleet's store took, of those that were answered.",
            buckets=SECONDS,
            registry=registry,
        )
        for operation, result in product(labels.FLEET_OPERATIONS, labels.FLEET_RESULTS):
            self._operations(operation, result)

    def operation(self, name: str, result: str, seconds: float) -> None:
        """An operation ended as `ok`, `timeout` or `error`, or was not tried: `away`."""
        operation = labels.one_of(labels.FLEET_OPERATIONS, name)
        self._operations(operation, labels.one_of(labels.FLEET_RESULTS, result)).inc()
        if result == "ok":
            self._duration.observe(seconds)

    def up(self, usable: bool) -> None:
        """Whether the store can be used now."""
        self._up.set(int(usable))


def watching_gauge(on_duty: bool) -> Iterator[Metric]:
    """Whether this gateway follows unfinished jobs for the fleet."""
    yield GaugeMetricFamily(
        "adt_gateway_fleet_watching",
        "1 where this gateway follows unfinished jobs for the fleet, else 0.",
        value=int(on_duty),
    )
