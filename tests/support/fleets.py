"""Gateways of a fleet, as far as the room knows them."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from gateway.config import Fleet as Settings
from gateway.fleet import Fleet, open_fleet
from gateway.jobs.pace import interval_of

GUARD = 20.0
"""Seconds after which something that should have happened is taken as a failure."""

BUDGET = 0.5
"""More than the gateway's own: a server that shares two processors with a test suite is slow at times."""


@dataclass(slots=True)
class Told:
    """What the room tells of the store."""

    operations: list[tuple[str, str]] = field(default_factory=list)
    ups: list[bool] = field(default_factory=list)

    def operation(self, name: str, result: str, seconds: float) -> None:
        assert seconds >= 0
        self.operations.append((name, result))

    def up(self, usable: bool) -> None:
        self.ups.append(usable)


@dataclass(slots=True)
class Heard:
    """What a gateway hears."""

    news: list[tuple[str, str, bytes]] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)

    def on(self, fleet: Fleet, *topics: str) -> "Heard":
        """Listen to the topics."""
        for topic in topics:
            fleet.listen(topic, self._hear(topic))
        return self

    def _hear(self, topic: str) -> Callable[[str, bytes, float], None]:
        def hear(key: str, payload: bytes, age: float) -> None:
            self.news.append((topic, key, payload))
            self.ages.append(age)

        return hear


START = 1_700_000_000_000_000
SECOND = 1_000_000


class Clock:
    """The store's clock, in microseconds, set by the test."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now

    def pass_by(self, seconds: float) -> None:
        """Move on."""
        self.now += round(seconds * SECOND)


@asynccontextmanager
async def gateway_of(
    url: str,
    instance: str,
    *,
    rate: float = 1.0,
    burst: int = 1,
    told: Told | None = None,
    now: Callable[[], int] | None = None,
    budget: float = BUDGET,
    **settings: Any,
) -> AsyncIterator[Fleet]:
    """One gateway of the fleet in front of the instance."""
    async with open_fleet(
        Settings(url=SecretStr(url), expected_size=2, **settings),
        instance=instance,
        interval=interval_of(rate),
        burst=burst,
        timers=asyncio.get_running_loop(),
        chance=random.Random(1),  # noqa: S311 - jitter
        log=logging.getLogger("gateway.fleet"),
        told=told or Told(),
        now=now,
        budget=budget,
    ) as fleet:
        yield fleet


async def until(condition: Callable[[], object]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(GUARD):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.005)
