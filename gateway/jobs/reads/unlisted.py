"""What a list did not show: asked for by itself for a while."""

from typing import Final

from gateway.jobs.governor import Timers
from gateway.jobs.reads.request import BatchKey

SECONDS: Final = 60.0
_MOST: Final = 1_000


class Unlisted:
    """Jobs that a list's first page did not show, and lists that failed; forgotten after a minute.

    A list is told by all that it is asked with: what fails for one is no reason for another.
    """

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._until: dict[tuple[BatchKey, str | None], float] = {}

    def add(self, group: BatchKey, job_id: str | None) -> None:
        """A job, or with None all that the list would answer."""
        what = (group, job_id)
        self._until.pop(what, None)
        self._until[what] = self._timers.time() + SECONDS
        if len(self._until) > _MOST:
            del self._until[next(iter(self._until))]

    def holds(self, group: BatchKey, job_id: str | None) -> bool:
        """Whether a list is not to be asked for this job now."""
        now = self._timers.time()
        return any(self._until.get(what, 0.0) > now for what in ((group, None), (group, job_id)))
