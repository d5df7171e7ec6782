"""Job ends, each told by one gateway of the fleet, whichever saw it.

Who sees an end claims it, and tells it where the claim is won. Who hears of one from another gateway leaves
it to that one, and claims it some seconds later unless it was told: so no end is lost with a gateway.
"""

import asyncio
import contextvars
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gateway.jobs.model import FinishedJob
from gateway.jobs.pace import TimerHandle, Timers
from gateway.jobs.peers import Peers

MOST: Final = 10_000
"""Ends that wait to be claimed; of more the oldest are told at once, perhaps by others too."""
_LEFT_TO_OTHERS: Final = (5.0, 8.0)
"""Seconds, some by chance between them, after which an end that another gateway saw is claimed here."""
_AGAIN: Final = (1.0, 3.0)
"""Seconds after which a claim that could not be made is tried again."""

_Key = tuple[str, str, int | None]


@dataclass(slots=True)
class _End:
    job: FinishedJob
    due: float
    heard: bool
    """Another gateway said so."""


class Ends:
    """Ends that wait until it is known who tells them.

    `tell` is called for those that are this gateway's, `counted` for all once they have been told, and
    `is_told` looks whether another gateway has said so meanwhile.
    """

    def __init__(
        self,
        peers: Peers,
        *,
        tell: Callable[[FinishedJob], None],
        counted: Callable[[FinishedJob], None],
        is_told: Callable[[FinishedJob], bool],
        timers: Timers,
        chance: random.Random,
    ) -> None:
        self._peers = peers
        self._tell = tell
        self._counted = counted
        self._is_told = is_told
        self._timers = timers
        self._chance = chance
        self._open: dict[_Key, _End] = {}
        self._closed = False
        self._timer: TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        peers.on_return(self._claim_soon)

    def came(self, job: FinishedJob, *, heard: bool) -> None:
        """A job has ended; `heard`: another gateway said so, and claims it itself.

        After `aclose` it is left to the others.
        """
        key = _key(job)
        if self._closed or key in self._open:
            return
        wait = self._chance.uniform(*_LEFT_TO_OTHERS) if heard else 0.0
        self._open[key] = _End(job, self._timers.time() + wait, heard)
        if len(self._open) > MOST:
            self._settle(next(iter(self._open)), ours=True)
        self._look()

    async def aclose(self) -> None:
        """Claim what was seen here once more, and leave the rest to others; nothing is claimed any more.

        What was seen here and cannot be claimed, as the store is away, is told: perhaps by another gateway
        too, which is better than by nobody.
        """
        self._closed = True
        await self._stop()
        is_reached = True
        for key, end in list(self._open.items()):
            if end.heard and end.due > self._timers.time():
                continue
            is_reached = is_reached and await self._claim(key, end)
            if not is_reached and not end.heard and not self._is_told(end.job):
                self._settle(key, ours=True)
        self._open.clear()

    def _claim_soon(self) -> None:
        """The others can be reached again: not all gateways at the same moment."""
        now = self._timers.time()
        for end in self._open.values():
            end.due = min(end.due, now + self._chance.random())
        self._look()

    def _look(self) -> None:
        """Claim what is due, or set a timer for when something is."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None or not self._open:
            return
        due = min(end.due for end in self._open.values())
        if due <= self._timers.time():
            context = contextvars.Context()  # what is told belongs to no request
            self._task = asyncio.get_running_loop().create_task(self._claim_all_due(), context=context)
        else:
            self._timer = self._timers.call_at(due, self._look)

    async def _claim_all_due(self) -> None:
        try:
            for key, end in list(self._open.items()):
                if end.due <= self._timers.time() and not await self._claim(key, end):
                    break
        finally:
            self._task = None
        again = self._timers.time() + self._chance.uniform(*_AGAIN)
        for end in self._open.values():
            end.due = max(end.due, again) if end.due <= self._timers.time() else end.due
        self._look()

    async def _claim(self, key: _Key, end: _End) -> bool:
        """Whether it is known now who tells it."""
        if self._is_told(end.job):
            self._open.pop(key, None)
            return True
        ours = await self._peers.claim("finish:" + "/".join(map(str, key)))
        if ours is not None:
            self._settle(key, ours=ours)
        return ours is not None

    def _settle(self, key: _Key, *, ours: bool) -> None:
        end = self._open.pop(key, None)
        if end is None:
            return
        if ours:
            self._tell(end.job)
        self._counted(end.job)

    async def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))


def _key(job: FinishedJob) -> _Key:
    return job.kind, job.id, job.created
