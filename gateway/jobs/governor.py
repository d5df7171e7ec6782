"""When the Jobs API may be called: so many requests a second, whoever asks.

The generic cell rate algorithm (ITU-T I.371, annex A): `burst` turns may be saved up, and any window of
`seconds` has at most `burst + seconds * rate` turns. A pause uses up what was saved.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, Protocol

from gateway import failures
from gateway.jobs.line import Line, Priority, Ticket
from gateway.retry_after import LONGEST

__all__ = ["Governor", "Priority", "Ticket", "TimerHandle", "Timers"]

PACE: Final = 1.02
"""How much slower than the limit it goes, so that 1.000 s never arrives as 0.999 s."""
_TICK: Final = 0.001
"""The least time a timer is set for: loops count in milliseconds and may wake a little early."""


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


class Governor:
    """Turns at the Jobs API, handed out in the order of `Line` and at the pace of `rate` per second.

    Used from the event loop's thread. `rate` 0 switches it off: every ticket is granted at once. At most
    `max_queued` tickets wait. `on_wait` is told the priority of each turn, and the seconds waited for it.
    `barred` raises where a turn would be of no use to a newcomer; who waits already keeps its place. A turn
    that was granted and not used is not given back.
    """

    def __init__(
        self,
        *,
        rate: float,
        burst: int,
        max_queued: int,
        timers: Timers,
        on_wait: Callable[[Priority, float], None],
        barred: Callable[[], None] = lambda: None,
    ) -> None:
        self.off = rate == 0
        self._interval = 0.0 if self.off else PACE / rate
        self._saved = (burst - 1) * self._interval
        self._max_queued = max_queued
        self._timers = timers
        self._on_wait = on_wait
        self._barred = barred
        self._line = Line()
        # The moment of the next turn; it lies in the past by what is saved up, at most by `_saved`.
        self._due = float("-inf")
        self._paused_until = float("-inf")
        self._timer: TimerHandle | None = None
        self._using = 0

    def line_up(self, priority: Priority, *, since: float | None = None) -> Ticket:
        """A ticket, granted already where a turn is free and nobody waits.

        `since` is the time of an earlier place, which goes before those that came later. Who no longer wants
        the turn withdraws the ticket, or cancels its future. Raises RateLimited where too many wait, and what
        bars newcomers.
        """
        self._barred()
        now = self._timers.time()
        came = now if since is None else min(since, now)
        ticket = Ticket(priority, came, now, asyncio.get_running_loop().create_future())
        if self.off or (self._due <= now and not self._line and not self._using):
            self._grant(ticket, now)
            return ticket
        if len(self._line) >= self._max_queued:
            raise failures.RateLimited(
                "Too many requests wait for a turn at the Jobs API (jobs.max_queued).",
                retry_after=self.expected_wait(priority),
            )
        self._line.join(ticket)
        ticket.granted.add_done_callback(partial(self._over, ticket))
        self._keep_timer(now)
        return ticket

    def promote(self, ticket: Ticket, priority: Priority) -> None:
        """Raise the priority of a ticket that waits; it keeps the time it came."""
        if priority < ticket.priority and self._line.leave(ticket):
            ticket.priority = priority
            self._line.join(ticket)

    def withdraw(self, ticket: Ticket) -> None:
        """Leave the line, if the ticket is in it."""
        if self._line.leave(ticket):
            self._keep_timer(self._timers.time())

    async def turn(self, priority: Priority, wait: float) -> float:
        """Wait for a turn for at most `wait` seconds, and return how many it took.

        Raises RateLimited: at once where the pause or those before it take longer, else when the time is
        over. Cancelled, it leaves the line.
        """
        if self.expected_wait(priority) > wait:
            raise self.refusal(priority)
        ticket = self.line_up(priority)
        if ticket.granted.done():
            return 0.0
        deadline = self._timers.call_at(ticket.joined + wait, self._refuse, ticket)
        try:
            await ticket.granted
        finally:
            deadline.cancel()
            self.withdraw(ticket)
        return self._timers.time() - ticket.joined

    def refusal(self, priority: Priority) -> failures.RateLimited:
        """The failure of a caller that cannot wait for its turn, with the time until one could be had."""
        return failures.RateLimited(
            "The rate of the Jobs API leaves no turn within the time that the caller can wait (jobs.rate).",
            retry_after=self.expected_wait(priority),
        )

    @contextmanager
    def using(self) -> Iterator[None]:
        """While what has the turn is made ready nothing is granted; the next turn is counted from the end."""
        self._using += 1
        try:
            yield
        finally:
            self._using -= 1
            now = self._timers.time()
            self._due = max(self._due, now - self._saved + self._interval)
            self._keep_timer(now)

    def pause(self, seconds: float) -> None:
        """Grant nothing for this time, as the upstream asked; a pause that lasts longer is not shortened."""
        if self.off or not seconds > 0:
            return
        until = self._timers.time() + min(seconds, LONGEST)
        self._paused_until = max(self._paused_until, until)
        self._due = max(self._due, until)

    @property
    def paused_for(self) -> float:
        """Seconds left of a pause; 0 where there is none."""
        return max(0.0, self._paused_until - self._timers.time())

    def expected_wait(self, priority: Priority) -> float:
        """Seconds until a newcomer of this priority has its turn, if nobody else comes."""
        now = self._timers.time()
        ahead = self._line.ahead(priority) * self._interval
        return max(0.0, max(self._due, now - self._saved) + ahead - now)

    def queued(self) -> Mapping[Priority, int]:
        """How many wait, by priority."""
        return self._line.lengths()

    def _grant(self, ticket: Ticket, now: float) -> None:
        self._due = max(self._due, now - self._saved) + self._interval
        ticket.granted.set_result(None)
        self._on_wait(ticket.priority, now - ticket.joined)

    def _serve(self) -> None:
        """Grant what is due."""
        now = self._timers.time()
        try:
            while not self._using and self._due <= now and (ticket := self._line.take()) is not None:
                self._grant(ticket, now)
        finally:
            self._keep_timer(now)

    def _keep_timer(self, now: float) -> None:
        """One timer, and only while somebody waits; a turn only ever moves later, so it is never too late."""
        if self._line and self._timer is None and not self._using:
            self._timer = self._timers.call_at(max(self._due, now + _TICK), self._wake)
        elif not self._line and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        self._timer = None
        self._serve()

    def _refuse(self, ticket: Ticket) -> None:
        """The ticket's time is over; a turn that falls due at this very moment is still in time."""
        self._serve()
        self.withdraw(ticket)
        if not ticket.granted.done():
            ticket.granted.set_exception(self.refusal(ticket.priority))

    def _over(self, ticket: Ticket, granted: asyncio.Future[None]) -> None:
        if granted.cancelled():
            self.withdraw(ticket)
