"""The connections of the asyncio engine that carry nothing at the moment, each for a while only.

A connection is used for `age` seconds (less up to 10 %), or a change of DNS would never be seen, and kept
unused for `idle`. The one that was used last goes first, so that those which are not needed grow old.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

from gateway.upstream.connection import Connection
from gateway.upstream.generations import Timers, shortened

_LAST_WORDS = 1.0
"""Seconds that connections have to close politely at the end."""


class Pool:
    """Every connection that is open, and which of them are free."""

    def __init__(
        self,
        *,
        idle: float,
        age: float,
        timers: Timers | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._idle = idle
        self._age = age
        # Asked for the running loop, asyncio asks the kernel for the process's id each time.
        self._timers = timers or asyncio.get_running_loop()
        self._chance = chance
        self._open: set[Connection] = set()
        self._free: dict[Connection, None] = {}
        """In the order in which they became free."""
        self._sweep: Any = None
        self._is_closed = False
        self._gone: asyncio.Future[None] | None = None
        """Done once none is open any more."""

    def new(self) -> Connection:
        """The connection to be made next; it counts as open once `opened` was told so."""
        return Connection(self._timers.time() + shortened(self._age, self._chance()), self)

    def opened(self, connection: Connection) -> None:
        """Keep sight of it to its end; after the pool's own end there is none."""
        self._open.add(connection)
        if self._is_closed:
            connection.abort()

    def take(self) -> Connection | None:
        """A free connection, the newest; None where there is none that may be used."""
        while self._free:
            connection, _ = self._free.popitem()
            if connection.closed:
                continue
            if connection.expires > self._timers.time():
                return connection
            connection.close()
        return None

    def give_back(self, connection: Connection) -> None:
        """Let the next request have it."""
        connection.idle_since = now = self._timers.time()
        self._free[connection] = None
        if self._sweep is None:
            self._sweep = self._timers.call_at(now + self._idle, self._close_unused)

    def _close_unused(self) -> None:
        self._sweep, now = None, self._timers.time()
        for connection in tuple(self._free):
            over = min(connection.idle_since + self._idle, connection.expires)
            if over > now:
                # One timer for all: it is not made and cancelled for each request.
                self._sweep = self._timers.call_at(over, self._close_unused)
                return
            del self._free[connection]
            connection.close()

    def forget(self, connection: Connection) -> None:
        """It has ended."""
        self._open.discard(connection)
        self._free.pop(connection, None)
        if self._gone is not None and not self._open and not self._gone.done():
            self._gone.set_result(None)

    async def aclose(self) -> None:
        """Close every connection: politely, and at once what has not heard of it in time."""
        self._is_closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        free, self._free = self._free, {}
        for connection in self._open.difference(free):
            connection.abort()
        for connection in free:
            connection.close()
        if self._open:
            self._gone = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._gone,), timeout=_LAST_WORDS)
        for connection in tuple(self._open):
            connection.abort()
