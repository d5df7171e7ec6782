"""A gateway's metrics, and what a scrape of them says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.samples import Sample

from gateway.failures import REGISTRY
from gateway.metrics import Metrics

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
REFERENCE = frozenset({"JobLimitReached", "ValidationFailed", "ImportJobNotFound", "DTDLParsingError"})


@dataclass(frozen=True)
class Ledger:
    """The ledger at one moment."""

    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    oldest_active: Mapping[str, float] = field(default_factory=dict)
    last_sync: float | None = 1_700_000_000.0


@dataclass(frozen=True)
class Job:
    """A job as the ledger shows it."""

    kind: str = "import"
    id: str = "one"
    status: str = "running"


def build(ledger: Ledger | None = None, *, jobs: Sequence[Job] = (), job_series: int = 0) -> Metrics:
    """Metrics with everything that the composition root connects."""
    metrics = Metrics(
        version="1.2.3",
        engine="pyreqwest",
        server_address="contoso.api.weu.digitaltwins.azure.net",
        known_codes=REFERENCE,
        gateway_codes=frozenset(REGISTRY),
        normalisations=("empty", "html"),
        token_source="oauth2",
    )
    metrics.watch_jobs(lambda: ledger or Ledger())
    metrics.watch_job_bodies(lambda: {"not_json": 3, "surprise": 1})
    metrics.watch_spans(dropped=lambda: 7, export_failures=lambda: 2)
    metrics.watch_log(dropped=lambda: 5)
    metrics.watch_governor(lambda: {"read": 3})
    metrics.watch_store(lambda: True)
    metrics.watch_circuit(lambda: "closed")
    metrics.watch_job_series(lambda: jobs, limit=job_series)
    return metrics


def bare() -> Metrics:
    """Metrics with nothing connected."""
    return Metrics(
        version="1", engine="httpx", server_address="x", known_codes=frozenset(), gateway_codes=frozenset()
    )


def families(metrics: Metrics) -> dict[str, Metric]:
    """By name without `_total`, as OpenMetrics has it."""
    body, _ = metrics.render(OPENMETRICS)
    parsed = openmetrics.text_string_to_metric_families(body.decode())  # type: ignore[no-untyped-call]
    return {family.name: family for family in parsed}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    """The value of the one sample with this name and at least these labels."""
    found = [
        sample.value
        for family in families(metrics).values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert len(found) == 1, f"{len(found)} samples {name} {labels}"
    return found[0]


def samples(metrics: Metrics) -> list[Sample]:
    """Every sample of a scrape."""
    return [sample for family in families(metrics).values() for sample in family.samples]
