"""What the keeper knows of time and chance; tests give it their own."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


class Timer(Protocol):
    """What `call_later` returns."""

    def cancel(self) -> None:
        """Never call back."""


def _loop_timer(delay: float, callback: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(delay, callback)


@dataclass(frozen=True, slots=True)
class Time:
    """Clocks in seconds, a timer and a random source."""

    now: Callable[[], float] = time.monotonic
    """Decides everything; jumps of the wall clock do not touch it."""
    wall: Callable[[], float] = time.time
    """Seconds since the epoch; told to people and metrics, never decided by."""
    call_later: Callable[[float, Callable[[], None]], Timer] = _loop_timer
    chance: random.Random = field(default_factory=random.Random)
