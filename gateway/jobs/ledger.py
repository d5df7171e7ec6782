"""Every job that was seen: what it is now, and its finish told once, also over restarts.

Bounded by `jobs.max_tracked`, read and written from one thread (the event loop). A store has each record as
of its last change, so that the next gateway goes on where this one ended, however that was.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from gateway.config import Jobs
from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import FinishedJob, JobState, LedgerSnapshot, SpanContext
from gateway.jobs.record import JobRecord
from gateway.jobs.roster import Key, Roster
from gateway.jobs.stored import from_bytes, store_key, to_bytes
from gateway.jobs.stores import Store

SPACE: Final = "jobs"
"""The name under which the store keeps the records."""
MAX_DEPARTED: Final = 1_000
"""Jobs remembered after they left, so that none is told twice and no late answer brings one back."""
JUST_TOLD: Final = 60.0
"""Seconds within which a killed gateway may have lost a span: they are exported some seconds later."""
_NOWHERE: Final = SpanContext("0" * 32, "0" * 16, sampled=False)

_log = logging.getLogger("gateway.jobs")


class Ledger:
    """Known jobs by kind and id.

    `clock` is the wall clock in seconds since the epoch, and may be set at any time. `on_finished` is called
    once per finish, and only for a job that was seen unfinished, was created through this gateway, or
    finished after it started: a restart must not count a month of history again. `store` tells what the
    gateway before this one knew; values that are no records are skipped with one line.
    """

    def __init__(
        self,
        settings: Jobs,
        *,
        clock: Callable[[], float],
        on_finished: Callable[[FinishedJob], None],
        store: Store,
    ) -> None:
        self._max = settings.max_tracked
        self._clock = clock
        self._on_finished = on_finished
        self._store = store
        self._jobs = Roster()
        self._departed: dict[Key, JobRecord] = {}
        self._last_sync: float | None = None
        self._next_purge = 0.0
        # A job first seen finished counts only if it finished after this. It begins as the gateway's start
        # and moves on as finished jobs are forgotten, because a forgotten finish must not be told again.
        now = clock()
        self._told_until = int(now * NANOSECONDS)
        self.told_before: Sequence[FinishedJob] = self._restore(now)
        """What the gateway before told last: counted, but the spans may be lost."""

    def __len__(self) -> int:
        return len(self._jobs)

    def seen(
        self, kind: str, states: Iterable[JobState], seen_in: SpanContext, asked: float | None = None
    ) -> None:
        """Jobs as an answer showed them; a job that a page does not show is not gone.

        `asked`: when the request began, seconds since the epoch; None is now.
        """
        now = self._clock()
        for state in states:
            self._hear(kind, state, seen_in, now if asked is None else asked, now)
        self._last_sync = now
        self._trim(now)

    def created(
        self, kind: str, state: JobState, created_in: SpanContext, asked: float | None = None
    ) -> None:
        """A job that was created through this gateway, with the span of the request that did it."""
        now = self._clock()
        self._hear(kind, state, created_in, now if asked is None else asked, now, creation=True)
        self._last_sync = now
        self._trim(now)

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
    ) -> None:
        record = self._record_for(kind, state, asked, now, creation=creation)
        if record is None:
            return
        former_status = record.status
        changed = record.learn(state, now)
        is_gone = record.expired(now)
        if not (changed or creation) and (record.left_at is None or is_gone):
            return
        if record.left_at is not None:
            self._arrive(record)
        elif changed:
            self._jobs.moved(record, former_status)
        if creation:
            record.created_here, record.created_in = True, span
        is_told = record.is_over and not record.counted and self._is_news(record)
        record.counted |= is_told
        if is_gone:
            self._depart(record, now)
        else:
            self._keep(record)
            if record.purge is not None and record.purge > now * NANOSECONDS:
                self._next_purge = min(self._next_purge, record.purge)
        if is_told:
            self._on_finished(record.finish(span))

    def _record_for(
        self, kind: str, state: JobState, asked: float, now: float, *, creation: bool
    ) -> JobRecord | None:
        """The record that the answer is about, be it a new one; None for an answer that is out of date."""
        known = self._find((kind, state.id))
        if known is None or _is_successor(known, state, creation=creation):
            return JobRecord(kind, state.id, now, left_at=0.0)
        if known.created and state.created and state.created < known.created:
            return None
        if known.left_at is not None and asked <= known.left_at <= now:
            # It left after the service was asked; a time to come means that the clock was set back.
            return None
        return known

    def _find(self, key: Key) -> JobRecord | None:
        return self._jobs.get(key) or self._departed.get(key)

    def _is_news(self, record: JobRecord) -> bool:
        if record.seen_unfinished or record.created_here:
            return True
        return record.finished is not None and record.finished > self._told_until

    def _arrive(self, record: JobRecord) -> None:
        self._departed.pop((record.kind, record.id), None)
        record.left_at = None
        self._jobs.add(record)

    def _depart(self, record: JobRecord, now: float, *, left_at: float = 0.0) -> None:
        self._jobs.remove(record)
        record.left_at = left_at
        self._departed[record.kind, record.id] = record
        self._keep(record)
        self._forget(now)

    def _keep(self, record: JobRecord) -> None:
        self._store.put(SPACE, store_key(record), to_bytes(record))

    def _forget(self, now: float) -> None:
        while len(self._departed) > MAX_DEPARTED:
            forgotten = self._departed.pop(next(iter(self._departed)))
            self._store.remove(SPACE, store_key(forgotten))
            if forgotten.finished is not None:
                # At most now: one absurd time must not silence the finishes to come.
                self._told_until = max(self._told_until, min(forgotten.finished, int(now * NANOSECONDS)))

    def _trim(self, now: float) -> None:
        """Let purged jobs leave, then the oldest finished, then those not seen for longest."""
        if now * NANOSECONDS >= self._next_purge:
            self._purge(now)
        excess = len(self._jobs) - self._max
        if excess > 0:
            # Some more than needed, so that a full ledger is not searched for each new job.
            for record in self._jobs.first_to_leave(excess + self._max // 100):
                self._depart(record, now)

    def _purge(self, now: float) -> None:
        for record in [record for record in self._jobs if record.expired(now)]:
            self._depart(record, now)
        coming = (record.purge for record in self._jobs if record.purge is not None)
        self._next_purge = min((purge for purge in coming if purge > now * NANOSECONDS), default=float("inf"))

    def _restore(self, now: float) -> Sequence[FinishedJob]:
        told: list[FinishedJob] = []
        kept = self._store.load(SPACE)
        known = list(filter(None, (from_bytes(key, value) for key, value in kept.items())))
        for record in sorted(known, key=lambda record: record.left_at or 0.0):
            if record.counted and 0 <= now - record.history[-1][1] <= JUST_TOLD:
                told.append(record.finish(record.created_in or _NOWHERE))
            # One that ended and was not news then is none now, whatever the clock was set to since.
            record.counted |= record.is_over and record.finished is not None
            if record.left_at is None:
                self._jobs.add(record)
            else:
                self._departed[record.kind, record.id] = record
        if len(known) < len(kept):
            _log.warning("%d entries of the jobs' store are no job records: skipped", len(kept) - len(known))
        return told


def _is_successor(known: JobRecord, state: JobState, *, creation: bool) -> bool:
    """Whether the answer is about a job that uses the known one's id after it."""
    if known.created and state.created:
        return state.created > known.created
    return creation and (known.left_at is not None or known.is_over)
