"""Collectors: numbers that other rooms keep, and a registry without its `_created` samples."""

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from gateway.metrics.labels import LabelValues


class WithoutCreated(Collector):
    """A registry's metrics less their `_created` samples.

    They double the cost of every counter, and Prometheus only uses them behind a feature flag. The library's
    own switch, `PROMETHEUS_DISABLE_CREATED_SERIES`, is a global of the process, so they are left out here.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """The metrics to be encoded."""
        for metric in self._registry.collect():
            if metric.type in {"counter", "histogram"}:
                metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class ReadFamily(Collector):
    """A metric whose values are read, by label values, when it is scraped."""

    def __init__(
        self,
        kind: type[CounterMetricFamily] | type[GaugeMetricFamily],
        name: str,
        documentation: str,
        names: tuple[str, ...],
        read: Callable[[], Mapping[LabelValues, int]],
    ) -> None:
        self._kind = kind
        self._name = name
        self._documentation = documentation
        self._names = names
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """One family with the values of now."""
        family = self._kind(self._name, self._documentation, labels=self._names)
        for values, count in dict(self._read()).items():
            family.add_metric(values, count)
        yield family


View = TypeVar("View")


class Viewed(Collector, Generic[View]):
    """Metrics of what lives on the loop: `refresh` takes a view there, `collect` shows it in any thread."""

    def __init__(self, take: Callable[[], View], show: Callable[[View], Iterator[Metric]]) -> None:
        self._take = take
        self._show = show
        self._view = take()

    def refresh(self) -> None:
        """Take a new view."""
        self._view = self._take()

    def collect(self) -> Iterator[Metric]:
        """The families of the last view."""
        return self._show(self._view)
