"""A coroutine that outlives the cancellation of whoever awaits it."""

import asyncio
from collections.abc import Coroutine, Generator
from contextlib import suppress
from typing import Any

import pytest

from gateway.upstream.opening import going_on


class Steps(Coroutine[Any, Any, str]):
    """What a library in Rust gives for a coroutine.

    Each step looks whether what it waits for is there, and gives a new future to wait for where it is not;
    at times it waits for nothing. What is thrown into it ends it.
    """

    def __init__(self, *waits: "asyncio.Future[None] | None", fails: bool = False) -> None:
        self.ended = False
        self._waits = list(waits)
        self._fails = fails

    def send(self, _value: None, /) -> Any:
        if self.ended:
            raise RuntimeError("cannot reuse a coroutine that has ended")
        while self._waits:
            wait = self._waits[0]
            if wait is None:
                self._waits.pop(0)
                return None
            if not wait.done():
                return _waker(wait)
            self._waits.pop(0)
        self.ended = True
        raise ConnectionError("broken") if self._fails else StopIteration("head")

    def throw(self, *error: Any) -> Any:
        self.ended = True
        raise error[0]

    def close(self) -> None:
        self.ended = True

    def __await__(self) -> Generator[Any, Any, str]:
        raise NotImplementedError


def _waker(wait: "asyncio.Future[None]") -> Any:
    """A future that is done once `wait` is, as whoever awaits it gets it to see."""
    woken = a_future()
    wait.add_done_callback(lambda _: None if woken.done() else woken.set_result(None))
    return next(iter(woken))


async def outcome(steps: Steps) -> str:
    return await going_on(steps)


async def ready() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def a_future() -> "asyncio.Future[None]":
    return asyncio.get_running_loop().create_future()


async def test_it_waits_for_what_the_coroutine_waits_for() -> None:
    """One future after the other, and a moment where it only says that it would go on."""
    first, second = a_future(), a_future()
    task = asyncio.ensure_future(outcome(Steps(first, None, second)))
    for future in (first, second):
        await ready()
        assert not task.done()
        future.set_result(None)
    assert await task == "head"
    assert await outcome(Steps()) == "head"


@pytest.mark.parametrize("steps_before", [0, 1])
async def test_a_cancellation_leaves_it_going(steps_before: int) -> None:
    """Whoever awaits it next has the result, and what it waits for was not cancelled."""
    futures = [a_future(), a_future()]
    opening = Steps(None, *futures)
    task = asyncio.ensure_future(outcome(opening))
    for future in futures[:steps_before]:
        await ready()
        future.set_result(None)
    await ready()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    following = asyncio.ensure_future(outcome(opening))
    for future in futures[steps_before:]:
        await ready()
        assert not opening.ended
        future.set_result(None)
    assert await following == "head"


async def test_a_cancellation_at_the_very_moment() -> None:
    """The future is done, but nobody was told yet: nothing of it is lost."""
    future = a_future()
    opening = Steps(future)
    task = asyncio.ensure_future(outcome(opening))
    await ready()
    future.set_result(None)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await outcome(opening) == "head"


async def test_a_failure_is_told() -> None:
    """What the coroutine raises reaches whoever awaits it, before and after a cancellation."""
    future = a_future()
    opening = Steps(future, fails=True)
    task = asyncio.ensure_future(outcome(opening))
    await ready()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    future.set_result(None)
    with pytest.raises(ConnectionError, match="broken"):
        await outcome(opening)
