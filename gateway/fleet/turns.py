"""Turns at the Jobs API for the whole fleet: the generic cell rate algorithm, kept in the store."""

from collections.abc import Callable
from typing import Any, Final

from gateway.fleet.calls import Away, Call, Calls
from gateway.fleet.clock import MICRO
from gateway.fleet.keys import Keys
from gateway.fleet.wire import Timers

_LONGEST_PAUSE: Final = 300.0


class Turns:
    """Reservations and pauses. Seconds between turns, 0 for no limit; `burst` of them may be saved up."""

    def __init__(
        self, calls: Calls, keys: Keys, me: str, *, interval: float, burst: int, timers: Timers
    ) -> None:
        self._calls = calls
        self._key = keys("turns")
        self._about = (keys.channel, me)
        self._timers = timers
        self._interval = round(interval * MICRO)
        self._saved = (burst - 1) * self._interval
        # Until when a pause lasts that the store may not know of.
        self._untold = 0.0

    async def reserve(self) -> float | None:
        """Seconds until the turn that is now reserved; None while away."""
        if not self._interval:
            return 0.0
        try:
            return await self._calls.call(
                "reserve", (self._key,), self._interval, self._saved, read=lambda wait: int(wait) / MICRO
            )
        except Away:
            return None

    def pause(self, seconds: float) -> None:
        """No turn for this time; kept in mind until the store knows."""
        if not self._interval or not seconds > 0:
            return
        seconds = min(seconds, _LONGEST_PAUSE)
        until = self._untold = max(self._untold, self._timers.time() + seconds)
        sent = self._calls.send("pause", (self._key,), round(seconds * MICRO), *self._about)
        if sent is not None:
            sent.add_done_callback(self._told(until))

    async def before_return(self, call: Call, _lost_data: bool) -> None:
        """A pause that the store may not know of is told to it."""
        until = self._untold
        left = until - self._timers.time()
        if left > 0:
            await call("pause", (self._key,), round(left * MICRO), *self._about)
        if self._untold == until:
            self._untold = 0.0

    def _told(self, until: float) -> Callable[[Any], None]:
        def told(sent: Any) -> None:
            if not sent.cancelled() and sent.exception() is None and self._untold == until:
                self._untold = 0.0

        return told
