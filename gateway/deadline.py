"""Await with a deadline that costs nothing where there is nothing to wait for."""

import asyncio
import types
from collections.abc import Awaitable, Generator
from functools import partial
from typing import Any, TypeVar

Result = TypeVar("Result")


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
    async with asyncio.timeout(seconds):
        return await _rest(steps, waiting)


@types.coroutine
def _rest(steps: Generator[Any, Any, Result], waiting: Any) -> Generator[Any, Any, Result]:
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
