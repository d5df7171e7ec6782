"""One series per job: what a state timeline needs, and what no caller may make grow.

Off unless asked for, and capped, because ids are free text and each job costs eight samples.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from gateway.metrics import labels

MAX_ID = 128
"""Characters of an id as a label value."""


class JobState(Protocol):
    """A job as the ledger shows it."""

    @property
    def kind(self) -> str:
        """`import` or `deletion`."""

    @property
    def id(self) -> str:
        """Free text."""

    @property
    def status(self) -> str:
        """One of the reference's statuses, or any other text."""


States = dict[tuple[str, str], str]
"""Status by kind and shown id."""


def states(jobs: Iterable[JobState], limit: int) -> States:
    """The first `limit` jobs under ids that can be label values; of two that look alike the first stays."""
    found: States = {}
    for job in jobs:
        if len(found) >= limit:
            break
        if job.kind in labels.JOB_STATUSES:
            found.setdefault((job.kind, _shown(job.id)), labels.job_status(job.kind, job.status))
    return found


def job_families(jobs: States) -> Iterator[Metric]:
    """The job's presence, and 1 for the status it has beside 0 for each other status of its kind."""
    info = InfoMetricFamily("adt_job", "A job known to the gateway.", labels=("kind", "job_id"))
    status = GaugeMetricFamily(
        "adt_job_status", "1 for the status that the job has.", labels=("kind", "job_id", "status")
    )
    for (kind, job_id), current in jobs.items():
        info.add_metric((kind, job_id), {})
        for each in labels.JOB_STATUSES[kind]:
            status.add_metric((kind, job_id, each), int(each == current))
    yield info
    yield status


def _shown(job_id: str) -> str:
    """The id cut, and with what does not print replaced: a lone surrogate would break the whole scrape."""
    job_id = job_id[:MAX_ID]
    return job_id if job_id.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in job_id)
