"""Makes the attempts of one exchange, until one has the answer.

Two things are tried again. A request that the upstream refused with 401 goes once more with a new token, if
its body was kept: the 401 proves that it was not carried out. And a failure goes once more where `again` says
that nothing runs twice by it: while the budget lasts, and within the time of the request.
"""

import asyncio
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from gateway import failures, headers
from gateway.attempts.again import STALE, TOKEN, Repeat, repeat_after
from gateway.attempts.app_side import AppSide, Turn
from gateway.attempts.round_trip import RoundTrip, Told
from gateway.downstream import Upload
from gateway.exchange import Attempt, Exchange, RawHeaders
from gateway.resilience import Retries
from gateway.spans import ServerSpan
from gateway.tokens import Token, Tokens, claims_asked_for
from gateway.upstream import Outbound, Upstream

_REFUSED: Final = int(HTTPStatus.UNAUTHORIZED)
"""A member of an enumeration takes as long to look up as a function takes to be called."""


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
        self.check()
        body = await downstream.body()
        first = len(exchange.attempts)
        repeat: Repeat | None = None
        while True:
            trip = await self._begin(exchange, span, downstream, body, turn, repeat)
            try:
                await self._send(trip, downstream, repeat)
                renewed = trip.status == _REFUSED and await self._renewed(trip, downstream, first)
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
            repeat = Repeat(TOKEN, self._until(exchange, first))

    def check(self) -> None:
        """Raise CircuitOpen or Overloaded where a request that came now would not be sent.

        Before anything is waited for in vain, the app's body first of all.
        """
        self.told.circuit.check()
        self.upstream.slots.check()

    def sent(self, exchange: Exchange, traced: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
        """The headers that go upstream, all but the credential; `traced` are those of the trace."""
        return headers.to_upstream(
            exchange.headers,
            drop=self.ending_here,
            host=self.authority,
            identity=exchange.route.pages or exchange.route.job_kind is not None,
            add=traced,
        )

    async def token(self, downstream: AppSide) -> Token | None:
        """A valid token; None where the gateway owns none. Raises TokenUnavailable."""
        return None if self.tokens is None else await downstream.race(self.tokens.current(), unsent=True)

    async def _begin(
        self,
        exchange: Exchange,
        span: ServerSpan,
        downstream: AppSide,
        body: bytes | Upload | None,
        turn: Turn | None,
        repeat: Repeat | None,
    ) -> RoundTrip:
        """The next attempt, once it may be sent: with a token, when its turn is, as far as the circuit goes.

        What stands in the way of a repeat is no answer to the request: then the failure before it is.
        """
        try:
            if turn is not None:
                # Without a token it must not stand in the queue, and the wait may be long.
                await self.token(downstream)
                await turn()
            token = self.tokens.at_hand() if self.tokens is not None else None
            if token is None or exchange.client_left:
                token = await self.token(downstream)
            if repeat is not None:
                _check_time(repeat)
            entry = self.told.circuit.enter()
        except failures.GatewayError as error:
            if repeat is None or repeat.error is None:
                raise
            raise repeat.error from error
        if repeat is not None:
            self.told.metrics.retried(repeat.reason)
        tried = exchange.attempts
        attempt = Attempt(len(tried), time.perf_counter())
        if not tried:
            self.retries.requested(attempt.started)
        tried.append(attempt)
        return RoundTrip(exchange, attempt, span.attempt(exchange, attempt), token, body, self.told, entry)

    async def _send(self, trip: RoundTrip, downstream: AppSide, repeat: Repeat | None) -> None:
        exchange, token = trip.exchange, trip.token
        request = Outbound(
            exchange.method,
            exchange.raw_path + b"?" + exchange.query if exchange.query else exchange.raw_path,
            self.sent(exchange, trip.span.headers),
            trip.body,
            None if token is None else "Bearer " + token.value,
        )
        call = self.upstream.round_trip(
            request,
            query=exchange.route.template == "/query",
            longest=math.inf if repeat is None else repeat.left,
        )
        # Seconds in which the app was waited for, as while it sent its body, are not the upstream's.
        began = time.perf_counter() - exchange.app_wait
        try:
            response = await downstream.race(call)
        finally:
            exchange.upstream_wait += time.perf_counter() - exchange.app_wait - began
        trip.answered(response)

    async def _renewed(self, trip: RoundTrip, downstream: AppSide, first: int) -> bool:
        """Whether to send a request that was refused again, with the token that replaced the refused one."""
        if self.tokens is None or trip.token is None:
            return False
        if any(attempt.status == _REFUSED for attempt in trip.exchange.attempts[first:-1]):
            return False
        claims = claims_asked_for(trip.headers)
        renewed = await downstream.race(self.tokens.replace(trip.token, claims=claims))
        return renewed is not None and not isinstance(trip.body, Upload)

    async def _repeat(
        self, trip: RoundTrip, error: BaseException, downstream: AppSide, first: int
    ) -> Repeat | None:
        """What to try again, after a pause; None where the failure is the answer. Raises ClientLeft."""
        exchange = trip.exchange
        tried = exchange.attempts[first:]
        until = self._until(exchange, first)
        repeat = repeat_after(error, method=exchange.method, body=trip.body, tried=tried, until=until)
        if repeat is None:
            return None
        # A connection that died is no reason to wait: the next one is new.
        pause = 0.0 if repeat.reason == STALE else self.retries.pause(len(tried))
        if repeat.left <= pause or not self.told.circuit.passes or not self.retries.granted(len(tried)):
            return None
        if pause:
            await self._rest(exchange, downstream, pause)
        return repeat

    def _until(self, exchange: Exchange, first: int) -> float:
        return exchange.attempts[first].started + self.longest

    async def _rest(self, exchange: Exchange, downstream: AppSide, pause: float) -> None:
        """Wait before the next attempt, for as long as the client is there; the time is the upstream's."""
        began = time.perf_counter()
        try:
            await downstream.race(asyncio.sleep(pause), unsent=True)
        finally:
            exchange.upstream_wait += time.perf_counter() - began


def _check_time(repeat: Repeat) -> None:
    if repeat.left <= 0:
        raise failures.UpstreamTimeout("The request's time is over (upstream.timeout.head_total).")
