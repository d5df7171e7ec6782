"""Every job that was seen: what it is now, and its finish told once, also over restarts.

Bounded by `jobs.max_tracked`, read and written from one thread (the event loop). A store has each record as
of its last change, so that the next gateway goes on where this one ended, however that was.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway.config import Jobs
from gateway.jobs.departed import MAX_DEPARTED, Departed
from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import FinishedJob, JobState, LedgerSnapshot, SpanContext
from gateway.jobs.record import JobRecord
from gateway.jobs.roster import Key, Roster
from gateway.jobs.shared import Shared
from gateway.jobs.shown import Shown
from gateway.jobs.stored import records_of, store_key, to_bytes
from gateway.jobs.stores import Store
from gateway.jobs.takeover import take_over

__all__ = ["MAX_DEPARTED", "SPACE", "Ledger"]

SPACE: Final = "jobs"
"""The name under which the store keeps the records."""


class Ledger:
    """Known jobs by kind and id.

    `clock` is the wall clock in seconds since the epoch, and may be set at any time. `on_finished` is called
    once per finish, and only for a job that was seen unfinished, was created through this gateway, or
    finished after it started: a restart must not count a month of history again. `store` tells what the
    gateway before this one knew; values that are no records are skipped with one line. With `shared`, what is
    news here goes to other gateways, which of them tells a finish is decided there, and `counted` is called.
    """

    def __init__(
        self,
        settings: Jobs,
        *,
        clock: Callable[[], float],
        on_finished: Callable[[FinishedJob], None],
        store: Store,
        shared: Shared | None = None,
    ) -> None:
        self._max = settings.max_tracked
        self._clock = clock
        self._on_finished = on_finished
        self._store = store
        self._shared = shared
        self._jobs = Roster()
        self._last_sync: float | None = None
        self._revision = 0  # of all that records say but when, and how often, they were seen
        now = clock()
        self._departed = Departed(now)
        self.told_before: Sequence[FinishedJob] = take_over(
            records_of(store.load(SPACE)), self._jobs, self._departed, now
        )
        """What the gateway before told last: counted, but the spans may be lost."""

    def __len__(self) -> int:
        return len(self._jobs)

    def seen(self, kind: str, shown: Shown, seen_in: SpanContext, asked: float | None = None) -> None:
        """Jobs as an answer to what was `asked` then showed them; one that is not shown is not gone."""
        now = self._clock()
        known = []
        for state in shown.states:
            record = self._jobs.get((kind, state.id))
            if record is not None and record.repeats(state, now):
                known.append(record)
            else:
                self._hear(kind, state, seen_in, now if asked is None else asked, now)
        shown.found(known, self._revision)
        if self._shared is not None:
            self._shared.seen(kind, [state.id for state in shown.states])
        self._last_sync = now
        self._trim(now)

    def seen_again(self, kind: str, shown: Shown) -> bool:
        """Whether an answer repeats one that is known: then it is `seen`; else `seen` is to be called."""
        now = self._clock()
        if not shown.is_repeated(self._revision, now):
            return False
        if self._shared is not None:
            self._shared.seen(kind, [state.id for state in shown.states])
        self._last_sync = now
        if self._jobs.next_purge <= now * NANOSECONDS:
            self._trim(now)
        return True

    def created(self, kind: str, state: JobState, span: SpanContext, asked: float | None = None) -> None:
        """A job that was created through this gateway, with the span of the request that did it."""
        now = self._clock()
        self._hear(kind, state, span, now if asked is None else asked, now, creation=True)
        self._last_sync = now
        self._trim(now)

    def heard(self, other: JobRecord) -> None:
        """What another gateway knows of a job."""
        now = self._clock()
        if other.left_at:
            known = self._jobs.get((other.kind, other.id))
            if known is not None and not (known.created and other.created and known.created > other.created):
                self._depart(known, now, left_at=other.left_at, told=other)
        elif other.left_at is None:
            seen = min(now, other.last_seen)
            self._hear(other.kind, other.state(), other.origin, seen, now, told=other)
        self._last_sync = max(self._last_sync or 0.0, min(now, other.last_seen))
        self._trim(now)

    def sighted(self, kind: str, job_ids: Iterable[str], at: float) -> None:
        """Another gateway saw jobs at this time, and perhaps nothing new of them."""
        self._last_sync = max(self._last_sync or 0.0, min(at, self._clock()))
        for job_id in job_ids:
            if (record := self._jobs.get((kind, job_id))) is not None and not record.is_over:
                record.last_seen = max(record.last_seen, at)

    def counted(self, job: FinishedJob) -> None:
        """The finish has been told, here or by another gateway."""
        record = self._find((job.kind, job.id))
        if record is not None and record.created == job.created and not record.counted:
            record.counted = True
            self._keep(record)

    def untold(self) -> Sequence[FinishedJob]:
        """Finishes that are news and were told by nobody as far as known."""
        ended = (record for record in self._jobs if record.is_over and not record.counted)
        return [record.finish() for record in ended if self._departed.is_news(record)]

    def left(self, kind: str, job_id: str, asked: float | None = None) -> None:
        """The job was deleted, or the service does not know it.

        Ignored where the job was first seen after the request began: the answer is about one before it.
        """
        now = self._clock()
        record = self._find((kind, job_id))
        if record is None or (asked is not None and asked < record.first_seen <= now):
            return
        self._last_sync = now
        if record.left_at is None:
            self._depart(record, now, left_at=now)
        else:
            record.left_at = now  # not worth a write: no answer that was asked before outlives the gateway

    def get(self, kind: str, job_id: str) -> JobRecord | None:
        """The record, to be read only."""
        self._trim(self._clock())
        return self._jobs.get((kind, job_id))

    def newest(self, count: int) -> Sequence[JobRecord]:
        """At most `count` records, newest first, to be read only."""
        self._trim(self._clock())
        return self._jobs.newest(count)

    def jobs(self) -> Sequence[JobRecord]:
        """All records, newest first, to be read only."""
        return self.newest(len(self))

    def unfinished(self) -> Sequence[JobRecord]:
        """The records of jobs that have not ended, oldest first, to be read only."""
        self._trim(self._clock())
        return self._jobs.unfinished()

    def active_job(self) -> JobRecord | None:
        """The unfinished job that most likely stands in the way of another: that seen last."""
        self._trim(self._clock())
        return self._jobs.in_the_way()

    def snapshot(self) -> LedgerSnapshot:
        """The ledger's figures now. Costs a copy of the counts and a pass over the unfinished jobs."""
        now = self._clock()
        self._trim(now)
        return LedgerSnapshot(self._jobs.counts(), self._jobs.oldest_active(now), self._last_sync)

    def _hear(
        self,
        kind: str,
        state: JobState,
        span: SpanContext,
        asked: float,
        now: float,
        *,
        creation: bool = False,
        told: JobRecord | None = None,
    ) -> None:
        record = self._find((kind, state.id))
        if record is None or record.is_before(state, creation=creation):
            record = JobRecord(kind, state.id, now, left_at=0.0)
        elif record.is_later_than(state, asked, now):
            return
        former_status = record.status
        changed = record.learn(state, now if told is None else max(asked, record.last_seen))
        if told is not None:
            changed |= record.adopt(told)
        is_gone = record.expired(now)
        if not (changed or creation) and (record.left_at is None or is_gone):
            return
        if record.left_at is not None:
            self._departed.remove(record)
            record.left_at = None
            self._jobs.add(record)
        elif changed:
            self._jobs.moved(record, former_status)
        if creation:
            record.created_here, record.created_in = True, span
        is_told = record.is_over and not record.counted and self._departed.is_news(record)
        record.counted |= is_told and self._shared is None
        if is_gone:
            self._depart(record, now)
        else:
            self._keep(record, told)
            self._jobs.note_purge(record, now)
        if is_told:
            self._tell(record.finish(span), heard=told is not None)

    def _tell(self, job: FinishedJob, *, heard: bool) -> None:
        if self._shared is None:
            self._on_finished(job)
        else:
            self._shared.ended(job, heard=heard)

    def _find(self, key: Key) -> JobRecord | None:
        return self._jobs.get(key) or self._departed.get(key)

    def _depart(
        self, record: JobRecord, now: float, *, left_at: float = 0.0, told: JobRecord | None = None
    ) -> None:
        self._jobs.remove(record)
        record.left_at = left_at
        self._departed.add(record)
        self._keep(record, told)
        for forgotten in self._departed.forget(now):
            self._store.remove(SPACE, store_key(forgotten))

    def _keep(self, record: JobRecord, told: JobRecord | None = None) -> None:
        """In the store; other gateways get it where it says more than one of them has told."""
        self._revision += 1
        self._store.put(SPACE, store_key(record), to_bytes(record))
        if self._shared is not None and (told is None or record.adds_to(told)):
            self._shared.changed(record)

    def _trim(self, now: float) -> None:
        """Let purged jobs leave, then the oldest finished, then those not seen for longest."""
        for record in self._jobs.purged(now):
            self._depart(record, now)
        for record in self._jobs.beyond(self._max):
            self._depart(record, now)
