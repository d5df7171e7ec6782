"""What a ledger has to do with those of other gateways."""

from collections.abc import Sequence
from typing import Protocol

from gateway.jobs.model import FinishedJob
from gateway.jobs.record import JobRecord


class Shared(Protocol):
    """The ledgers of the other gateways of a fleet."""

    def changed(self, record: JobRecord) -> None:
        """A record has changed."""

    def seen(self, kind: str, job_ids: Sequence[str]) -> None:
        """An answer showed jobs, be there news of them or not."""

    def ended(self, job: FinishedJob, *, heard: bool) -> None:
        """A finish that is to be told by one gateway of all; `heard`: another one has told of the end."""
