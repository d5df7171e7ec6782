"""The circuit to the upstream, as a gauge for each of its states."""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

from gateway.metrics import labels


def circuit_gauge(state: str) -> Iterator[Metric]:
    """1 for the state it is in, 0 for the others."""
    family = GaugeMetricFamily(
        "adt_gateway_circuit_state",
        "1 for the state of the circuit to the upstream, 0 for the others; while it is open nothing is sent.",
        labels=("state",),
    )
    for known in labels.CIRCUIT_STATES:
        family.add_metric((known,), int(known == state))
    yield family
