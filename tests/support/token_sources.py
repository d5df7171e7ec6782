"""A clock that only moves when told, and a token source that follows a script."""

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.config import OAuth2
from gateway.tokens import FetchedToken, SourceError, Time, TokenSource
from gateway.tokens.oauth2 import OAuth2Source
from tests.support.issuer import Issuer

SCOPE = "https://digitaltwins.azure.net/.default"


@dataclass
class FakeTimer:
    """One callback in the future of a `FakeTime`."""

    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeTime:
    """Monotonic and wall clock, moved by `advance`; the wall clock can be made to jump by itself."""

    def __init__(self) -> None:
        self.monotonic = 1_000.0
        self.wall = 1_700_000_000.0
        self._timers: list[tuple[float, int, FakeTimer]] = []
        self._order = itertools.count()
        self.time = Time(
            now=lambda: self.monotonic,
            wall=lambda: self.wall,
            call_later=self._call_later,
            chance=random.Random(1),  # noqa: S311 - jitter that can be repeated
        )

    def _call_later(self, delay: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(callback)
        heapq.heappush(self._timers, (self.monotonic + delay, next(self._order), timer))
        return timer

    async def advance(self, seconds: float) -> None:
        """Let time pass, timer by timer, and everything run that it sets going."""
        await settle()
        end = self.monotonic + seconds
        while self._timers and self._timers[0][0] <= end:
            due, _, timer = heapq.heappop(self._timers)
            if timer.cancelled:
                continue
            self._move_to(max(due, self.monotonic))
            timer.callback()
            await settle()
        self._move_to(end)

    def _move_to(self, instant: float) -> None:
        self.wall += instant - self.monotonic
        self.monotonic = instant

    @property
    def timers(self) -> int:
        """Timers that are set."""
        return sum(not timer.cancelled for _, _, timer in self._timers)


async def settle() -> None:
    """Run everything that is ready; no real time passes in these tests."""
    for _ in range(20):
        await asyncio.sleep(0)


@dataclass
class ScriptedSource:
    """Gives `token-1`, `token-2`, … with `life`, unless `answers` has something else first."""

    life: float | None = 3_600.0
    name: str = "oauth2"
    answers: list[FetchedToken | Exception] = field(default_factory=list)
    broken: Exception | None = None
    """While set, every fetch raises it."""
    gate: asyncio.Event | None = None
    """While set and not opened, fetches wait."""
    calls: list[tuple[str | None, bool]] = field(default_factory=list)
    """`claims` and `renew` of each fetch."""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    closed: bool = False

    async def fetch(self, *, claims: str | None, renew: bool) -> FetchedToken:
        self.calls.append((claims, renew))
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.broken is not None:
            raise self.broken
        answer = self.answers.pop(0) if self.answers else FetchedToken(f"token-{len(self.calls)}", self.life)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def aclose(self) -> None:
        self.closed = True


async def landed() -> None:
    """Wait for the refresh under way, whose work may be in a thread."""
    running = [task for task in asyncio.all_tasks() if task.get_name() == "token refresh"]
    if running:
        await asyncio.wait(running)


def oauth2_source(issuer: Issuer, *, timeout: float = 10, **settings: Any) -> OAuth2Source:
    """An OAuth2 source for the issuer, with the right secret unless `settings` have another."""
    known: dict[str, Any] = {"token_url": issuer.url, "client_id": "me", "client_secret": "right-secret"}
    return OAuth2Source(OAuth2.model_validate(known | settings), scope=SCOPE, timeout=timeout)


async def fetch(source: TokenSource, claims: str | None = None) -> FetchedToken:
    """Fetch once and close the source."""
    try:
        return await source.fetch(claims=claims, renew=False)
    finally:
        await source.aclose()


async def failure(source: TokenSource) -> SourceError:
    """The failure of a source that has no token to give."""
    with pytest.raises(SourceError) as caught:
        await fetch(source)
    return caught.value
