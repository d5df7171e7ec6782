"""A read that several gateways want: one of them asks the upstream, the others wait for what it tells."""

import asyncio
import contextvars
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from gateway.jobs.pace import Timers
from gateway.jobs.peers import Peers
from gateway.jobs.rest import Rest

if TYPE_CHECKING:
    from gateway.jobs.reads.flight import Flight

LEASE: Final = 2.0
"""Seconds for which a gateway that leads may be silent: then it counts as gone."""
_RENEW: Final = 0.7
"""Seconds after which who leads says that it does still."""
_AGAIN: Final = (0.8, 1.2)
"""Seconds, one by chance between them, after which who waits and has heard nothing looks again."""

_log = logging.getLogger("gateway.jobs")


class Question:
    """The flights of this gateway that wait for one answer, and whether it is this gateway's to get it.

    `hear` is given an answer that the fleet has, `want` called for each flight that waits for others.
    """

    def __init__(
        self,
        name: str,
        peers: Peers,
        *,
        timers: Timers,
        chance: random.Random,
        hear: Callable[[bytes, float], None],
        want: Callable[["Flight"], None],
    ) -> None:
        self.name = name
        self._peers = peers
        self._chance = chance
        self._hear = hear
        self._want = want
        self._leads = False
        self._follows = False
        # A look is under way, after which this gateway may lead.
        self._looks = False
        self._flights: dict[Flight, Callable[[], None]] = {}
        self._rest = Rest(timers)
        self._telling: asyncio.Task[None] | None = None
        self._task = asyncio.get_running_loop().create_task(self._pursue(), context=contextvars.Context())

    def join(self, flight: "Flight", lead: Callable[[], None]) -> None:
        """A flight that waits for the answer; `lead` is called once it is this gateway's to get it."""
        self._flights[flight] = lead
        if self._leads:
            lead()
        elif self._follows:
            self._want(flight)

    def leave(self, flight: "Flight") -> bool:
        """Whether it was the last; a lead that has come to no answer is given back."""
        del self._flights[flight]
        if self._flights:
            return False
        self._task.cancel()
        if self._leads or self._looks:
            if self._telling is None or self._telling.done():
                self._peers.release(self.name)
            else:  # what is told serves some of those who would look again
                self._telling.add_done_callback(lambda _: self._peers.release(self.name))
        return True

    def told(self, telling: "asyncio.Task[None]", *, ends: bool) -> None:
        """An answer for flights of this question is being told; with `ends` it is the question's own."""
        self._telling = telling
        if ends:
            self._leads = self._looks = False
            self._task.cancel()

    def look_again(self) -> None:
        """Others may have given up, or told something that did not arrive here."""
        self._rest.wake()

    async def _pursue(self) -> None:
        try:
            await self._look_on()
        except Exception:  # noqa: BLE001 - whatever it was, there are callers who wait
            _log.exception("a read goes on without the fleet")
            self._lead()

    async def _look_on(self) -> None:
        while True:
            self._looks = True
            look = await self._peers.look(self.name, LEASE)
            self._looks = False
            if look is None or look.leads:
                self._lead()
            elif look.answer is not None:
                self._hear(look.answer, look.age)
                if any(flight.is_called is False for flight in self._flights):
                    self._lead()  # it is of no use to some of them, for as long as it is kept
            elif not self._leads:
                self._follows = True
                for flight in list(self._flights):
                    self._want(flight)
            await self._rest.sleep(_RENEW if self._leads else self._chance.uniform(*_AGAIN))

    def _lead(self) -> None:
        if not self._leads:
            self._leads = True
            for lead in list(self._flights.values()):
                lead()
