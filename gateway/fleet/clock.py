"""The store's clock, as a gateway knows it."""

from gateway.fleet.wire import Timers

MICRO = 1_000_000


class StoreClock:
    """How old is what has a time of the store's clock: never told younger than it is."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._ahead = 0.0

    def set(self, asked_at: float, told: int) -> None:
        """The store told its time, in microseconds, to a question of that moment or later."""
        self._ahead = told / MICRO - asked_at

    def age(self, sent: int) -> float:
        """Seconds since a moment of the store's clock."""
        return max(0.0, self._timers.time() + self._ahead - sent / MICRO)
