"""Bulk jobs: records that advance with the clock whenever somebody looks, one active at a time."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from gateway.emulator.blobs import BlobStore
from gateway.emulator.clock import service_time
from gateway.emulator.graph import Graph
from gateway.emulator.importer import ImportRun

KEPT: Final = timedelta(days=30)
"""From creation to `purgeDateTime`, as in the examples of the REST reference."""


class Status(StrEnum):
    """Job statuses of the REST reference; deletions know neither of the last two."""

    NOT_STARTED = "notstarted"
    RUNNING = "running"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


FINAL: Final = frozenset({Status.FAILED, Status.SUCCEEDED, Status.CANCELLED})


@dataclass(slots=True)
class Job:
    """What imports and deletions have in common."""

    id: str
    created: datetime
    starts: datetime
    ends: datetime
    status: Status = Status.NOT_STARTED
    finished: datetime | None = None
    error: dict[str, str] | None = None

    @property
    def active(self) -> bool:
        """Whether it stands in the way of another bulk job."""
        return self.status not in FINAL

    @property
    def purged(self) -> datetime:
        """When the service forgets it."""
        return self.created + KEPT

    def finish(self, status: Status, at: datetime) -> None:
        """End the job."""
        self.status, self.finished = status, at

    def common(self) -> dict[str, Any]:
        """The fields both kinds have on the wire; unset ones are left out."""
        body: dict[str, Any] = {
            "id": self.id,
            "status": self.status.value,
            "createdDateTime": service_time(self.created),
            "purgeDateTime": service_time(self.purged),
        }
        if self.finished is not None:
            body["finishedDateTime"] = service_time(self.finished)
        if self.error is not None:
            body["error"] = self.error
        return body


@dataclass(slots=True)
class ImportJob(Job):
    """An import: its file is read when it starts and enters the graph bit by bit until it ends."""

    input_uri: str = ""
    output_uri: str = ""
    last_action: datetime | None = None
    cancelled_by: datetime | None = None
    run: ImportRun | None = None

    def advance(self, now: datetime, graph: Graph, blobs: BlobStore) -> None:
        """Do everything that is due at `now`."""
        if self.status is Status.NOT_STARTED and now >= self.starts:
            self.status, self.last_action = Status.RUNNING, self.starts
            self.run = ImportRun(self.id, self.input_uri, self.output_uri, graph, blobs)
            self.run.start(self.starts)
        if self.status is Status.RUNNING and self.run is not None:
            self._work(self.run, min(now, self.ends))
        if self.status is Status.CANCELLING and self.cancelled_by is not None and now >= self.cancelled_by:
            self.finish(Status.CANCELLED, self.cancelled_by)
            self.last_action = self.cancelled_by

    def _work(self, run: ImportRun, now: datetime) -> None:
        length = (self.ends - self.starts).total_seconds()
        share = 1.0 if now >= self.ends else (now - self.starts).total_seconds() / length
        failure = run.advance(share, lambda part: self.starts + timedelta(seconds=length * part))
        if failure is not None:
            self.error = {"code": failure.code, "message": failure.message}
            self.finish(Status.FAILED, failure.at)
        elif share >= 1.0:
            self.finish(Status.SUCCEEDED, self.ends)
        self.last_action = self.finished or now

    def cancel(self, now: datetime, after: float) -> None:
        """Stop at `now`, be cancelled `after` seconds later; what is imported stays."""
        if self.run is not None:
            self.run.cancel(now)
        self.status, self.last_action = Status.CANCELLING, now
        self.cancelled_by = now + timedelta(seconds=after)

    def wire(self) -> dict[str, Any]:
        """`ImportJob` of the REST reference."""
        body = {**self.common(), "inputBlobUri": self.input_uri, "outputBlobUri": self.output_uri}
        body["lastActionDateTime"] = service_time(self.last_action or self.created)
        return body


@dataclass(slots=True)
class DeleteJob(Job):
    """A deletion of all models, twins and relationships, done at its end; fails when its timeout is
    shorter.
    """

    times_out: bool = False

    def advance(self, now: datetime, graph: Graph) -> None:
        """Do everything that is due at `now`."""
        if self.status is Status.NOT_STARTED and now >= self.starts:
            self.status = Status.RUNNING
        if self.status is not Status.RUNNING or now < self.ends:
            return
        if self.times_out:
            self.error = {
                "code": "OperationTimedOut",
                "message": "The job did not finish within its timeout.",
            }
            self.finish(Status.FAILED, self.ends)
            return
        graph.clear()
        self.finish(Status.SUCCEEDED, self.ends)

    def wire(self) -> dict[str, Any]:
        """`DeleteJob` of the REST reference."""
        return self.common()


@dataclass(slots=True)
class JobBook:
    """All jobs of the instance, in order of creation, and the one that is active."""

    graph: Graph
    blobs: BlobStore
    imports: dict[str, ImportJob] = field(default_factory=dict)
    deletions: dict[str, DeleteJob] = field(default_factory=dict)
    active: ImportJob | DeleteJob | None = None

    def settle(self, now: datetime) -> None:
        """Bring the active job up to `now` and forget what is past its `purgeDateTime`."""
        if isinstance(self.active, ImportJob):
            self.active.advance(now, self.graph, self.blobs)
        elif self.active is not None:
            self.active.advance(now, self.graph)
        if self.active is not None and not self.active.active:
            self.active = None
        forget(self.imports, now)
        forget(self.deletions, now)


def forget(jobs: MutableMapping[str, Any], now: datetime) -> None:
    """Drop the finished jobs whose `purgeDateTime` has come."""
    for name in [name for name, job in jobs.items() if not job.active and now >= job.purged]:
        del jobs[name]
