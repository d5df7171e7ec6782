"""One attempt while it lasts, and all who are told how it ended."""

import asyncio
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from gateway import failures, headers
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

    observed = False
    """The ledger has not been told of the answer yet."""

    @property
    def status(self) -> int:
        """The response's status."""
        return self._begun().status

    @property
    def headers(self) -> RawHeaders:
        """The response's headers."""
        return self._begun().headers

    async def read(self) -> bytes | None:
        """The next piece of the response's body; the time counts as the upstream's."""
        began = time.perf_counter()
        try:
            return await self._begun().read()
        finally:
            self.exchange.upstream_wait += time.perf_counter() - began

    def answered(self, response: Response) -> None:
        """The head of the response is here."""
        self.response, attempt = response, self.attempt
        attempt.status = response.status
        if response.status >= 400:  # noqa: PLR2004 - semantic conventions: 4xx and 5xx are errors of a client span
            attempt.error_type = str(response.status)
        request_id = headers.first(response.headers, b"x-ms-request-id")
        attempt.request_id = request_id.decode("latin-1") if request_id is not None else None
        self.told.circuit.answered(self.entry, response.status)

    def _begun(self) -> Response:
        if self.response is None:
            raise RuntimeError("the round trip has no response yet")
        return self.response

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        attempt = self.attempt
        if isinstance(error, failures.GatewayError):
            attempt.error_type = error.code
            attempt.sent = not isinstance(error, UNSENT)
        elif error is not None:
            attempt.cancelled = isinstance(
                error, failures.ClientLeft | failures.ResponseCut | asyncio.CancelledError
            )
            attempt.error_type = None if attempt.cancelled else type(error).__name__
        try:
            if self.response is not None:
                await self.response.aclose()
        finally:
            attempt.finished = time.perf_counter()
            self.span.end(self.exchange, attempt)
            told = self.told
            told.metrics.attempt_finished(self.exchange, attempt)
            told.recent.attempt_finished(attempt)
            told.circuit.ended(self.entry, attempt, excused=self._waited_for_the_app(error))

    def _waited_for_the_app(self, error: BaseException | None) -> bool:
        """Whether the time was over before the app had sent the body."""
        if not isinstance(error, failures.UpstreamTimeout) or not isinstance(self.body, Upload):
            return False
        return not self.body.finished.is_set()
