"""A coroutine that outlives the cancellation of whoever awaits it."""

import asyncio
from collections.abc import Generator
from contextlib import suppress
from typing import Any

import pytest

from gateway.upstream.opening import Opening


class Steps:
    """What a library in Rust gives for a coroutine: it waits for futures, and at times for nothing."""

    def __init__(self, *waits: "asyncio.Future[None] | None", fails: bool = False) -> None:
        self._waits = waits
        self._fails = fails

    def __await__(self) -> Generator[Any, Any, str]:
        for wait in self._waits:
            if wait is None:
                yield
            else:
                yield from wait
        if self._fails:
            raise ConnectionError("broken")
        return "head"


async def awaited(steps: Steps) -> str:
    return await steps


async def outcome(opening: Opening[str]) -> str:
    return await opening


async def ready() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


def a_future() -> "asyncio.Future[None]":
    return asyncio.get_running_loop().create_future()


async def test_it_waits_for_what_the_coroutine_waits_for() -> None:
    """One future after the other, and a moment where it only says that it would go on."""
    first, second = a_future(), a_future()
    task = asyncio.ensure_future(outcome(Opening(awaited(Steps(first, None, second)))))
    for future in (first, second):
        await ready()
        assert not task.done()
        future.set_result(None)
    assert await task == "head"
    assert await Opening(awaited(Steps())) == "head"


@pytest.mark.parametrize("steps_before", [0, 1])
async def test_a_cancellation_leaves_it_going(steps_before: int) -> None:
    """Whoever awaits it next has the result, and what it waits for was not cancelled."""
    futures = [a_future(), a_future()]
    opening = Opening(awaited(Steps(None, *futures)))
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
        assert not future.cancelled()
        future.set_result(None)
    assert await following == "head"


async def test_a_cancellation_at_the_very_moment() -> None:
    """The future is done, but nobody was told yet: nothing of it is lost."""
    future = a_future()
    opening = Opening(awaited(Steps(future)))
    task = asyncio.ensure_future(outcome(opening))
    await ready()
    future.set_result(None)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await opening == "head"


async def test_a_failure_is_told() -> None:
    """What the coroutine raises reaches whoever awaits it, before and after a cancellation."""
    future = a_future()
    opening = Opening(awaited(Steps(future, fails=True)))
    task = asyncio.ensure_future(outcome(opening))
    await ready()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    future.set_result(None)
    with pytest.raises(ConnectionError, match="broken"):
        await opening
