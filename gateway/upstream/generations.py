"""How long connections to the upstream are used: for a while, or a change of DNS would never be seen.

An engine's client keeps its connections for as long as they are busy, and has no age for them. So the client
itself, which is the pool, gets a successor. Dropping the last reference to the old one is what closes it:
its idle connections at once, and each of the others when what it carries has come to its end.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from gateway import failures

Client = TypeVar("Client")

_JITTER = 0.1
"""Share of the age by which it may be shorter, so that gateways started together do not connect together."""
_log = logging.getLogger("gateway.upstream")


class Timers(Protocol):
    """What of an event loop is needed: its clock and its timers."""

    def time(self) -> float:
        """Seconds on the clock of `call_at`."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Any:
        """Call once, and give something that has `cancel`."""


def shortened(age: float, chance: float) -> float:
    """The age, less up to a tenth of it, as `chance` (0 to 1) has it."""
    return age * (1 - _JITTER * chance)


class Generations(Generic[Client]):
    """The client in use, and after `age` seconds (less up to 10 %) of use the next one.

    `build` makes a client; it may block, and is called in a thread, but for the first. Where it fails the
    client in use stays for another age.
    """

    def __init__(
        self,
        build: Callable[[], Client],
        *,
        age: float,
        timers: Timers | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._build = build
        self._age = age
        self._timers = timers
        self._chance = chance
        self._client = build()
        self.number = 0
        """Which client is in use. Whoever remembers the client itself keeps its connections open."""
        self.used = False
        """Whether the client in use has had an answer, and so may keep a connection."""
        self.retired = False
        """Whether nobody may use it any more, and so `settled` is to be waited for."""
        self._due: Any = None
        self._renewing: asyncio.Task[None] | None = None

    def current(self) -> Client:
        """The client for the next request; its age counts from the first one."""
        if self._due is None:
            timers = self._timers or asyncio.get_running_loop()
            age = shortened(self._age, self._chance())
            self._due = timers.call_at(timers.time() + age, self._begin)
        return self._client

    def note_used(self, number: int) -> None:
        """The client of that number has had an answer."""
        if number == self.number:
            self.used = True

    def retire(self, number: int) -> None:
        """Let no further request use that client: what one of its connections carries is in doubt."""
        if number == self.number:
            self.retired = True

    async def settled(self) -> None:
        """Wait for the successor of a client that was retired. Raises UpstreamUnreachable without one."""
        if not self.retired:
            return
        await asyncio.shield(self._begin())
        if self.retired:
            raise failures.UpstreamUnreachable("No connection can be made ready.", retry_after=1)

    def _begin(self) -> asyncio.Task[None]:
        if self._due is not None:
            self._due.cancel()
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.get_running_loop().create_task(self._renew())
        return self._renewing

    async def _renew(self) -> None:
        try:
            self._client = await asyncio.to_thread(self._build)
            self.number += 1
            self.used = self.retired = False
        except Exception as error:  # noqa: BLE001 - such as a CA file that is just being replaced
            _log.warning("upstream client not renewed", extra={"reason": str(error)})
        finally:
            # Armed again by the next request: without any there is nothing to renew.
            self._due = None

    async def aclose(self) -> Client:
        """Renew no more; the client in use is the caller's to close, and no request can follow."""
        if self._due is not None:
            self._due.cancel()
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait((self._renewing,))
        client = self._client
        # A traceback of a failed request may keep the engine, and would keep the connections open with it.
        del self._client
        return client
