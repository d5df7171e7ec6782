"""When the next turn at the Jobs API is: so many a second.

The generic cell rate algorithm (ITU-T I.371, annex A): `burst` turns may be saved up, and any window of
`seconds` has at most `burst + seconds * rate` turns. A pause uses up what was saved.
"""

from collections.abc import Callable
from typing import Any, Final, Protocol

PACE: Final = 1.02
"""How much slower than the limit it goes, so that 1.000 s never arrives as 0.999 s."""


class TimerHandle(Protocol):
    """What `Timers.call_at` returns."""

    def cancel(self) -> None:
        """Never call back."""


class Timers(Protocol):
    """A monotonic clock in seconds, and callbacks in its future; an event loop is one."""

    def time(self) -> float:
        """Now."""

    def call_at(self, when: float, callback: Callable[..., object], /, *args: Any) -> TimerHandle:
        """Call back at `when`, or a little later."""


class Pace(Protocol):
    """The turns that one gateway may have; moments are on the clock of the timers, in seconds."""

    def wanted(self) -> None:
        """Somebody waits for a turn."""

    def due(self) -> float:
        """The moment of the next turn, in the past by what is saved up; infinity while it is not known."""

    def take(self, now: float) -> None:
        """The turn that is due is had."""

    def used(self, began: float, now: float) -> bool:
        """What had its turn at `began` is ready to be sent; False where the turn has lapsed meanwhile."""

    def pause(self, until: float) -> None:
        """No turn is due before."""

    def expected(self, ahead: int, now: float) -> float:
        """Seconds until a newcomer has its turn, with so many before it."""


def interval_of(rate: float) -> float:
    """Seconds from one turn to the next at so many a second; 0 for no limit, which rate 0 stands for."""
    return PACE / rate if rate else 0.0


class LocalPace:
    """The turns of a gateway that decides alone; `rate` 0 leaves no time between them."""

    def __init__(self, rate: float, burst: int) -> None:
        self.interval = interval_of(rate)
        self._saved = (burst - 1) * self.interval
        self._due = float("-inf")

    def wanted(self) -> None:
        """Changes nothing: the next turn is known at any time."""

    def due(self) -> float:
        """The moment of the next turn."""
        return self._due

    def take(self, now: float) -> None:
        """Move on by one turn."""
        self._due = max(self._due, now - self._saved) + self.interval

    def used(self, began: float, now: float) -> bool:  # noqa: ARG002 - as for a fleet
        """Count the next turn from now: nobody else has had one."""
        self._due = max(self._due, now - self._saved + self.interval)
        return True

    def pause(self, until: float) -> None:
        """No turn is due before."""
        self._due = max(self._due, until)

    def expected(self, ahead: int, now: float) -> float:
        """Seconds until a newcomer has its turn, if nobody else comes."""
        return max(0.0, max(self._due, now - self._saved) + ahead * self.interval - now)
