"""Makes the attempts of one exchange, until one has the answer.

Two things are tried again. A request that the upstream refused with 401 goes once more with a new token, if
its body was kept: the 401 proves that it was not carried out. And a failure goes once more where `again` says
that nothing runs twice by it: while the budget lasts, and within the time of the request.
"""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from gateway import failures, headers
from gateway.attempts.again import STALE, Repeat, reason_to_repeat
from gateway.attempts.app_side import AppSide, Turn
from gateway.attempts.round_trip import RoundTrip, Told
from gateway.deadline import within
from gateway.downstream import Upload
from gateway.exchange import Attempt, Exchange
from gateway.resilience import Retries
from gateway.spans import ServerSpan
from gateway.tokens import Token, Tokens, claims_asked_for
from gateway.upstream import Outbound, Response, Upstream


@dataclass(frozen=True, slots=True)
class Attempts:
    """Makes attempts; one for the life of the gateway."""

    upstream: Upstream
    tokens: Tokens | None
    retries: Retries
    told: Told
    longest: float
    """Seconds from the first attempt within which the last one must have its response head."""
    authority: bytes
    """The upstream's Host."""
    ending_here: frozenset[bytes]
    """Request headers that are not forwarded, from `headers.ending_here`."""

    async def answered(
        self, exchange: Exchange, span: ServerSpan, downstream: AppSide, turn: Turn | None = None
    ) -> RoundTrip:
        """The round trip whose response is the answer; the caller closes it. `turn` is taken for each try.

        Raises CircuitOpen, what tokens and upstream raise, or what went wrong with the app's body while it
        was sent.
        """
        body = await downstream.body()
        self.told.circuit.check()
        first = len(exchange.attempts)
        repeat: Repeat | None = None
        while True:
            token = await self.token(downstream)
            if turn is not None:
                await turn()
                # The wait may have been long; what is valid now costs nothing to ask for.
                token = await self.token(downstream)
            if repeat is not None and repeat.left <= 0:
                raise repeat.error
            trip = self._begin(exchange, span, token, body)
            try:
                trip.answered(response := await self._send(trip, downstream, repeat))
                renewed = await self._renewed(trip, response, downstream, first)
            except BaseException as error:
                await trip.__aexit__(type(error), downstream.failure or error, None)
                if downstream.failure is not None:
                    raise downstream.failure from error
                repeat = await self._repeat(trip, error, downstream, first)
                if repeat is None:
                    raise
                continue
            if not renewed:
                return trip
            await trip.__aexit__(None, None, None)
            self.told.metrics.retried("token")
            repeat = None

    async def token(self, downstream: AppSide) -> Token | None:
        """A valid token; None where the gateway owns none. Raises TokenUnavailable."""
        return None if self.tokens is None else await downstream.race(self.tokens.current(), unsent=True)

    def _begin(
        self, exchange: Exchange, span: ServerSpan, token: Token | None, body: bytes | Upload | None
    ) -> RoundTrip:
        entry = self.told.circuit.enter()
        attempt = Attempt(len(exchange.attempts), started=time.perf_counter())
        if not exchange.attempts:
            self.retries.requested(attempt.started)
        exchange.attempts.append(attempt)
        return RoundTrip(exchange, attempt, span.attempt(exchange, attempt), token, body, self.told, entry)

    async def _send(self, trip: RoundTrip, downstream: AppSide, repeat: Repeat | None) -> Response:
        exchange = trip.exchange
        call = self.upstream.round_trip(self._outbound(trip), query=exchange.route.template == "/query")
        began, waited = time.perf_counter(), exchange.app_wait
        try:
            return await downstream.race(call if repeat is None else _until(repeat, call))
        finally:
            exchange.upstream_wait += time.perf_counter() - began - (exchange.app_wait - waited)

    def _outbound(self, trip: RoundTrip) -> Outbound:
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
            body=trip.body,
            authorization=None if trip.token is None else b"Bearer " + trip.token.value.encode("ascii"),
        )

    async def _renewed(self, trip: RoundTrip, response: Response, downstream: AppSide, first: int) -> bool:
        """Whether to send the request again, with the token that replaced the one that was refused."""
        if response.status != HTTPStatus.UNAUTHORIZED or self.tokens is None or trip.token is None:
            return False
        if any(attempt.status == HTTPStatus.UNAUTHORIZED for attempt in trip.exchange.attempts[first:-1]):
            return False
        claims = claims_asked_for(response.headers)
        renewed = await downstream.race(self.tokens.replace(trip.token, claims=claims))
        return renewed is not None and not isinstance(trip.body, Upload)

    async def _repeat(
        self, trip: RoundTrip, error: BaseException, downstream: AppSide, first: int
    ) -> Repeat | None:
        """What to try again, after a pause; None where the failure is the answer. Raises ClientLeft."""
        exchange = trip.exchange
        tried = exchange.attempts[first:]
        reason = reason_to_repeat(
            error,
            method=exchange.method,
            body=trip.body,
            tried=tried,
            keeps_connections=self.upstream.engine.keeps_connections,
        )
        if reason is None or not isinstance(error, failures.GatewayError):
            return None
        # A connection that died is no reason to wait: the next one is new.
        pause = 0.0 if reason == STALE else self.retries.pause(len(tried))
        repeat = Repeat(error, tried[0].started + self.longest)
        if repeat.left <= pause or not self.told.circuit.passes or not self.retries.granted(len(tried)):
            return None
        if pause:
            await self._rest(exchange, downstream, pause)
        self.told.metrics.retried(reason)
        return repeat

    async def _rest(self, exchange: Exchange, downstream: AppSide, pause: float) -> None:
        """Wait before the next attempt, for as long as the client is there; the time is the upstream's."""
        began = time.perf_counter()
        try:
            await downstream.race(asyncio.sleep(pause), unsent=True)
        finally:
            exchange.upstream_wait += time.perf_counter() - began


async def _until(repeat: Repeat, call: Coroutine[Any, Any, Response]) -> Response:
    try:
        return await within(max(0.0, repeat.left), call)
    except TimeoutError:
        raise failures.UpstreamTimeout(
            "The upstream did not answer in time (upstream.timeout.head_total)."
        ) from None
