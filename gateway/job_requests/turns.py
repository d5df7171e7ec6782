"""The governor's turns, as an exchange takes them."""

import asyncio
import time
from dataclasses import dataclass

from gateway import retry_after
from gateway.attempts import AppSide, Turn
from gateway.exchange import Exchange, RawHeaders
from gateway.jobs import Governor, Priority
from gateway.jobs.patience import patience
from gateway.metrics import Metrics

_UNTOLD_PAUSE = 1.0
"""Seconds of a pause after a 429 that does not say how long."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Turns for requests that go out by themselves, and what the upstream says of the pace."""

    governor: Governor
    metrics: Metrics
    max_wait: float

    def patience(self, exchange: Exchange) -> float:
        """Seconds the app waits for its turn."""
        return patience(exchange.headers, self.max_wait) if b"prefer" in exchange.fields else self.max_wait

    def for_app(
        self, exchange: Exchange, downstream: AppSide, priority: Priority, deadline: float
    ) -> Turn | None:
        """Takes a turn for each attempt of the exchange; given up when its client leaves.

        `deadline` is on the loop's clock. The turn raises RateLimited where none comes before it. None where
        there is no rate to keep.
        """
        if self.governor.off:
            return None

        async def take() -> None:
            began = asyncio.get_running_loop().time()
            try:
                await downstream.race(
                    self.governor.turn(priority, max(0.0, deadline - began)),
                    unsent=not any(attempt.sent for attempt in exchange.attempts),
                )
            finally:
                exchange.rate_wait += asyncio.get_running_loop().time() - began

        return take

    def after_the_first(self, priority: Priority, wait: float) -> Turn:
        """Takes turns for the attempts of a request that came by its first one in another way.

        Each waits at most `wait` seconds.
        """
        taken = True

        async def take() -> None:
            nonlocal taken
            if not taken:
                await self.governor.turn(priority, wait)
            taken = False

        return take

    def throttled(self, headers: RawHeaders, priority: Priority) -> None:
        """The upstream answered 429: nothing goes out for as long as it says, with a rate to keep."""
        said = retry_after.seconds(headers, time.time())
        self.governor.pause(_UNTOLD_PAUSE if said is None else said)
        self.metrics.throttled(priority.name.lower())
