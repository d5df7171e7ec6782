"""What finished exchanges and attempts leave for the status page.

Told of each on its way out, so both are a few operations; clock readings are those of the exchange. A failed
job is no error here: it is a request that was answered.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from gateway import failures
from gateway.exchange import Attempt, Exchange
from gateway.recent.errors import Errors
from gateway.recent.steps import STEP, WINDOW, Steps

_FIRST_SERVER_ERROR = 500
_NANOSECONDS = 1e9

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class UpstreamHealth:
    """How attempts went in the window, and how many failed in a row up to now."""

    attempts: int
    failed: int
    in_a_row: int
    failing_for: float | None
    """Seconds since the first of those in a row ended; None where the last attempt did not fail."""
    error_type: str | None
    """How the last of those in a row failed: an error code of the gateway's, or a status as text."""


class Recent:
    """The last minutes of one gateway.

    `known_codes` are the error codes that may be expected of the upstream. `clock` is the clock of exchanges,
    `wall` is seconds since the epoch.
    """

    def __init__(
        self,
        known_codes: Collection[str],
        *,
        clock: Callable[[], float] = time.perf_counter,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._wall = wall
        offset = wall() - clock()
        self._app = Steps(offset)
        self._upstream = Steps(offset)
        self._errors = Errors(known_codes)
        self._in_a_row = 0
        self._failing_since = 0.0
        self._error_type: str | None = None

    def exchange_finished(self, exchange: Exchange) -> None:
        """An exchange is over; one whose client left before the head counts, and did not fail."""
        status, ended = exchange.status, exchange.finished
        seconds = ended - exchange.started
        failed = exchange.cut or (status is not None and status >= _FIRST_SERVER_ERROR)
        self._app.add(ended, seconds, failed)
        if exchange.error_code is not None:
            self._errors.add(exchange, exchange.error_code, exchange.started_ns / _NANOSECONDS + seconds)

    def attempt_finished(self, attempt: Attempt) -> None:
        """An attempt is over; it failed where the upstream answered 5xx, or not with a whole response."""
        ended = attempt.finished
        failed = attempt.error_type is not None and _failed(attempt)
        self._upstream.add(ended, ended - attempt.started, failed)
        if failed:
            if self._in_a_row == 0:
                self._failing_since = ended
            self._in_a_row += 1
            self._error_type = attempt.error_type
        elif self._in_a_row and not attempt.cancelled and attempt.error_type not in failures.OF_THE_APP:
            self._in_a_row = 0

    def upstream_health(self) -> UpstreamHealth:
        """How the upstream does, in numbers."""
        now = self._clock()
        attempts, failed = self._upstream.total(now)
        if not self._in_a_row:
            return UpstreamHealth(attempts, failed, 0, None, None)
        return UpstreamHealth(attempts, failed, self._in_a_row, now - self._failing_since, self._error_type)

    def view(self) -> Json:
        """`recent` of `/api/status`, in JSON types."""
        at, wall = self._clock(), self._wall()
        return {
            "stepSeconds": int(STEP),
            "windowSeconds": int(WINDOW),
            "app": self._app.view(at, wall),
            "upstream": self._upstream.view(at, wall),
            "errors": self._errors.view(),
        }


def _failed(attempt: Attempt) -> bool:
    """Whether an error is the upstream's: not that of a client that left, nor of its request."""
    if attempt.cancelled or attempt.error_type in failures.OF_THE_APP:
        return False
    status = attempt.status
    # A status below 500 is a failure where something else went wrong after it.
    return status is None or status >= _FIRST_SERVER_ERROR or attempt.error_type != str(status)
