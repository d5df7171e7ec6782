"""Two counts over the last seconds, in memory that does not grow."""

from typing import Final

STEPS: Final = 10
"""The window moves by a tenth of itself: it looks back on nine to ten tenths of its seconds."""


class Window:
    """Counts two kinds of events over the last `seconds`; times are on one clock that never goes back."""

    def __init__(self, seconds: float) -> None:
        self._step = seconds / STEPS
        self._first = [0] * STEPS
        self._second = [0] * STEPS
        self._place = 0
        self._number = 0
        self._ends = float("-inf")

    def first(self, at: float) -> None:
        """Count an event of the first kind."""
        if at >= self._ends:
            self._move_to(at)
        self._first[self._place] += 1

    def second(self, at: float) -> None:
        """Count an event of the second kind."""
        if at >= self._ends:
            self._move_to(at)
        self._second[self._place] += 1

    def totals(self, at: float) -> tuple[int, int]:
        """How many there were of each kind in the window that ends at `at`."""
        if at >= self._ends:
            self._move_to(at)
        return sum(self._first), sum(self._second)

    def clear(self) -> None:
        """Forget everything."""
        self._first[:] = self._second[:] = [0] * STEPS

    def _move_to(self, at: float) -> None:
        number = int(at // self._step)
        for passed in range(max(self._number + 1, number - STEPS + 1), number + 1):
            place = passed % STEPS
            self._first[place] = self._second[place] = 0
        self._number, self._place = number, number % STEPS
        self._ends = (number + 1) * self._step
