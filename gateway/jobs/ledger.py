"""Every job that was seen: what it is now, and its finish told once.

Bounded by `jobs.max_tracked`, kept in memory, read and written from one thread (the event loop). Counts are
kept as jobs change, so that a scrape costs the same with ten thousand jobs as with one.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.config import Jobs
from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import STATUSES, FinishedJob, JobState, LedgerSnapshot, SpanContext
from gateway.jobs.record import JobRecord

MAX_DEPARTED: Final = 1_000
"""Jobs remembered after they left, so that none is told twice and no late answer brings one back."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Departed:
    record: JobRecord
    left_at: float
    """When the service said that it is gone; 0 where only the ledger let it go."""


class Ledger:
    """Known jobs by kind and id.

    `clock` is the wall clock in seconds since the epoch; `on_finished` is called once per finish, and only
    for a job that was seen unfinished, was created through this gateway, or finished after it started: a
    restart must not count a month of history again.
    """

    def __init__(
        self, settings: Jobs, *, clock: Callable[[], float], on_finished: Callable[[FinishedJob], None]
    ) -> None:
        self._max = settings.max_tracked
        self._clock = clock
        self._on_finished = on_finished
        self._jobs: dict[Key, JobRecord] = {}
        self._departed: dict[Key, _Departed] = {}
        self._active: dict[str, dict[str, JobRecord]] = {kind: {} for kind in STATUSES}
        self._counts = {(kind, status): 0 for kind in STATUSES for status in STATUSES[kind]}
        self._last_sync: float | None = None
        self._next_purge: float = float("inf")
        # A job first seen finished counts only if it finished after this. It begins as the gateway's start
        # and moves on as finished jobs are forgotten, because a forgotten finish must not be told again.
        self._told_until = int(clock() * NANOSECONDS)

    def __len__(self) -> int:
        return len(self._jobs)

    def seen(
        self, kind: str, states: Iterable[JobState], seen_in: SpanContext, asked: float | None = None
    ) -> None:
        """Jobs as an answer showed them; a job that a page does not show is not gone.

        `asked`: when the request began, seconds since the epoch; None is now.
        """
        now = self._clock()
        self._last_sync = now
        for state in states:
            record = self._record_for(kind, state, now if asked is None else asked, now)
            if record is not None:
                self._learn(record, state, seen_in, now)
        self._trim(now)

    def created(
        self, kind: str, state: JobState, created_in: SpanContext, asked: float | None = None
    ) -> None:
        """A job that was created through this gateway, with the span of the request that did it."""
        now = self._clock()
        self._last_sync = now
        record = self._record_for(kind, state, now if asked is None else asked, now, creation=True)
        if record is not None:
            record.created_here = True
            record.created_in = created_in
            self._learn(record, state, created_in, now)
        self._trim(now)

    def left(self, kind: str, job_id: str, asked: float | None = None) -> None:
        """The job was deleted, or the service does not know it.

        Ignored where the job was first seen after the request began: the answer is about one before it.
        """
        now = self._clock()
        record = self._jobs.get((kind, job_id))
        if record is None or (asked is not None and asked < record.first_seen <= now):
            return
        self._last_sync = now
        self._depart(record, now, left_at=now)

    def get(self, kind: str, job_id: str) -> JobRecord | None:
        """The record, to be read only."""
        self._trim(self._clock())
        return self._jobs.get((kind, job_id))

    def jobs(self) -> Sequence[JobRecord]:
        """All records, newest first, to be read only."""
        self._trim(self._clock())
        return sorted(self._jobs.values(), key=lambda record: record.since, reverse=True)

    def snapshot(self) -> LedgerSnapshot:
        """The ledger's figures now. Costs a copy of the counts and a pass over the unfinished jobs."""
        now = self._clock()
        self._trim(now)
        ages = {
            kind: max(0.0, now - min((record.since for record in active.values()), default=now))
            for kind, active in self._active.items()
        }
        return LedgerSnapshot(MappingProxyType(dict(self._counts)), MappingProxyType(ages), self._last_sync)

    def _record_for(
        self, kind: str, state: JobState, asked: float, now: float, *, creation: bool = False
    ) -> JobRecord | None:
        """The record that the answer is about, a new one included; None for an answer that is out of date."""
        key = (kind, state.id)
        record = self._jobs.get(key)
        departed = self._departed.get(key) if record is None else None
        known = departed.record if departed else record
        if known is None or _is_successor(known, state, creation=creation, departed=departed is not None):
            return self._add(JobRecord(kind, state.id, now))
        if known.created and state.created and state.created < known.created:
            return None
        if departed is None:
            return known
        # It is shown again after it left: true if the service was asked after that, else overtaken.
        return self._add(known) if asked > departed.left_at else None

    def _learn(self, record: JobRecord, state: JobState, seen_in: SpanContext, now: float) -> None:
        self._index(record, -1)
        record.learn(state, now)
        self._index(record, 1)
        if record.purge is not None:
            self._next_purge = min(self._next_purge, record.purge)
        if record.is_over and not record.counted and self._is_news(record):
            record.counted = True
            self._on_finished(
                FinishedJob(
                    kind=record.kind,
                    id=record.id,
                    status=record.status,
                    error_code=record.error_code,
                    duration=record.duration,
                    created_in=record.created_in,
                    seen_in=seen_in,
                )
            )

    def _is_news(self, record: JobRecord) -> bool:
        if record.seen_unfinished or record.created_here:
            return True
        return record.finished is not None and record.finished > self._told_until

    def _add(self, record: JobRecord) -> JobRecord:
        key = (record.kind, record.id)
        self._departed.pop(key, None)
        former = self._jobs.get(key)
        if former is not None:
            self._remove(former)
        self._jobs[key] = record
        self._index(record, 1)
        return record

    def _remove(self, record: JobRecord) -> None:
        del self._jobs[record.kind, record.id]
        self._index(record, -1)

    def _depart(self, record: JobRecord, now: float, *, left_at: float = 0.0) -> None:
        self._remove(record)
        self._departed[record.kind, record.id] = _Departed(record, left_at)
        if len(self._departed) > MAX_DEPARTED:
            forgotten = self._departed.pop(next(iter(self._departed))).record
            if forgotten.finished is not None:
                # At most now: one absurd time must not silence the finishes to come.
                self._told_until = max(self._told_until, min(forgotten.finished, int(now * NANOSECONDS)))

    def _index(self, record: JobRecord, step: int) -> None:
        self._counts[record.kind, record.status] += step
        active = self._active[record.kind]
        if step < 0:
            active.pop(record.id, None)
        elif not record.is_over:
            active[record.id] = record

    def _trim(self, now: float) -> None:
        """Let purged jobs leave, then the oldest finished, then those not seen for longest."""
        if now * NANOSECONDS >= self._next_purge:
            self._purge(now)
        excess = len(self._jobs) - self._max
        if excess > 0:
            for record in heapq.nsmallest(excess, self._jobs.values(), key=_leaves_first):
                self._depart(record, now)

    def _purge(self, now: float) -> None:
        for record in [record for record in self._jobs.values() if record.expired(now)]:
            self._depart(record, now)
        coming = (record.purge for record in self._jobs.values() if record.purge is not None)
        self._next_purge = min((purge for purge in coming if purge > now * NANOSECONDS), default=float("inf"))


def _is_successor(known: JobRecord, state: JobState, *, creation: bool, departed: bool) -> bool:
    """Whether the answer is about a job that uses the known one's id after it."""
    if known.created and state.created:
        return state.created > known.created
    return creation and (departed or known.is_over)


def _leaves_first(record: JobRecord) -> tuple[bool, float]:
    if not record.is_over:
        return True, record.last_seen
    return False, record.last_seen if record.finished is None else record.finished / NANOSECONDS
