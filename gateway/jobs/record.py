"""What is known of one job, and what a further sighting may change.

Answers arrive out of order, so a sighting is weighed before it is believed: an end is final, and progress
is never taken back.
"""

import sys
from typing import Final

import msgspec

from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import PROGRESS, TERMINAL, UNKNOWN, FinishedJob, JobState, SpanContext

MAX_HISTORY = 16
"""Status changes kept per job; only a service that goes back and forth between new statuses has more."""
_NOWHERE: Final = SpanContext("0" * 32, "0" * 16, sampled=False)


class JobRecord(msgspec.Struct, eq=False, gc=False, omit_defaults=True):
    """One job by kind, id and created time.

    `created`, `finished` and `purge` are the service's, in nanoseconds since the epoch; `first_seen`,
    `last_seen`, `left_at` and the times of the history are the gateway's, in seconds since the epoch.
    """

    kind: str
    id: str
    first_seen: float
    last_seen: float = 0.0
    sightings: int = 0
    """Answers of the upstream that showed it; after a restart, those until its last change were kept."""
    created: int | None = None
    finished: int | None = None
    purge: int | None = None
    error_code: str | None = None
    history: tuple[tuple[str, float], ...] = ()
    """Each status with the time at which it was first seen."""
    created_in: SpanContext | None = None
    created_here: bool = False
    """The creation went through this gateway."""
    seen_unfinished: bool = False
    counted: bool = False
    """Its finish has been told, or is not to be told: it was history before the gateway began."""
    left_at: float | None = None
    """When the service said that it is gone; 0 where only the ledger let it go, None while it is in it."""

    @property
    def status(self) -> str:
        """One of the kind's statuses."""
        return self.history[-1][0] if self.history else UNKNOWN

    @property
    def changed(self) -> float:
        """When its status was last seen to change."""
        return self.history[-1][1] if self.history else self.first_seen

    @property
    def is_over(self) -> bool:
        """Whether the job has ended; see `JobState.is_over`."""
        return self.status in TERMINAL or (self.status == UNKNOWN and self.finished is not None)

    @property
    def duration(self) -> float | None:
        """Seconds from created to finished; None where one is absent or they disagree."""
        if self.created is None or self.finished is None or self.finished < self.created:
            return None
        return (self.finished - self.created) / NANOSECONDS

    @property
    def since(self) -> float:
        """When the job began to exist as far as known, seconds since the epoch."""
        return self.first_seen if self.created is None else self.created / NANOSECONDS

    def learn(self, state: JobState, now: float) -> bool:
        """Take from the sighting what is news, and say whether there was any.

        That it was seen again is none; a sighting that was overtaken on the way changes nothing.
        """
        self.sightings += 1
        if self._is_overtaken(state):
            return False
        before = self._facts()
        self.last_seen = now
        self.created = self.created or state.created
        self.purge = state.purge or self.purge
        if not self.is_over or self.status == UNKNOWN:
            self._move_to(state.status, now)
        if state.is_over:
            self.finished = self.finished or state.finished
            self.error_code = self.error_code or state.error_code
        else:
            self.seen_unfinished = True
        return self._facts() != before

    def repeats(self, state: JobState, now: float) -> bool:
        """Whether all that the sighting says is known, as with most polls: then it has been counted.

        The same as `learn` where nothing is news, at a tenth of its cost; what it may be news of is asked
        there, in doubt too.
        """
        status, purge, history = state.status, self.purge, self.history
        if not history or history[-1][0] != status or status == UNKNOWN or self.left_at is not None:
            return False
        if self.created != state.created or purge != state.purge or self.last_seen > now:
            return False
        if purge is not None and purge <= now * NANOSECONDS:
            return False
        if status not in TERMINAL:
            if not self.seen_unfinished:
                return False
        elif self.finished != state.finished or self.error_code != state.error_code:
            return False
        self.sightings += 1
        self.last_seen = now
        return True

    def adopt(self, other: "JobRecord") -> bool:
        """Take from another gateway's record of the same job what is no state, and say whether there was any.

        Its state was learned before; where both say the same, the history is that of who saw it change first.
        """
        before = (self.history, self.created_here, self.created_in, self.seen_unfinished, self.counted)
        is_longer = len(other.history) >= len(self.history)
        if other.status == self.status and other.changed <= self.changed and is_longer:
            self.history = other.history
        self.first_seen = min(self.first_seen, other.first_seen)
        self.created_here |= other.created_here
        self.created_in = self.created_in or other.created_in
        self.seen_unfinished |= other.seen_unfinished
        self.counted |= other.counted
        return before != (
            self.history,
            self.created_here,
            self.created_in,
            self.seen_unfinished,
            self.counted,
        )

    def adds_to(self, other: "JobRecord") -> bool:
        """Whether another gateway's record lacks what this one has."""
        return (
            self.status != other.status
            or (self.created_here and not other.created_here)
            or (self.counted and not other.counted)
        )

    def is_before(self, state: JobState, *, creation: bool) -> bool:
        """Whether the state is that of a job which uses this one's id after it."""
        if self.created and state.created:
            return state.created > self.created
        return creation and (self.left_at is not None or self.is_over)

    def is_later_than(self, state: JobState, asked: float, now: float) -> bool:
        """Whether an answer is about a job before, or was asked for before this one left."""
        if self.created and state.created and state.created < self.created:
            return True
        # It left after the service was asked; a time to come means that the clock was set back.
        return self.left_at is not None and asked <= self.left_at <= now

    def state(self) -> JobState:
        """What an answer would have to say to show what is known."""
        return JobState(
            id=self.id,
            status=self.status,
            error_code=self.error_code,
            created=self.created,
            finished=self.finished,
            purge=self.purge,
        )

    def expired(self, now: float) -> bool:
        """Whether the service has purged it; an unfinished job seen after that time is still there."""
        if self.purge is None or self.purge > now * NANOSECONDS:
            return False
        return self.is_over or self.last_seen * NANOSECONDS < self.purge

    @property
    def origin(self) -> SpanContext:
        """The request that created it; a span that is nowhere where that is not known."""
        return self.created_in or _NOWHERE

    def finish(self, seen_in: SpanContext | None = None) -> FinishedJob:
        """Its finish, to be told; `seen_in` is the exchange that brought the news, where it is known."""
        return FinishedJob(
            kind=self.kind,
            id=self.id,
            status=self.status,
            error_code=self.error_code,
            duration=self.duration,
            created=self.created,
            finished=self.finished,
            history=self.history,
            first_seen=self.first_seen,
            last_seen=self.last_seen,
            created_in=self.created_in,
            seen_in=seen_in or self.origin,
        )

    def _facts(self) -> tuple[object, ...]:
        outlived = self.purge is not None and self.last_seen * NANOSECONDS >= self.purge
        return (
            self.history,
            self.created,
            self.purge,
            self.finished,
            self.error_code,
            self.seen_unfinished,
            outlived,  # a store that does not know it has the job leave at a restart
        )

    def _is_overtaken(self, state: JobState) -> bool:
        if state.status == self.status != UNKNOWN:
            return False
        if self.is_over and not state.is_over:
            return True
        return state.status != UNKNOWN and PROGRESS[state.status] < self._progress()

    def _progress(self) -> int:
        """How far it has come; a status that is not listed says nothing of that."""
        listed = (PROGRESS[status] for status, _ in reversed(self.history) if status != UNKNOWN)
        return next(listed, 0)

    def _move_to(self, status: str, now: float) -> None:
        if self.history and status == self.status:
            return
        history = (*self.history, (sys.intern(status), now))
        self.history = history if len(history) <= MAX_HISTORY else (history[0], *history[2:])
