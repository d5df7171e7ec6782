"""Calls that may block, one after another in a thread of their own."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

T = TypeVar("T")


class OwnThread:
    """A thread that makes one call at a time, in the order of asking.

    It does not keep the process alive: a disk that hangs must not hold up the exit.
    """

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        Thread(target=self._work, name=name, daemon=True).start()

    def call(self, function: Callable[[], T]) -> asyncio.Future[T]:
        """What the call returns or raises; it is made even if nobody waits for that any longer."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((function, future))
        return future

    def end(self) -> None:
        """End the thread, once the calls that were asked for are made."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            _make(*call)
            del call  # or what it holds would stay until the next one


def _make(function: Callable[[], T], future: asyncio.Future[T]) -> None:
    try:
        outcome, failure = function(), None
    except Exception as error:  # noqa: BLE001 - raised where the call is awaited
        outcome, failure = None, error
    with suppress(RuntimeError):  # the loop is closed, so nobody waits
        future.get_loop().call_soon_threadsafe(_settle, future, outcome, failure)


def _settle(future: asyncio.Future[Any], outcome: object, failure: Exception | None) -> None:
    if future.done():
        return
    if failure is None:
        future.set_result(outcome)
    else:
        future.set_exception(failure)
