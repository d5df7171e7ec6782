"""The jobs there are: found by kind and id, counted by status, the unfinished ones apart.

The counts are kept as jobs change, so that a scrape costs the same with ten thousand jobs as with one.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType

from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import PROGRESS, STATUSES
from gateway.jobs.record import JobRecord

Key = tuple[str, str]

_since = attrgetter("since")


class Roster:
    """Records by kind and id; who changes a record's status calls `moved`."""

    def __init__(self) -> None:
        self._jobs: dict[Key, JobRecord] = {}
        self._active: dict[str, dict[str, JobRecord]] = {kind: {} for kind in STATUSES}
        self.next_purge = 0.0
        """When `purged` has something to say at the earliest, in nanoseconds since the epoch."""
        self._counts = {(kind, status): 0 for kind in STATUSES for status in STATUSES[kind]}

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[JobRecord]:
        return iter(self._jobs.values())

    def get(self, key: Key) -> JobRecord | None:
        """The record, if there is one."""
        return self._jobs.get(key)

    def add(self, record: JobRecord) -> None:
        """Take a record in, in place of one of the same kind and id."""
        former = self._jobs.get((record.kind, record.id))
        if former is not None:
            self.remove(former)
        self._jobs[record.kind, record.id] = record
        self._count(record.kind, record.status, 1)
        self._file(record)

    def remove(self, record: JobRecord) -> None:
        """Take a record out that is in."""
        del self._jobs[record.kind, record.id]
        self._count(record.kind, record.status, -1)
        self._active[record.kind].pop(record.id, None)

    def moved(self, record: JobRecord, former_status: str) -> None:
        """A record that is in has changed."""
        self._count(record.kind, former_status, -1)
        self._count(record.kind, record.status, 1)
        self._file(record)

    def counts(self) -> Mapping[Key, int]:
        """Jobs by kind and status; every pair of `STATUSES` is present."""
        return MappingProxyType(dict(self._counts))

    def oldest_active(self, now: float) -> Mapping[str, float]:
        """By kind, seconds since the oldest unfinished job began; 0 where there is none."""
        return MappingProxyType({kind: self._oldest_age(kind, now) for kind in self._active})

    def newest(self, count: int) -> Sequence[JobRecord]:
        """At most `count` records, the newest first."""
        # Those that came last are most likely the newest: beginning with them, few others are ever taken.
        latest_first = reversed(self._jobs.values())
        if count >= len(self._jobs):
            return sorted(latest_first, key=_since, reverse=True)
        return heapq.nlargest(count, latest_first, key=_since)

    def unfinished(self) -> Sequence[JobRecord]:
        """Records of jobs that have not ended, the oldest first."""
        return sorted((record for active in self._active.values() for record in active.values()), key=_since)

    def in_the_way(self) -> JobRecord | None:
        """The unfinished job that most likely keeps others from starting: that seen last.

        Of jobs that one answer showed it is the one that is furthest: one that runs, before one that waits.
        """
        active = (record for active in self._active.values() for record in active.values())
        listed = (record for record in active if record.status in PROGRESS)
        return max(listed, key=lambda record: (record.last_seen, PROGRESS[record.status]), default=None)

    def note_purge(self, record: JobRecord, now: float) -> None:
        """Remember when the service purges a job, if that is to come."""
        if record.purge is not None and record.purge > now * NANOSECONDS:
            self.next_purge = min(self.next_purge, record.purge)

    def purged(self, now: float) -> Sequence[JobRecord]:
        """Those that the service has purged; who asks takes them out. Costs nothing while none is due."""
        if now * NANOSECONDS < self.next_purge:
            return ()
        expired = [record for record in self if record.expired(now)]
        coming = (record.purge for record in self if record.purge is not None)
        self.next_purge = min((purge for purge in coming if purge > now * NANOSECONDS), default=float("inf"))
        return expired

    def beyond(self, most: int) -> Sequence[JobRecord]:
        """Those that are too many: the oldest finished, then the unfinished not seen for longest."""
        excess = len(self._jobs) - most
        if excess <= 0:
            return ()
        # Some more than needed, so that a full ledger is not searched for each new job.
        return heapq.nsmallest(excess + most // 100, self._jobs.values(), key=_leaves_first)

    def _oldest_age(self, kind: str, now: float) -> float:
        return max(0.0, now - min(map(_since, self._active[kind].values()), default=now))

    def _count(self, kind: str, status: str, step: int) -> None:
        self._counts[kind, status] += step

    def _file(self, record: JobRecord) -> None:
        if record.is_over:
            self._active[record.kind].pop(record.id, None)
        else:
            self._active[record.kind][record.id] = record


def _leaves_first(record: JobRecord) -> tuple[bool, float]:
    if not record.is_over:
        return True, record.last_seen
    return False, record.last_seen if record.finished is None else record.finished / NANOSECONDS
