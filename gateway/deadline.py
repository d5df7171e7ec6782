"""Await with a deadline that costs nothing where there is nothing to wait for, and little where there is."""

import asyncio
import types
from collections.abc import Awaitable, Generator
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

Result = TypeVar("Result")


class Alarm:
    """A context manager for a task: TimeoutError in it once `seconds` have passed, as `asyncio.timeout`.

    That one is written for deadlines that are asked for and moved from many places, and takes three times
    as long: 230 of the 10,450 bytecodes of a request.
    """

    __slots__ = ("_before", "_handle", "_task")

    def __init__(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        task: asyncio.Task[Any] | None = asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("an alarm rings for a task")
        self._task = task
        self._before = task.cancelling()
        self._handle: asyncio.TimerHandle | None = loop.call_later(seconds, self._ring)
        """None once it has rung."""

    def move(self, seconds: float) -> None:
        """Ring in `seconds` instead; one that has rung stays so."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = asyncio.get_running_loop().call_later(seconds, self._ring)

    def _ring(self) -> None:
        self._handle = None
        self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.cancel()
        # A cancellation that came from elsewhere as well is not to be taken for a deadline.
        elif self._task.uncancel() <= self._before and isinstance(error, asyncio.CancelledError):
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
