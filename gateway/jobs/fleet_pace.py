"""When the next turn at the Jobs API is, for one of many gateways that have one rate together.

While somebody waits here, one turn of the fleet is reserved for this gateway and not more, so that turns go
round among those that want one. While the others are away it has its share of the rate: the rate divided by
the size that the fleet should have, from a moment by chance on, so that no two begin together.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Final

from gateway.jobs.pace import LocalPace, TimerHandle, Timers
from gateway.jobs.peers import Peers

LATE: Final = 0.1
"""The part of the time between two turns by which one may be used late.

Ten requests in a row are then never sent in less time than nine may have, whichever gateways send them. For a
gateway that was too late it is twice as much the next time, at most the half, until it has had a turn.
"""
_AFTERWARDS: Final = 0.01
"""The part of the time between two turns after which, one being had, the next may be reserved."""
_NEVER = float("inf")


class FleetPace:
    """Turns of the fleet, reserved one at a time.

    `changed` is called when the next turn has become known, or moved; `paused` with the seconds that another
    gateway was told to pause for. A turn that could be used only later than its moment by more than `LATE`
    lapses, and another one is reserved: two requests are never closer than that to each other's time.
    """

    def __init__(
        self,
        peers: Peers,
        *,
        rate: float,
        burst: int,
        timers: Timers,
        chance: random.Random,
        changed: Callable[[], None],
        paused: Callable[[float], None],
    ) -> None:
        self._peers = peers
        self._rate = rate
        self._timers = timers
        self._chance = chance
        self._changed = changed
        self._paused = paused
        self._own = LocalPace(rate, burst)
        """What this gateway has had itself: a store that has forgotten all lets it go no faster."""
        self._slack = self._own.interval * LATE
        self._share: LocalPace | None = None
        """While the others are away."""
        self._turn: float | None = None
        """The moment of the turn that is reserved."""
        self._next = float("-inf")
        """The moment from which the fleet's next turn is free, as far as it is known here."""
        self._round = 0.0
        """Seconds from the last reservation to its turn."""
        self._pauses = 0
        self._closed = False
        self._resting: TimerHandle | None = None
        """While it is set nothing is reserved."""
        self._asking: asyncio.Task[None] | None = None
        peers.listen("pause", self._hear_pause)
        peers.on_return(self._rejoin)

    def wanted(self) -> None:
        """Reserve a turn, unless one is reserved or there is nobody to share with."""
        if self._closed or self._asking is not None or self._resting is not None or self.due() != _NEVER:
            return
        self._lapse()
        if self._peers.away:
            self._part()
        else:
            self._asking = asyncio.ensure_future(self._reserve())

    def due(self) -> float:
        """The moment of the turn that is reserved; infinity without one."""
        if self._share is not None:
            return self._share.due()
        if self._turn is None or self._timers.time() - self._turn > self._slack:
            return _NEVER
        return self._turn

    def take(self, now: float) -> None:
        """Use the turn that is due up. Whether another one is needed shows once it has taken others along."""
        self._own.take(now)
        self._turn = None
        self._slack = self._own.interval * LATE
        if self._share is not None:
            self._share.take(now)
            if not self._peers.away:  # one question came to nothing, and no more
                self._rejoin()
        else:
            self._rest_until(now + self._own.interval * _AFTERWARDS)

    def used(self, began: float, now: float) -> bool:
        """Whether what had its turn at `began` can still go: others have theirs from that moment on."""
        if self._share is not None:
            return self._share.used(began, now) and self._own.used(began, now)
        return now - began <= self._slack and self._own.used(began, now)

    def pause(self, until: float) -> None:
        """No turn is due before; one that was reserved for a time before is void."""
        self._pauses += 1
        self._turn = None
        self._next = max(self._next, until)
        self._own.pause(until)
        if self._share is not None:
            # In step with another gateway it would lose each round: it looks for another place among them.
            others = (max(1, self._peers.expected_size) - 1) * self._own.interval
            self._share.pause(until + self._chance.random() * others)

    def expected(self, ahead: int, now: float) -> float:
        """Seconds until a newcomer has its turn, by how long the last one took to come, if it was of late."""
        if self._share is not None:
            return self._share.expected(ahead, now)
        first = self.due()
        if first == _NEVER:
            first = self._next
        recent = self._round if now < self._next + self._round else 0.0
        return max(0.0, first - now) + ahead * max(self._own.interval, recent)

    async def aclose(self) -> None:
        """Reserve nothing any more."""
        self._closed = True
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait((self._asking,))

    def _lapse(self) -> None:
        """The turn that was reserved came too late for who waits."""
        if self._turn is None:
            return
        # A machine that is always late must not wait for ever; who had no use for the turn was not late.
        if self._timers.time() - self._turn < self._own.interval:
            self._slack = min(self._slack * 2, self._own.interval / 2)
        self._turn = None

    async def _reserve(self) -> None:
        pauses = self._pauses
        try:
            wait = await self._peers.reserve()
        finally:
            self._asking = None
        now = self._timers.time()
        if wait is None:
            self._part()
        elif pauses != self._pauses:
            pass  # it may have been reserved before the pause: another one is asked for
        elif now + wait < self._own.due() - self._slack:
            self._rest_until(self._own.due())  # the store has forgotten what was had
            return
        else:
            self._turn, self._round = now + wait, wait
            self._next = self._turn + self._own.interval
        self._changed()

    def _part(self) -> None:
        """From here on alone: as if others had just had their turns, and this one somewhere among them."""
        size = max(1, self._peers.expected_size)
        self._share = LocalPace(self._rate / size, 1)
        others = (size - 1) * self._own.interval
        now = self._timers.time()
        self._share.pause(max(now, self._own.due()) + self._own.interval + self._chance.random() * others)

    def _rejoin(self) -> None:
        if self._share is not None:
            self._share = None
            self._rest_until(self._timers.time() + self._chance.random() * self._own.interval)

    def _rest_until(self, when: float) -> None:
        if self._resting is not None:
            self._resting.cancel()
        self._resting = self._timers.call_at(when, self._go_on)

    def _go_on(self) -> None:
        self._resting = None
        self._changed()

    def _hear_pause(self, _key: str, payload: bytes, age: float) -> None:
        try:
            left = float(payload) - age
        except ValueError:
            return
        if left > 0:
            self._paused(left)
