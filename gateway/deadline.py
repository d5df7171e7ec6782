"""Await with a deadline that costs nothing where there is nothing to wait for, and little where there is."""

import asyncio
import math
import types
from collections.abc import Awaitable, Generator
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

Result = TypeVar("Result")

_EARLY = 0.001
"""Seconds by which a timer of uvloop may be early: it counts milliseconds."""


class _Watch:
    """The alarms of one loop, behind one timer that rings for the earliest of them.

    A timer for each, made and taken back, costs 3,000 of the 760,000 instructions of a request. This one is
    left as it is when an alarm goes: it rings in vain once in the seconds that alarms are set to.
    """

    __slots__ = ("_timer", "alarms", "loop", "rings")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._timer: asyncio.TimerHandle | None = None
        self.alarms: dict[Alarm, float] = {}
        """Those that are set, and the loop's times for which they are."""
        self.rings = math.inf
        """When the timer rings."""

    def ring_at(self, at: float) -> None:
        """Have the timer ring then, which is earlier than it would have."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self.rings = self.loop.call_at(at, self._ring), at

    def _ring(self) -> None:
        self._timer, self.rings = None, math.inf
        now = self.loop.time() + _EARLY
        for alarm in [alarm for alarm, at in self.alarms.items() if at <= now]:
            del self.alarms[alarm]
            alarm.ring()
        if self.alarms:
            self.ring_at(min(self.alarms.values()))


_watches: dict[asyncio.AbstractEventLoop, _Watch] = {}
"""One for each loop that is open: a gateway has one."""


def _watch_of(loop: asyncio.AbstractEventLoop) -> _Watch:
    for known in list(_watches):
        if known.is_closed():
            _watches.pop(known, None)
    return _watches.setdefault(loop, _Watch(loop))


class Alarm:
    """A context manager for a task: TimeoutError in it once `seconds` have passed, as `asyncio.timeout`.

    That one is written for deadlines that are asked for and moved from many places, and takes three times
    as long: 230 of the 10,450 bytecodes of a request.
    """

    __slots__ = ("_before", "_task", "_watch")

    def __init__(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        task: asyncio.Task[Any] | None = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("an alarm rings for a task")
        self._task = task
        self._before = task.cancelling()
        self._watch = watch = _watches.get(loop) or _watch_of(loop)
        watch.alarms[self] = at = loop.time() + seconds
        if at < watch.rings:
            watch.ring_at(at)

    def move(self, seconds: float) -> None:
        """Ring in `seconds` instead; one that has rung stays so."""
        watch = self._watch
        if self in watch.alarms:
            watch.alarms[self] = at = watch.loop.time() + seconds
            if at < watch.rings:
                watch.ring_at(at)

    def ring(self) -> None:
        """The time is over."""
        self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._watch.alarms.pop(self, None) is not None:
            return
        # It has rung. A cancellation that came from elsewhere as well is not to be taken for a deadline.
        if self._task.uncancel() <= self._before and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error


async def within(seconds: float, call: Awaitable[Result]) -> Result:
    """The result of `call`; raises TimeoutError after `seconds`.

    Most pieces of a body are sent or read without waiting. Arming a timer for each costs more than the rest
    of handing it over (5 % of a request's instructions), so it is armed only once the call has to wait.
    """
    steps = call.__await__()
    try:
        waiting = steps.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    with Alarm(seconds):
        return await rest_of(steps, waiting)


@types.coroutine
def rest_of(steps: Generator[Any, Any, Result], waiting: Any) -> Generator[Any, Any, Result]:
    """Go on with a coroutine that has taken its first step and waits for `waiting`."""
    while True:
        try:
            sent = yield waiting
        except BaseException as error:  # noqa: BLE001 - a cancellation is the coroutine's to handle
            step = partial(steps.throw, error)
        else:
            step = partial(steps.send, sent)
        try:
            waiting = step()
        except StopIteration as done:
            result: Result = done.value
            return result
