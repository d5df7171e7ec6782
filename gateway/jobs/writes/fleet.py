"""Writes of the whole fleet: one gateway at a time is at a write, and what it learns the others know."""

import asyncio
import contextvars
import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from gateway.jobs.pace import Timers
from gateway.jobs.peers import Peers
from gateway.jobs.rest import Rest

SPACE: Final = "writes"
LEASE: Final = 6.0
"""Seconds after its last renewal for which a gateway counts as being at a write."""
_RENEW: Final = 2.0
_TRY: Final = (0.1, 0.3)
"""Seconds, some by chance between them, after which one that waits for another gateway tries again."""


class FleetWrites:
    """The writes that this gateway is at, by digest; while the others are away each gateway decides alone.

    `keep` is for how long what is known of a write is kept, in seconds.
    """

    def __init__(self, peers: Peers, *, keep: float, timers: Timers, chance: random.Random) -> None:
        self._peers = peers
        self._keep = keep
        self._timers = timers
        self._chance = chance
        self._holding: dict[str, asyncio.Task[None]] = {}
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._meeting: asyncio.Task[None] | None = None

    def listen(
        self, hear: Callable[[str, bytes], None], meet: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        """Call `hear` with digest and record as others learn of writes, nothing for one that is void.

        `meet` is run each time that the store may have lost what it was told, and this gateway what others
        told.
        """
        self._peers.listen(SPACE, lambda digest, value, _age: hear(digest, value))
        self._peers.on_return(lambda: self._meet(meet))

    async def load(self) -> Mapping[str, bytes] | None:
        """All that the fleet knows, nothing for a write that is void; None while the others are away."""
        return await self._peers.load(SPACE)

    def put(self, digest: str, value: bytes) -> None:
        """Let the others know."""
        self._peers.put(SPACE, digest, value, self._keep)

    def void(self, digest: str) -> None:
        """Nobody knows anything of the write any more, who is away now neither: so that is kept as well."""
        self._peers.put(SPACE, digest, b"", self._keep)

    async def settled(self) -> bool:
        """Whether the others can know what was put."""
        return await self._peers.settled()

    async def take(self, digest: str) -> bytes | None:
        """Return once no other gateway is at the write, with what the fleet knows of it: b"" for void."""
        leaving = self._leaving.pop(digest, None)
        if leaving is not None:
            leaving.cancel()
        if digest not in self._holding:
            try:
                while await self._peers.hold(_lock(digest), LEASE) is False:
                    await Rest(self._timers).sleep(self._chance.uniform(*_TRY))
            except BaseException:
                # What was asked for last may have been given.
                self._peers.drop(_lock(digest))
                raise
            self._holding[digest] = _task(self._renew(digest))
        return await self._peers.get(SPACE, digest)

    def leave(self, digest: str) -> None:
        """Nobody here is at the write any more: others may be, once what is known of it is in the store."""
        if digest in self._holding and digest not in self._leaving:
            self._leaving[digest] = _task(self._leave(digest))

    async def aclose(self) -> None:
        """Give all of them back."""
        tasks = [*self._leaving.values(), *self._holding.values()]
        if self._meeting is not None:
            tasks.append(self._meeting)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for digest in self._holding:
            self._peers.drop(_lock(digest))
        self._holding.clear()
        self._leaving.clear()

    def _meet(self, meet: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._meeting is not None:
            self._meeting.cancel()
        self._meeting = _task(meet())

    async def _renew(self, digest: str) -> None:
        while True:
            await Rest(self._timers).sleep(_RENEW)
            await self._peers.hold(_lock(digest), LEASE)

    async def _leave(self, digest: str) -> None:
        await self._peers.settled()
        del self._leaving[digest]
        self._holding.pop(digest).cancel()
        self._peers.drop(_lock(digest))


def _lock(digest: str) -> str:
    return f"write:{digest}"


def _task(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """In a context of its own: it outlives the request that begins it."""
    return asyncio.get_running_loop().create_task(coroutine, context=contextvars.Context())
