"""How fast a job is polled, and when jobs like it ended: figures that are computed, not asked for."""

import statistics
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.console.job import Job

WINDOW: Final = 30.0
"""Seconds over which polls are counted."""

PAST: Final = 20
"""Jobs that an expectation is drawn from, at most."""


class Pace:
    """Polls of one job per second, from readings of how often the service has shown it."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, int]] = deque()

    def read(self, now: float, sightings: int | None) -> None:
        """Take a reading; None is a gateway that does not count."""
        readings = self._readings
        if readings and (sightings is None or now <= readings[-1][0] or sightings < readings[-1][1]):
            # The count begins anew when the gateway does, and a clock may be set back.
            readings.clear()
        if sightings is not None:
            readings.append((now, sightings))
        while len(readings) > 2 and readings[1][0] <= now - WINDOW:  # noqa: PLR2004 - a difference needs two
            readings.popleft()

    @property
    def rate(self) -> float | None:
        """Polls per second over the last `WINDOW`; None before the second reading."""
        if len(self._readings) < 2:  # noqa: PLR2004 - as above
            return None
        (then, before), (now, after) = self._readings[0], self._readings[-1]
        return (after - before) / (now - then)


@dataclass(frozen=True, slots=True)
class Usual:
    """How long jobs of a kind took that succeeded; one that failed says nothing of another's end."""

    seconds: float
    """Their median."""
    jobs: int
    """How many."""

    @staticmethod
    def of(jobs: Iterable[Job]) -> "Usual | None":
        """None where no job tells its duration."""
        lengths = [job.duration for job in jobs if job.status == "succeeded" and job.duration is not None]
        return Usual(statistics.median(lengths), len(lengths)) if lengths else None


def expected_end(job: Job, usual: Usual | None) -> float | None:
    """When the job ends if it takes as long as usual, in seconds since the epoch; may be in the past.

    None where that says nothing: a job that is being cancelled does not take its usual time.
    """
    if usual is None or job.created is None or job.is_over or job.status == "cancelling":
        return None
    return job.created + usual.seconds
