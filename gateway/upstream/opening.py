"""The way to a response's head, which goes on where nobody waits for it any more.

A task of its own behind `asyncio.shield` would do the same, for two more turns of the event loop and 200 of
the 12,800 bytecodes of a request.
"""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

Response = TypeVar("Response")


class Opening(Generic[Response]):
    """Awaits an engine's coroutine; may be awaited again after whoever awaited it was cancelled."""

    __slots__ = ("_steps", "_waiting")

    def __init__(self, steps: Coroutine[Any, Any, Response]) -> None:
        self._steps = steps
        self._waiting: Any = None

    def __await__(self) -> Generator[Any, Any, Response]:
        while True:
            if self._waiting is None:
                try:
                    self._waiting = self._steps.send(None)
                except StopIteration as done:
                    response: Response = done.value
                    return response
                if self._waiting is None:
                    # It was woken before it could say what it waits for.
                    yield
                    continue
                # As a task does that takes a future to wait for.
                self._waiting._asyncio_future_blocking = False  # noqa: SLF001 - asyncio's protocol for them
            yield from asyncio.shield(self._waiting).__await__()
            self._waiting = None
