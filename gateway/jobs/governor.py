"""When the Jobs API may be called: so many requests a second, whoever asks."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from gateway import failures
from gateway.jobs.fleet_pace import FleetPace
from gateway.jobs.line import Line, Priority, Ticket
from gateway.jobs.pace import PACE, LocalPace, Pace, TimerHandle, Timers
from gateway.jobs.peers import Peers
from gateway.retry_after import LONGEST

__all__ = ["PACE", "Governor", "Priority", "Ticket", "TimerHandle", "Timers"]

_TICK: Final = 0.001
"""The least time a timer is set for: loops count in milliseconds and may wake a little early."""
_TO_FIND_OUT: Final = 0.25
"""Seconds that cover two questions to the store of a fleet, and the way back."""


@dataclass(slots=True)
class Use:
    """A turn while what has it is made ready."""

    lapsed: bool = False
    """That took so long that others have had their turns: it needs another one."""


class Governor:
    """Turns at the Jobs API, handed out in the order of `Line` and at the pace of `rate` per second.

    Used from the event loop's thread. `rate` 0 switches it off: every ticket is granted at once. At most
    `max_queued` tickets wait. `on_wait` is told the priority of each turn, and the seconds waited for it.
    `barred` raises where a turn would be of no use to a newcomer; who waits already keeps its place. A turn
    that was granted and not used is not given back. With `peers` the pace is that of all gateways together.
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
        peers: Peers | None = None,
        chance: random.Random | None = None,
    ) -> None:
        self.off = rate == 0
        self._peers = None if self.off else peers
        self.least_wait = 0.0 if self._peers is None else _TO_FIND_OUT
        """Seconds that also the impatient wait, where only the store knows whether a turn is free."""
        self._pace: Pace = LocalPace(rate, burst)
        if self._peers is not None:
            self._pace = FleetPace(
                self._peers,
                rate=rate,
                burst=burst,
                timers=timers,
                chance=chance or random.Random(),  # noqa: S311 - spreads gateways, no secret
                changed=self._moved,
                paused=self._hold,
            )
        self._max_queued = max_queued
        self._timers = timers
        self._on_wait = on_wait
        self._barred = barred
        self._line = Line()
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
        if self.off or (self._pace.due() <= now and not self._line and not self._using):
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

    def check(self) -> None:
        """Raise what bars newcomers: for who need not stand in the line to get what it wants."""
        self._barred()

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
        """Wait for a turn for at most `wait` seconds, or `least_wait`, and return how many it took.

        Raises RateLimited: at once where the pause or those before it take longer, else when the time is
        over. Cancelled, it leaves the line.
        """
        if self.expected_wait(priority) > wait:
            raise self.refusal(priority)
        ticket = self.line_up(priority)
        if ticket.granted.done():
            return 0.0
        deadline = self._timers.call_at(ticket.joined + max(wait, self.least_wait), self._refuse, ticket)
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
    def using(self) -> Iterator[Use]:
        """While what has the turn is made ready nothing is granted; the next turn is counted from the end."""
        use, began = Use(), self._timers.time()
        self._using += 1
        try:
            yield use
        finally:
            self._using -= 1
            now = self._timers.time()
            use.lapsed = not self._pace.used(began, now)
            self._keep_timer(now)

    def pause(self, seconds: float) -> None:
        """Grant nothing for this time, as the upstream asked; a pause that lasts longer is not shortened."""
        if self.off or not seconds > 0:
            return
        seconds = min(seconds, LONGEST)
        if self._peers is not None:
            self._peers.pause(seconds)
        self._hold(seconds)

    @property
    def paused_for(self) -> float:
        """Seconds left of a pause; 0 where there is none."""
        return max(0.0, self._paused_until - self._timers.time())

    def expected_wait(self, priority: Priority) -> float:
        """Seconds until a newcomer of this priority has its turn, if nobody else comes."""
        now = self._timers.time()
        return self._pace.expected(self._line.ahead(priority), now)

    def queued(self) -> Mapping[Priority, int]:
        """How many wait, by priority."""
        return self._line.lengths()

    async def aclose(self) -> None:
        """Reserve nothing any more; to be called where there are peers."""
        if isinstance(self._pace, FleetPace):
            await self._pace.aclose()

    def _hold(self, seconds: float) -> None:
        """A pause, whoever was told to make it."""
        until = self._timers.time() + min(seconds, LONGEST)
        self._paused_until = max(self._paused_until, until)
        self._pace.pause(until)

    def _grant(self, ticket: Ticket, now: float) -> None:
        self._pace.take(now)
        ticket.granted.set_result(None)
        self._on_wait(ticket.priority, now - ticket.joined)

    def _serve(self) -> None:
        """Grant what is due."""
        now = self._timers.time()
        try:
            while not self._using and self._pace.due() <= now and (ticket := self._line.take()) is not None:
                self._grant(ticket, now)
        finally:
            self._keep_timer(now)

    def _keep_timer(self, now: float) -> None:
        """One timer, and only while somebody waits; `_moved` is called where a turn comes earlier."""
        if self._line and self._timer is None and not self._using:
            self._pace.wanted()
            due = self._pace.due()
            if due < float("inf"):
                self._timer = self._timers.call_at(max(due, now + _TICK), self._wake)
        elif not self._line and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wake(self) -> None:
        self._timer = None
        self._serve()

    def _moved(self) -> None:
        """The next turn is at another time than it was."""
        if self._timer is not None:
            self._timer.cancel()
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
