"""How often may be tried again, and after what pause.

The budget is that of Finagle and Linkerd: in any ten seconds at most a share of the requests is tried again,
and besides so many a second, so that a gateway of few requests may as well. What one request may cost is
bounded by `attempts`; what an outage may cost, by the budget.
"""

import random
import time
from collections.abc import Callable
from typing import Final

from gateway.config import Retry
from gateway.resilience.window import Window

WINDOW: Final = 10.0
"""Seconds over which requests earn retries."""


class Retries:
    """The budget of one gateway; used from the event loop's thread. `clock` is that of attempts."""

    def __init__(
        self,
        rules: Retry,
        *,
        clock: Callable[[], float] = time.perf_counter,
        chance: random.Random | None = None,
    ) -> None:
        self._rules = rules
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 - jitter, not a secret
        self._counts = Window(WINDOW)
        self.requested: Callable[[float], None] = self._counts.first
        """A request was sent for the first time, at this time."""

    def granted(self, attempts: int) -> bool:
        """Whether a request that was attempted so often may be once more; if so, the budget is charged."""
        if attempts >= self._rules.attempts:
            return False
        now = self._clock()
        requests, retries = self._counts.totals(now)
        if retries + 1 > self._rules.budget * requests + self._rules.floor * WINDOW:
            return False
        self._counts.second(now)
        return True

    def pause(self, attempts: int) -> float:
        """Seconds to wait after so many attempts: anything up to `backoff`, doubled with each (full jitter).

        Those whose attempts failed together must not try again together.
        """
        return self._chance.uniform(0.0, self._rules.backoff * 2.0 ** (attempts - 1))
