"""A read at the upstream whose answer several may get."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway import bodies, headers
from gateway.attempts import Attempts, RoundTrip, Turn
from gateway.exchange import Exchange
from gateway.jobs import JobObserver
from gateway.jobs.reads import ReadAnswer, ReadKey, read_key
from gateway.metrics import Metrics
from gateway.spans import ServerSpan

Result = TypeVar("Result")


class Unattended:
    """The app's side of a read that no single request waits for."""

    failure: BaseException | None = None

    async def body(self) -> None:
        """None: a read that is shared has no body."""

    async def race(self, call: Coroutine[Any, Any, Result], *, unsent: bool = False) -> Result:  # noqa: ARG002 - as for an app
        """Await the call: who waits for it decides elsewhere when it is given up."""
        return await call


UNATTENDED = Unattended()


@dataclass(frozen=True, slots=True)
class Fetching:
    """Sends reads, reads their answers up to `cap` bytes, and lets the ledger see them."""

    attempts: Attempts
    observer: JobObserver
    metrics: Metrics
    cap: int

    def key(self, exchange: Exchange) -> ReadKey | None:
        """What tells the read from others, by all that it would send; None where it cannot be shared."""
        traced = [pair for pair in exchange.headers if pair[0] in headers.TRACE]
        return read_key(exchange, self.attempts.sent(exchange, traced))

    async def fetch(self, exchange: Exchange, span: ServerSpan, turn: Turn | None) -> ReadAnswer:
        """One read; `exchange` is its own record, `span` the one above its client spans.

        Raises what tokens, turns and the upstream raise.
        """
        if exchange.attempts:
            self.metrics.retried("throttled")
        trip = await self.attempts.answered(exchange, span, UNATTENDED, turn)
        came_at = asyncio.get_running_loop().time()
        body = await self.take(exchange, trip)
        return ReadAnswer(
            trip.status,
            trip.headers,
            body.start,
            _sent_at(trip),
            came_at,
            exchange.trace,
            exchange.attempts,
            exchange.job_id,
            exchange.job_status,
            rest=rest_of(trip, body),
        )

    async def take(self, exchange: Exchange, trip: RoundTrip) -> bodies.Body:
        """Read an answer, let the ledger see it, and close it unless its body is larger than `cap`."""
        try:
            body = await bodies.read_up_to(trip, self.cap)
        except BaseException as error:
            await trip.__aexit__(type(error), error, None)
            raise
        if body.rest is None:
            await trip.__aexit__(None, None, None)
        self._observe(exchange, trip, body.whole)
        return body

    def _observe(self, exchange: Exchange, trip: RoundTrip, body: bytes | None) -> None:
        if not self.observer.wants(exchange, trip.status):
            return
        plain = None
        if body is not None:
            plain = bodies.decoded(body, headers.first(trip.headers, b"content-encoding"), self.cap)
        self.observer.observe(exchange, trip.status, trip.headers, plain)


@dataclass(frozen=True, slots=True)
class RestOf:
    """What follows of a body that was too large to be read as a whole."""

    trip: RoundTrip

    async def read(self) -> bytes | None:
        """The next piece; the time it takes is told by who reads."""
        return None if self.trip.response is None else await self.trip.response.read()

    async def aclose(self, error: BaseException | None = None) -> None:
        """Close the response, and end its span as failed where something went wrong."""
        await self.trip.__aexit__(None if error is None else type(error), error, None)


def rest_of(trip: RoundTrip, body: bodies.Body) -> RestOf | None:
    """What follows the part of the body that was read; None where that is all."""
    return None if body.rest is None else RestOf(trip)


def _sent_at(trip: RoundTrip) -> float:
    """When the answered attempt was sent, on the loop's clock."""
    return asyncio.get_running_loop().time() - (time.perf_counter() - trip.attempt.started)
