"""The slots of the upstream room: how many round trips are under way, and how many may wait for one.

The gateway keeps its own slots in front of the engine, so that nothing ever queues inside an engine's pool:
httpcore loses a pool slot for good when a request is cancelled while it waits there (httpcore issue 1093).
Whoever gives a slot back hands it to the one who waits longest; so none is free while somebody waits, and
one that was handed to a request that has just been cancelled goes on to the next.
"""

import asyncio
import math
from collections import OrderedDict

from gateway import failures

_AGAIN_AFTER = 1
"""Seconds of `Retry-After`: slots come free many times a second."""


class Slots:
    """`count` slots; at most `max_queued` requests wait for one, each at most `wait` seconds."""

    def __init__(
        self, count: int, *, max_queued: int, wait: float, what: str = "Every upstream connection"
    ) -> None:
        """`what` says of what all are taken, where none is left."""
        self._what = what
        self._free = count
        self._spare = count
        self._max_queued = max_queued
        self._wait = wait
        self._queue: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def full(self) -> bool:
        """Whether a request that came now would be refused."""
        return self._free == 0 and len(self._queue) >= self._max_queued

    def check(self) -> None:
        """Raise Overloaded where a request that came now would be refused; `take` alone decides."""
        if not self._free and self.full:
            raise failures.Overloaded(
                f"{self._what} is in use, and no more requests may wait for one "
                "(upstream.max_connections, upstream.max_queued).",
                retry_after=_AGAIN_AFTER,
            )

    def take_free(self) -> bool:
        """Take a slot, where one is free."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def take(self, longest: float = math.inf) -> None:
        """Take a slot, in the order of arrival. Raises Overloaded: at once, or after `wait` seconds.

        A request that has less time waits at most `longest` seconds.
        """
        if self.take_free():
            return
        self.check()
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._queue[turn] = None
        timer = loop.call_later(min(self._wait, longest), self._turn_away, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._hand_on()
            raise
        finally:
            timer.cancel()
            self._queue.pop(turn, None)

    def give_back(self, leftover: "asyncio.Future[None] | None" = None) -> None:
        """Free the slot of a request that is over, or that was given up and left `leftover` running.

        Requests that run on by themselves are no reason to refuse others, up to as many as there are slots;
        beyond that each keeps its slot to its end, so that connections are at most twice the slots.
        """
        if leftover is None:
            self._hand_on()
        elif self._spare > 0:
            self._spare -= 1
            self._hand_on()
            leftover.add_done_callback(self._spare_again)
        else:
            leftover.add_done_callback(lambda _: self._hand_on())

    def _hand_on(self) -> None:
        while self._queue:
            turn, _ = self._queue.popitem(last=False)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _spare_again(self, _: "asyncio.Future[None]") -> None:
        self._spare += 1

    def _turn_away(self, turn: "asyncio.Future[None]") -> None:
        if not turn.done():
            self._queue.pop(turn, None)
            turn.set_exception(
                failures.Overloaded(
                    f"{self._what} is in use (upstream.max_connections).",
                    retry_after=_AGAIN_AFTER,
                )
            )
