"""How many, how many of them failed, and how long they took, in steps of ten seconds over ten minutes.

Durations are counted in buckets, four to the doubling, so that a percentile costs no memory for each request:
between 0.12 ms and 128 s the estimate is within 10 % of the true one; what is beyond counts as the end it is
beyond.
"""

from bisect import bisect_left
from itertools import accumulate
from typing import Any

STEP = 10.0
"""Seconds."""
STEPS = 60
WINDOW = STEP * STEPS
"""Seconds, the step under way included."""

_BOUNDS: tuple[float, ...] = tuple(2.0 ** (quarter / 4) for quarter in range(-52, 29))
"""Upper ends of the buckets, seconds; above the last is one bucket more."""
_ESTIMATES = (
    _BOUNDS[0],
    *(float(f"{bound * 2.0**-0.125:.3g}") for bound in _BOUNDS[1:]),
    _BOUNDS[-1],
)
"""What stands for each bucket: its geometric middle, at most 9.1 % away from either end, in three digits."""
_FAILED = len(_ESTIMATES)
"""Place of the failures in a row, behind the buckets."""
_EMPTY = [0] * (_FAILED + 1)

Json = dict[str, Any]


class Steps:
    """One series; `offset` leads from its clock to seconds since the epoch, of which steps are multiples.

    The clock must not go backwards; the wall clock, which may, is looked at only to name the steps.
    """

    def __init__(self, offset: float) -> None:
        self._offset = offset
        self._rows = [_EMPTY.copy() for _ in range(STEPS)]
        self._row = self._rows[0]
        self._number = 0
        self._ends = float("-inf")

    def add(self, at: float, seconds: float, failed: bool) -> None:
        """Count one that ended at `at` after so many seconds."""
        if at >= self._ends:
            self._move_to(at)
        row = self._row
        row[bisect_left(_BOUNDS, seconds)] += 1
        if failed:
            row[_FAILED] += 1

    def view(self, at: float, wall: float) -> list[Json]:
        """Every step, oldest first, empty ones too; the last is under way. `at` and `wall` are now."""
        if at >= self._ends:
            self._move_to(at)
        # A wall clock that was set moves all steps alike; what is below a second is its usual drift.
        moved = round(wall - at - self._offset)
        numbers = range(self._number - STEPS + 1, self._number + 1)
        return [_shown(self._rows[number % STEPS], number * STEP + moved) for number in numbers]

    def total(self, at: float) -> tuple[int, int]:
        """How many there were in the window, and how many of them failed."""
        if at >= self._ends:
            self._move_to(at)
        failed = sum(row[_FAILED] for row in self._rows)
        return sum(map(sum, self._rows)) - failed, failed

    def _move_to(self, at: float) -> None:
        number = int((at + self._offset) // STEP)
        for passed in range(max(self._number + 1, number - STEPS + 1), number + 1):
            self._rows[passed % STEPS][:] = _EMPTY
        self._number = number
        self._row = self._rows[number % STEPS]
        self._ends = (number + 1) * STEP - self._offset


def _shown(row: list[int], start: float) -> Json:
    up_to = list(accumulate(row[:_FAILED]))
    requests = up_to[-1]
    return {
        "start": start,
        "requests": requests,
        "failed": row[_FAILED],
        "p50Seconds": _percentile(up_to, requests * 0.5),
        "p95Seconds": _percentile(up_to, requests * 0.95),
    }


def _percentile(up_to: list[int], rank: float) -> float | None:
    """The duration of the nearest rank; None where there is nothing. `up_to` counts bucket by bucket."""
    return _ESTIMATES[bisect_left(up_to, rank)] if rank else None
