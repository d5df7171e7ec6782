"""An event loop in which time passes at once, so that a test of hours takes no time and never varies."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from tests.support.job_answers import Clock


class _Leaping(selectors.SelectSelector):
    """Where a loop would wait, time leaps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.wall = Clock()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            message = "nothing is left that could wake this loop"
            raise RuntimeError(message)
        if timeout > 0:
            self.now += timeout
            self.wall.tick(timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which hours pass at once and in the same way each time."""

    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now

    @property
    def wall(self) -> Clock:
        """The wall clock that goes with it; it can be made to jump."""
        return self._leaping.wall


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in a loop of its own, in virtual time."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


@dataclass
class Timers:
    """The timers of the running loop, counted."""

    set_: list[asyncio.TimerHandle] = field(default_factory=list)

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    def call_at(self, when: float, callback: Callable[..., object], /, *args: Any) -> asyncio.TimerHandle:
        handle = asyncio.get_running_loop().call_at(when, callback, *args)
        self.set_.append(handle)
        return handle

    @property
    def armed(self) -> int:
        return sum(not handle.cancelled() and handle.when() > self.time() for handle in self.set_)
