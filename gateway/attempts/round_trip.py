"""One attempt while it lasts, and all who are told how it ended."""

import asyncio
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from gateway import failures, headers
from gateway.afterwards import Afterwards, each
from gateway.downstream import Upload
from gateway.exchange import Attempt, Exchange, RawHeaders
from gateway.metrics import Metrics
from gateway.recent import Recent
from gateway.resilience import Breaker
from gateway.spans import ClientSpan
from gateway.tokens import Token
from gateway.upstream import Response

UNSENT = (failures.UpstreamUnreachable, failures.Overloaded)
"""Failures after which it is certain that the upstream has got nothing."""


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears of every attempt that is over; one for the life of the gateway."""

    metrics: Metrics
    recent: Recent
    circuit: Breaker
    """Told at once: the next attempt may depend on it."""
    over: "Afterwards[RoundTrip]" = field(init=False)
    """Attempts that are over, and only the circuit has been told of."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "over", Afterwards(self._tell))

    def _tell(self, over: "list[RoundTrip]") -> None:
        each(self._tell_of, over)

    def _tell_of(self, trip: "RoundTrip") -> None:
        exchange, attempt = trip.exchange, trip.attempt
        trip.span.end(exchange, attempt)
        self.metrics.attempt_finished(exchange, attempt)
        self.recent.attempt_finished(attempt)


@dataclass(slots=True)
class RoundTrip:
    """One attempt: as a context manager it closes the response and ends the client span."""

    exchange: Exchange
    attempt: Attempt
    span: ClientSpan
    token: Token | None
    body: bytes | Upload | None = field(repr=False)
    told: Told
    entry: int
    """What the circuit gave for this attempt."""
    response: Response | None = None
    """None until its head is here."""
    status: int = field(init=False, repr=False)
    """The response's status; not before its head is here."""
    headers: RawHeaders = field(init=False, repr=False)
    """The response's headers; as `status`."""

    observed = False
    """The ledger has not been told of the answer yet."""

    def whole(self) -> bytes | None:
        """All of the response's body, where it is here already; it is read by that."""
        return None if self.response is None else self.response.whole()

    async def read(self) -> bytes | None:
        """The next piece of the response's body; the time counts as the upstream's."""
        response = self.response
        if response is None:
            raise RuntimeError("the round trip has no response yet")
        if response.is_at_hand():
            return response.piece
        began = time.perf_counter()
        try:
            return await response.arrival()
        finally:
            self.exchange.upstream_wait += time.perf_counter() - began

    def answered(self, response: Response) -> None:
        """The head of the response is here."""
        attempt = self.attempt
        self.response = response
        self.status = attempt.status = status = response.status
        self.headers = response.headers
        if status >= 400:  # noqa: PLR2004 - semantic conventions: 4xx and 5xx are errors of a client span
            attempt.error_type = str(status)
        request_id = headers.first(response.headers, b"x-ms-request-id")
        if request_id is not None:
            attempt.request_id = request_id.decode("latin-1")
        self.told.circuit.answered(self.entry, status)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self._failed(error)
        try:
            if self.response is not None:
                await self.response.aclose()
        finally:
            attempt, told = self.attempt, self.told
            attempt.finished = time.perf_counter()
            told.over.add(self)
            excused = error is not None and self._waited_for_the_app(error)
            told.circuit.ended(self.entry, attempt, excused=excused)

    def _failed(self, error: BaseException) -> None:
        attempt = self.attempt
        if isinstance(error, failures.GatewayError):
            attempt.error_type = error.code
            attempt.sent = not isinstance(error, UNSENT)
            return
        attempt.cancelled = isinstance(
            error, failures.ClientLeft | failures.ResponseCut | asyncio.CancelledError
        )
        attempt.error_type = None if attempt.cancelled else type(error).__name__

    def _waited_for_the_app(self, error: BaseException) -> bool:
        """Whether the time was over before the app had sent the body."""
        if not isinstance(error, failures.UpstreamTimeout) or not isinstance(self.body, Upload):
            return False
        return not self.body.finished.is_set()
