"""What is known of one job, and what a further sighting may change.

Answers arrive out of order, so a sighting is weighed before it is believed: an end is final, and progress
is never taken back.
"""

from dataclasses import dataclass, field

from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import PROGRESS, TERMINAL, UNKNOWN, JobState, SpanContext

MAX_HISTORY = 16
"""Status changes kept per job; only a service that goes back and forth between new statuses has more."""


@dataclass(slots=True)
class JobRecord:
    """One job by kind, id and created time.

    `created`, `finished` and `purge` are the service's, in nanoseconds since the epoch; `first_seen`,
    `last_seen` and the times of the history are the gateway's, in seconds since the epoch.
    """

    kind: str
    id: str
    first_seen: float
    status: str = UNKNOWN
    last_seen: float = 0.0
    created: int | None = None
    finished: int | None = None
    purge: int | None = None
    error_code: str | None = None
    history: list[tuple[str, float]] = field(default_factory=list)
    created_in: SpanContext | None = None
    created_here: bool = False
    """The creation went through this gateway."""
    seen_unfinished: bool = False
    counted: bool = False
    """Its finish has been told."""
    progress: int = 0

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

    def learn(self, state: JobState, now: float) -> None:
        """Take from the sighting what is news; one that was overtaken on the way changes nothing."""
        if self._is_overtaken(state):
            return
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

    def expired(self, now: float) -> bool:
        """Whether the service has purged it; an unfinished job seen after that time is still there."""
        if self.purge is None or self.purge > now * NANOSECONDS:
            return False
        return self.is_over or self.last_seen * NANOSECONDS < self.purge

    def _is_overtaken(self, state: JobState) -> bool:
        if self.is_over and not state.is_over:
            return True
        return state.status != UNKNOWN and PROGRESS[state.status] < self.progress

    def _move_to(self, status: str, now: float) -> None:
        self.progress = PROGRESS.get(status, self.progress)
        if self.history and status == self.status:
            return
        self.status = status
        self.history.append((status, now))
        if len(self.history) > MAX_HISTORY:
            del self.history[1]
