"""Whether the store can be used: away and back.

One failure of any kind, and the store is away for every call at once: none waits to find it out again. A
background task looks for it with growing, jittered pauses. What it opens is new from the ground up, and has
taken a write within the budget, so that neither a replica nor a slow store passes.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from gateway.fleet.calls import Call, Calls, FleetTold, Life
from gateway.fleet.clock import StoreClock
from gateway.fleet.keys import Keys
from gateway.fleet.opening import Opened, Opening
from gateway.fleet.places import Chance
from gateway.fleet.reasons import LOST_DATA, reason_of
from gateway.fleet.wire import Lost

_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 5.0
_STEADY: Final = 10.0
"""Seconds after which a store that was found counts as steady: pauses begin anew."""
_BEAT: Final = 2.5
"""Seconds, at most, between two looks at a store that nobody may be asking."""
_GATHERING: Final = _LONGEST_PAUSE + 1.0
"""Seconds for which data that are new after a loss are not used: each gateway puts its claims back.

Longer than anybody pauses before it looks for the store."""


class Link:
    """The way to the store, from one thread (the event loop)."""

    def __init__(
        self,
        opening: Opening,
        keys: Keys,
        clock: StoreClock,
        *,
        chance: Chance,
        log: logging.Logger,
        told: FleetTold,
        now: Callable[[], int] | None = None,
    ) -> None:
        """`now` stands in for the store's clock, in microseconds."""
        self._opening = opening
        self._clock = clock
        self._timers = opening.timers
        self._chance = chance
        self._log = log
        self._told = told
        self.calls = Calls(keys, timers=self._timers, told=told, refused=self._lose, now=now)
        self._opened: Opened | None = None
        self._generation = 0
        self._life = ""
        self._failed = asyncio.Event()
        self.tried = asyncio.Event()
        """Set once the store was looked for, with or without success."""
        self.reason: str | None = ""
        """Why the store is away, empty before it was looked for; None while it is not away."""
        self.away_since = self._timers.time()
        self.before_return: list[Callable[[Call, bool], Awaitable[None]]] = []
        """Awaited before the store counts as back: how to call it, and whether it has lost its data."""
        self.on_return: list[Callable[[], None]] = []

    @property
    def away(self) -> bool:
        """Whether calls fail at once."""
        return self.calls.wire is None

    async def run(self) -> None:
        """Look for the store, stay with it, look for it again; until cancelled."""
        pauses = -1
        try:
            while True:
                began = self._timers.time()
                await self._try()
                self.tried.set()
                await self._stay()
                pauses = 0 if self._timers.time() - began >= _STEADY else min(pauses + 1, 10)
                pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2**pauses)
                await asyncio.sleep(self._chance.uniform(pause / 2, pause))
        finally:
            # What ends now ends because it should.
            self._generation += 1
            await self._close()

    async def _try(self) -> None:
        self._generation += 1
        self._failed.clear()
        try:
            self._opened = await self._opening.open(partial(self._lost, self._generation))
            await self._settle_in(self._opened)
        except Exception as error:  # noqa: BLE001 - no failure may end the looking
            self._lose(error)

    async def _settle_in(self, opened: Opened) -> None:
        life = await self._begin(opened)
        lost_data = self._life not in {"", life.name}
        self.calls.life = life.name
        for prepare in self.before_return:
            await prepare(self.calls.on(opened.wire), lost_data)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GATHERING - life.age if lost_data else 0):
                await self._failed.wait()
        if self._failed.is_set():
            # It has told why.
            raise Lost(self.reason or LOST_DATA)
        # Not before: until then every attempt has to make up for the loss.
        self._life = life.name
        away = round(self._timers.time() - self.away_since, 3)
        self.calls.wire, self.reason = opened.wire, None
        self._log.info("the fleet's store is in use", extra={"away_s": away})
        self._told.up(True)
        for call in self.on_return:
            self._safely(call)

    async def _begin(self, opened: Opened) -> Life:
        asked_at = self._timers.time()
        life = await self.calls.begin(opened.wire)
        self._clock.set(asked_at, life.now)
        return life

    async def _stay(self) -> None:
        """Until the store is lost; then what was open is closed."""
        while not self._failed.is_set() and self._opened is not None:
            try:
                async with asyncio.timeout(_BEAT * self._chance.uniform(0.8, 1.0)):
                    await self._failed.wait()
            except TimeoutError:
                await self._beat(self._opened)
        await self._close()

    async def _beat(self, opened: Opened) -> None:
        try:
            life = await self._begin(opened)
            await opened.hearing.check()
        except Exception as error:  # noqa: BLE001 - whatever it was, the store is of no use
            self._lose(error)
        else:
            if self.calls.life != life.name:
                self._lose(Lost(LOST_DATA))

    async def _close(self) -> None:
        self.calls.wire = None
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.aclose()

    def _lost(self, generation: int, error: Exception) -> None:
        if generation == self._generation:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        """Away, at once and for all."""
        self._failed.set()
        self.calls.wire = None
        reason = reason_of(error)
        if self.reason is None:
            self.away_since = self._timers.time()
        if not self.reason:
            self._log.warning("the fleet's store cannot be used", extra={"reason": reason})
            self._told.up(False)
        self.reason = reason
        if self._opened is not None:
            self._opened.wire.end(Lost(reason))

    def _safely(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:  # noqa: BLE001 - the store is back whatever its users make of it
            self._log.exception("what follows the return of the fleet's store failed")
