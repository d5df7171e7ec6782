"""The clock and the timers of an event loop, moved by the test."""

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.support.token_sources import settle


@dataclass(eq=False)
class FakeTimer:
    """One callback in the future of `FakeTimers`."""

    callback: Callable[..., object]
    args: tuple[Any, ...]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeTimers:
    """Time that passes when told; each timer runs at its own moment, or `early` seconds before."""

    def __init__(self, now: float = 1_000.0, *, early: float = 0.0) -> None:
        self.now = now
        self._early = early
        self._order = itertools.count()
        self._timers: list[tuple[float, int, FakeTimer]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[..., object], /, *args: Any) -> FakeTimer:
        timer = FakeTimer(callback, args)
        heapq.heappush(self._timers, (when - self._early, next(self._order), timer))
        return timer

    @property
    def armed(self) -> int:
        """Timers that are set."""
        return sum(not timer.cancelled for _, _, timer in self._timers)

    def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer."""
        end = self.now + seconds
        while (timer := self._due(end)) is not None:
            timer.callback(*timer.args)
        self.now = end

    async def elapse(self, seconds: float) -> None:
        """Let time pass, timer by timer, and everything run that it sets going."""
        await settle()
        end = self.now + seconds
        while (timer := self._due(end)) is not None:
            timer.callback(*timer.args)
            await settle()
        self.now = end

    def block(self, seconds: float) -> None:
        """Let time pass while nothing can run; what fell due runs late, at the end of it."""
        self.now += seconds
        self.advance(0.0)

    def _due(self, end: float) -> FakeTimer | None:
        while self._timers and self._timers[0][0] <= end:
            when, _, timer = heapq.heappop(self._timers)
            if not timer.cancelled:
                self.now = max(self.now, when)
                return timer
        return None
