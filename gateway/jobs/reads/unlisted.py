"""What a list did not show: asked for by itself for a while."""

from typing import Final

from gateway.jobs.governor import Timers

SECONDS: Final = 60.0
_MOST: Final = 1_000


class Unlisted:
    """Jobs that a kind's first page did not show, and kinds whose list failed; forgotten after a minute."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._until: dict[tuple[str, str | None], float] = {}

    def add(self, kind: str, job_id: str | None) -> None:
        """A job, or with None all jobs of the kind."""
        what = (kind, job_id)
        self._until.pop(what, None)
        self._until[what] = self._timers.time() + SECONDS
        if len(self._until) > _MOST:
            del self._until[next(iter(self._until))]

    def holds(self, kind: str, job_id: str | None) -> bool:
        """Whether a list is not to be asked for this job now."""
        now = self._timers.time()
        return any(self._until.get(what, 0.0) > now for what in ((kind, None), (kind, job_id)))
