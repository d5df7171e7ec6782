"""One connection to the store: commands go out in order, and each reply belongs to the oldest that has none.

Nobody's departure leaves a reply to somebody else: who stops waiting leaves its place in the order, and a
connection on which a reply is late is given up whole, with all that wait.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from redis.exceptions import ResponseError

_SLICES: Final = 4
"""Parts of the budget that have to pass while the loop runs: a loop that stood still was not the store."""

LATE: Final = "no answer in time"

Word = str | bytes | int


class TimerHandle(Protocol):
    """What `Timers.call_at` returns."""

    def cancel(self) -> None:
        """Never call back."""


class Timers(Protocol):
    """A monotonic clock in seconds, and callbacks in its future; an event loop is one."""

    def time(self) -> float:
        """Now."""

    def call_at(self, when: float, callback: Callable[..., object], /, *args: Any) -> TimerHandle:
        """Call back at `when`, or a little later."""


class Connection(Protocol):
    """What is used of redis-py's connections."""

    async def connect(self) -> None:
        """Open it, and show who asks."""

    def pack_command(self, *words: Word) -> list[bytes]:
        """The command as it is sent."""

    async def send_packed_command(self, command: Iterable[bytes], check_health: bool = True) -> None:
        """Send what was packed."""

    async def read_response(
        self,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - redis-py's own
        disconnect_on_error: bool = True,
    ) -> Any:
        """The next reply; raises ResponseError for one that tells an error."""

    async def disconnect(self, nowait: bool = False) -> None:
        """Close it."""


class Lost(Exception):
    """The store cannot be used any more on this connection; the text says why, without secrets."""


@dataclass(frozen=True, slots=True)
class _Asked:
    reply: "asyncio.Future[Any]"
    tick: int


class Wire:
    """A connection that is open. `lost` is told once, when it is of no use any more."""

    def __init__(
        self, connection: Connection, *, timers: Timers, budget: float, lost: Callable[[Exception], None]
    ) -> None:
        self._connection = connection
        self._timers = timers
        self._slice = budget / (_SLICES + 1)
        self._lost = lost
        self._outbox: list[bytes] = []
        self._asked: deque[_Asked] = deque()
        self._something = asyncio.Event()
        self._tick = 0
        self._timer: TimerHandle | None = None
        self._ended: Exception | None = None
        self._tasks = [asyncio.ensure_future(self._keep(verb)) for verb in (self._send, self._receive)]

    def ask(self, *words: Word) -> "asyncio.Future[Any]":
        """Send a command; the future gets its reply, or ResponseError, or Lost."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._ended is not None:
            reply.set_exception(self._ended)
            return reply
        self._asked.append(_Asked(reply, self._tick))
        self._outbox.extend(self._connection.pack_command(*words))
        self._something.set()
        if self._timer is None:
            self._timer = self._timers.call_at(self._timers.time() + self._slice, self._watch)
        return reply

    def end(self, error: Exception) -> None:
        """All who wait are told; nothing more is sent or read."""
        if self._ended is not None:
            return
        # Those who wait know Lost only; what it was is told once.
        gone = self._ended = error if isinstance(error, Lost) else Lost("the connection was lost")
        if self._timer is not None:
            self._timer.cancel()
        for task in self._tasks:
            task.cancel()
        while self._asked:
            _tell(self._asked.popleft().reply, gone)
        self._lost(error)

    async def aclose(self) -> None:
        """Close the connection."""
        self.end(Lost("closed"))
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            # One that cannot be closed is gone as well.
            with contextlib.suppress(Exception):
                await self._connection.disconnect(nowait=True)

    async def _keep(self, verb: Callable[[], Any]) -> None:
        try:
            await verb()
        except Exception as error:  # noqa: BLE001 - whatever it was, the order of replies is no longer known
            self.end(error)

    async def _send(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            pieces, self._outbox = self._outbox, []
            await self._connection.send_packed_command(pieces, check_health=False)

    async def _receive(self) -> None:
        while True:
            try:
                # Not disconnected here: a connection that is not open opens itself when something is sent.
                reply = await self._connection.read_response(timeout=float("inf"), disconnect_on_error=False)
            except ResponseError as error:
                if not self._asked:
                    raise
                _tell(self._asked.popleft().reply, error)
                continue
            if not self._asked:
                raise Lost("the store sent what nobody asked for")
            waiting = self._asked.popleft().reply
            if not waiting.done():
                waiting.set_result(reply)

    def _watch(self) -> None:
        """Time passes in ticks: the oldest that waits may see only so many."""
        self._tick += 1
        self._timer = None
        if not self._asked:
            return
        if self._tick - self._asked[0].tick > _SLICES:
            self.end(Lost(LATE))
            return
        self._timer = self._timers.call_at(self._timers.time() + self._slice, self._watch)


def _tell(waiting: "asyncio.Future[Any]", error: Exception) -> None:
    if not waiting.done():
        waiting.set_exception(error)
        # Who left without looking at it is not worth a line in the log.
        waiting.exception()
