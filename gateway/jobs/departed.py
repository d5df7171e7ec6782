"""Jobs that left, remembered for a while: none is told twice, and no late answer brings one back."""

from collections.abc import Iterator
from typing import Final

from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.record import JobRecord
from gateway.jobs.roster import Key

MAX_DEPARTED: Final = 1_000
"""Jobs remembered after they left."""


class Departed:
    """Records of jobs that left; `began` is when the gateway started, seconds since the epoch."""

    def __init__(self, began: float) -> None:
        self._jobs: dict[Key, JobRecord] = {}
        # A job first seen finished counts only if it finished after this. It begins as the gateway's start
        # and moves on as finished jobs are forgotten, because a forgotten finish must not be told again.
        self._told_until = int(began * NANOSECONDS)

    def __len__(self) -> int:
        return len(self._jobs)

    def get(self, key: Key) -> JobRecord | None:
        """The record, if there is one."""
        return self._jobs.get(key)

    def add(self, record: JobRecord) -> None:
        """A job that left."""
        self._jobs[record.kind, record.id] = record

    def remove(self, record: JobRecord) -> None:
        """The job is back, or another one has its id."""
        self._jobs.pop((record.kind, record.id), None)

    def is_news(self, record: JobRecord) -> bool:
        """Whether the job's finish is one that happened while the gateway was there to tell it."""
        if record.seen_unfinished or record.created_here:
            return True
        return record.finished is not None and record.finished > self._told_until

    def forget(self, now: float) -> Iterator[JobRecord]:
        """Let go those that are too many, the first that left first."""
        while len(self._jobs) > MAX_DEPARTED:
            forgotten = self._jobs.pop(next(iter(self._jobs)))
            if forgotten.finished is not None:
                # At most now: one absurd time must not silence the finishes to come.
                self._told_until = max(self._told_until, min(forgotten.finished, int(now * NANOSECONDS)))
            yield forgotten
