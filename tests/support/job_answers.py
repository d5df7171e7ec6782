"""Exchanges of the jobs routes and the answers the service gives to them."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.config import Jobs
from gateway.exchange import Exchange, RawHeaders, Route, TraceIds
from gateway.jobs import FinishedJob, JobObserver, JobRecord, Ledger
from gateway.jobs.instants import NANOSECONDS, format_instant
from gateway.jobs.stores import Store
from tests.support.stores import KeepingStore

START = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()
"""When the gateway of these tests started, seconds since the epoch."""

SEGMENT = {"import": "imports", "deletion": "deletions"}
METHOD = {"add": "PUT", "get": "GET", "list": "GET", "cancel": "POST", "delete": "DELETE"}


@dataclass(slots=True)
class Clock:
    """A wall clock that moves when told."""

    now: float = START

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float = 1.0) -> None:
        self.now += seconds


def at(seconds: float) -> str:
    """A time on the wire, in seconds after the gateway's start."""
    return format_instant(int((START + seconds) * NANOSECONDS))


def job(job_id: str, status: str | None = "running", **fields: object) -> dict[str, object]:
    """An ImportJob or DeleteJob as the service sends it, created at the gateway's start."""
    return {"id": job_id, "status": status, "createdDateTime": at(0), **fields}


def ended(job_id: str, seconds: float, status: str = "succeeded", **fields: object) -> dict[str, object]:
    """A job that finished at a time after the gateway's start."""
    return job(job_id, status, finishedDateTime=at(seconds), **fields)


def exchange(
    kind: str,
    operation: str,
    job_id: str | None = None,
    *,
    asked: float = 0.0,
    trace: int = 1,
    headers: RawHeaders | None = None,
) -> Exchange:
    """An exchange as it reaches the observer; `asked` is its start in seconds since the epoch."""
    template = f"/jobs/{SEGMENT[kind]}" + ("/{id}" if job_id is not None else "")
    return Exchange(
        method=METHOD[operation],
        raw_path=template.encode(),
        query=b"api-version=2023-10-31",
        headers=headers or [],
        started_ns=int(asked * NANOSECONDS),
        route=Route(template, job_kind=kind, job_id=job_id, operation=operation),
        trace=TraceIds(f"{trace:032x}", f"{trace:016x}", sampled=True, response_header=b""),
    )


@dataclass
class JobsRoom:
    """A ledger and its observer with a clock of their own, and every finish that was told."""

    max_tracked: int = 10_000
    clock: Clock = field(default_factory=Clock)
    finished: list[FinishedJob] = field(default_factory=list)
    store: Store = field(default_factory=KeepingStore)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """A new gateway takes over the store; what was told stays told."""
        settings = Jobs(max_tracked=self.max_tracked)
        self.ledger = Ledger(settings, clock=self.clock, on_finished=self.finished.append, store=self.store)
        self.observer = JobObserver(self.ledger)

    def answer(
        self,
        operation: str,
        answer: object,
        *,
        kind: str = "import",
        asked: float | None = None,
        trace: int = 1,
    ) -> Exchange:
        """An answer about one job passes by."""
        job_id = str(answer["id"]) if isinstance(answer, dict) and "id" in answer else "j"
        path_id = None if kind == "deletion" and operation == "add" else job_id
        when = self.clock.now if asked is None else asked
        passing = exchange(kind, operation, path_id, asked=when, trace=trace)
        self.observer.observe(passing, 200, [], json.dumps(answer).encode())
        return passing

    def page(self, *jobs: object, kind: str = "import", asked: float | None = None) -> None:
        """A page of a list passes by."""
        when = self.clock.now if asked is None else asked
        body = json.dumps({"value": jobs, "nextLink": None}).encode()
        self.observer.observe(exchange(kind, "list", asked=when), 200, [], body)

    def delete(self, job_id: str, *, asked: float | None = None) -> None:
        """A 204 to DELETE passes by."""
        when = self.clock.now if asked is None else asked
        self.observer.observe(exchange("import", "delete", job_id, asked=when), 204, [], b"")

    def not_found(self, job_id: str, *, kind: str = "import", asked: float | None = None) -> None:
        """A 404 to GET passes by."""
        code = "ImportJobNotFound" if kind == "import" else "DeleteJobNotFound"
        when = self.clock.now if asked is None else asked
        body = json.dumps({"error": {"code": code, "message": "There is no such job."}}).encode()
        self.observer.observe(exchange(kind, "get", job_id, asked=when), 404, [], body)

    def count(self, status: str, kind: str = "import") -> int:
        """The gauge of a kind and a status."""
        return self.ledger.snapshot().counts[kind, status]

    def known(self, job_id: str, kind: str = "import") -> JobRecord:
        """The record of a job that must be there."""
        record = self.ledger.get(kind, job_id)
        assert record is not None
        return record
