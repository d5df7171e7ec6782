"""The attempts of one exchange: token, headers, client span, round trip; once more where that is safe.

Two things are tried again, each once: a request that the upstream refused with 401, with a new token and if
its body was kept (the 401 proves that it was not carried out), and a GET or HEAD whose connection died
without a response, which is what a kept connection looks like when the upstream has closed it meanwhile.
"""

import asyncio
import base64
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from gateway import failures, headers
from gateway.downstream import Upload
from gateway.exchange import Attempt, Exchange, RawHeaders
from gateway.metrics import Metrics
from gateway.recent import Recent
from gateway.spans import ClientSpan, ServerSpan
from gateway.tokens import Token, Tokens
from gateway.upstream import Outbound, Response, Upstream

SAFE = frozenset({"GET", "HEAD"})
"""Methods that may go once more on a connection that died."""
_UNAUTHORIZED = 401
_CLAIMS = re.compile(rb'claims="([^"]{1,8192})"')
_URLSAFE = bytes.maketrans(b"-_", b"+/")


Result = TypeVar("Result")
Turn = Callable[[], Awaitable[None]]
"""Waits until the upstream may be sent another jobs request."""


class AppSide(Protocol):
    """For whom an attempt is made: an app that waits, or nobody in particular."""

    @property
    def failure(self) -> BaseException | None:
        """What went wrong while the app's body was read."""

    async def body(self) -> bytes | Upload | None:
        """The request's body."""

    async def race(self, call: Coroutine[Any, Any, Result], *, unsent: bool = False) -> Result:
        """Await the call for as long as somebody waits for it."""


@dataclass(slots=True)
class RoundTrip:
    """One attempt while it lasts: as a context manager it closes the response and ends the client span."""

    exchange: Exchange
    attempt: Attempt
    span: ClientSpan
    token: Token | None
    metrics: Metrics
    recent: Recent
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
            attempt.sent = not isinstance(error, failures.UpstreamUnreachable | failures.Overloaded)
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
            self.metrics.attempt_finished(self.exchange, attempt)
            self.recent.attempt_finished(attempt)


@dataclass(frozen=True, slots=True)
class Attempts:
    """Makes attempts; one for the life of the gateway."""

    upstream: Upstream
    tokens: Tokens | None
    metrics: Metrics
    recent: Recent
    authority: bytes
    """The upstream's Host."""
    ending_here: frozenset[bytes]
    """Request headers that are not forwarded, from `headers.ending_here`."""

    async def answered(
        self, exchange: Exchange, span: ServerSpan, downstream: AppSide, turn: Turn | None = None
    ) -> RoundTrip:
        """The round trip whose response is the answer; the caller closes it. `turn` is taken for each try.

        Raises what tokens and upstream raise, or what went wrong with the app's body while it was sent.
        """
        body = await downstream.body()
        first = len(exchange.attempts)
        while True:
            token = await self.token(downstream)
            if turn is not None:
                await turn()
                # The wait may have been long; what is valid now costs nothing to ask for.
                token = await self.token(downstream)
            trip = self._begin(exchange, span, token)
            try:
                trip.response = response = await self._send(trip, downstream, body)
                _note(trip.attempt, response)
                renewed = await self._renewed(trip, response, downstream, body, first)
            except BaseException as error:
                await trip.__aexit__(type(error), downstream.failure or error, None)
                if downstream.failure is not None:
                    raise downstream.failure from error
                if len(exchange.attempts) - first > 1 or not self._may_repeat(exchange, body, error):
                    raise
                self.metrics.retried("stale_connection")
                continue
            if not renewed:
                return trip
            await trip.__aexit__(None, None, None)
            self.metrics.retried("token")

    async def token(self, downstream: AppSide) -> Token | None:
        """A valid token; None where the gateway owns none. Raises TokenUnavailable."""
        return None if self.tokens is None else await downstream.race(self.tokens.current(), unsent=True)

    def _may_repeat(self, exchange: Exchange, body: bytes | Upload | None, error: BaseException) -> bool:
        return (
            isinstance(error, failures.UpstreamConnectionLost)
            and self.upstream.engine.keeps_connections
            and exchange.method in SAFE
            and not isinstance(body, Upload)
        )

    def _begin(self, exchange: Exchange, span: ServerSpan, token: Token | None) -> RoundTrip:
        attempt = Attempt(len(exchange.attempts), started=time.perf_counter())
        exchange.attempts.append(attempt)
        client_span = span.attempt(exchange, attempt)
        return RoundTrip(exchange, attempt, client_span, token, self.metrics, self.recent)

    async def _send(self, trip: RoundTrip, downstream: AppSide, body: bytes | Upload | None) -> Response:
        exchange = trip.exchange
        outbound = self._outbound(trip, body)
        began, waited = time.perf_counter(), exchange.app_wait
        try:
            return await downstream.race(
                self.upstream.round_trip(outbound, query=exchange.route.template == "/query")
            )
        finally:
            exchange.upstream_wait += time.perf_counter() - began - (exchange.app_wait - waited)

    def _outbound(self, trip: RoundTrip, body: bytes | Upload | None) -> Outbound:
        exchange = trip.exchange
        return Outbound(
            method=exchange.method,
            target=exchange.raw_path + b"?" + exchange.query if exchange.query else exchange.raw_path,
            headers=headers.to_upstream(
                exchange.headers,
                drop=self.ending_here,
                host=self.authority,
                identity=exchange.route.pages or exchange.route.job_kind is not None,
                add=trip.span.headers,
            ),
            body=body,
            authorization=None if trip.token is None else b"Bearer " + trip.token.value.encode("ascii"),
        )

    async def _renewed(
        self,
        trip: RoundTrip,
        response: Response,
        downstream: AppSide,
        body: bytes | Upload | None,
        first: int,
    ) -> bool:
        """Whether a 401 was met with a new token, and the request can go once more."""
        if response.status != _UNAUTHORIZED or self.tokens is None or trip.token is None:
            return False
        if any(attempt.status == _UNAUTHORIZED for attempt in trip.exchange.attempts[first:-1]):
            return False
        renewed = await downstream.race(self.tokens.replace(trip.token, claims=_claims(response)))
        return renewed is not None and (body is None or isinstance(body, bytes))


def _note(attempt: Attempt, response: Response) -> None:
    attempt.status = response.status
    if response.status >= 400:  # noqa: PLR2004 - semantic conventions: 4xx and 5xx are errors of a client span
        attempt.error_type = str(response.status)
    request_id = headers.first(response.headers, b"x-ms-request-id")
    attempt.request_id = request_id.decode("latin-1") if request_id is not None else None


def _claims(response: Response) -> str | None:
    """The claims that a challenge asks for, as JSON text; they travel in base64 (OpenID Connect CAE)."""
    for name, value in response.headers:
        match = _CLAIMS.search(value) if name == b"www-authenticate" else None
        if match is None or b"insufficient_claims" not in value:
            continue
        encoded = match[1].rstrip(b"=").translate(_URLSAFE)
        try:
            return base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True).decode()
        except ValueError:
            return None
    return None
