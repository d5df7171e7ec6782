"""Who follows unfinished jobs: one gateway of the fleet at a time.

The duty is a lock that its holder renews; one that has gone is replaced once its lease is over. Two on duty
for a moment do no harm: they read more than needed, and each end is still told once. While the others are
away each gateway follows by itself, at its share of the rate.
"""

import asyncio
import contextvars
import random
from collections.abc import Callable
from typing import Final

from gateway.jobs.pace import Timers
from gateway.jobs.peers import Peers
from gateway.jobs.rest import Rest

NAME: Final = "watch"
LEASE: Final = 6.0
"""Seconds after its last renewal for which a holder counts as there."""
_RENEW: Final = 2.0
_TRY: Final = (1.5, 2.0)
"""Seconds, some by chance between them, after which one that is not on duty tries."""


class Duty:
    """Whether this gateway is the one that follows jobs; `changed` is called when that begins or ends."""

    def __init__(
        self, peers: Peers, *, timers: Timers, chance: random.Random, changed: Callable[[], None]
    ) -> None:
        self.on = False
        self._peers = peers
        self._rest = Rest(timers)
        self._chance = chance
        self._changed = changed
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask for it."""
        if self._task is None:
            context = contextvars.Context()
            self._task = asyncio.get_running_loop().create_task(self._serve(), context=context)

    async def aclose(self) -> None:
        """Hand it over."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        if self.on and not self._peers.away:
            self._peers.drop(NAME)
        self.on = False

    async def _serve(self) -> None:
        while True:
            held = await self._peers.hold(NAME, LEASE)
            was, self.on = self.on, held is not False
            if self.on != was:
                self._changed()
            await self._rest.sleep(_RENEW if held else self._chance.uniform(*_TRY))
