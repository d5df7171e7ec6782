"""Makes the attempts of one exchange, until one has the answer.

Two things are tried again. A request that the upstream refused with 401 goes once more with a new token, if
its body was kept: the 401 proves that it was not carried out. And a failure goes once more where `again` says
that nothing runs twice by it: while the budget lasts, and within the time of the request.
"""

import asyncio
import math
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from gateway import failures, headers
from gateway.attempts.again import STALE, TOKEN, Repeat, repeat_after
from gateway.attempts.app_side import AppSide, Turn
from gateway.attempts.round_trip import RoundTrip, Told
from gateway.downstream import Upload
from gateway.exchange import Attempt, Exchange, RawHeaders
from gateway.resilience import Retries
from gateway.spans import ServerSpan
from gateway.tokens import Token, Tokens, claims_asked_for
from gateway.upstream import Outbound, Response, Upstream

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
            try:
                token = self.tokens.at_hand() if self.tokens is not None else None
                if token is None or turn is not None or repeat is not None or exchange.client_left:
                    token = await self._ready(downstream, turn, repeat)
                trip = self._begin(exchange, span, token, body, repeat)
            except failures.GatewayError as error:
                # What stands in the way of a repeat is no answer to the request: the failure before it is.
                if repeat is None or repeat.error is None:
                    raise
                raise repeat.error from error
            try:
                call = self._call(trip, math.inf if repeat is None else repeat.left)
                # Seconds in which the app was waited for, as while it sent its body, are not the upstream's.
                began = time.perf_counter() - exchange.app_wait
                try:
                    response = await downstream.race(call)
                finally:
                    exchange.upstream_wait += time.perf_counter() - exchange.app_wait - began
                trip.answered(response)
                renewed = trip.status == _REFUSED and await self._renewed(trip, downstream, first)
            except BaseException as error:  # noqa: BLE001 - raised again where it is the answer
                repeat = await self._repeat(trip, error, downstream, first)
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

    async def _ready(self, downstream: AppSide, turn: Turn | None, repeat: Repeat | None) -> Token | None:
        """The token of an attempt that has to wait for anything, once it may be made."""
        if turn is not None:
            # Without a token it must not stand in the queue, and the wait may be long.
            await self.token(downstream)
            await turn()
        token = await self.token(downstream)
        if repeat is not None:
            _check_time(repeat)
        return token

    def _begin(
        self,
        exchange: Exchange,
        span: ServerSpan,
        token: Token | None,
        body: bytes | Upload | None,
        repeat: Repeat | None,
    ) -> RoundTrip:
        """The next attempt, as far as the circuit goes."""
        told, tried = self.told, exchange.attempts
        entry = told.circuit.enter()
        if repeat is not None:
            told.metrics.retried(repeat.reason)
        attempt = Attempt(len(tried), time.perf_counter())
        if not tried:
            self.retries.requested(attempt.started)
        tried.append(attempt)
        return RoundTrip(exchange, attempt, span.attempt(exchange, attempt), token, body, told, entry)

    def _call(self, trip: RoundTrip, longest: float) -> Coroutine[Any, Any, Response]:
        """The call that sends the attempt and waits for the head of its answer, `longest` seconds at most."""
        exchange, token, query = trip.exchange, trip.token, trip.exchange.query
        request = Outbound(
            exchange.method,
            exchange.raw_path + b"?" + query if query else exchange.raw_path,
            self.sent(exchange, trip.span.headers),
            trip.body,
            None if token is None else "Bearer " + token.value,
        )
        return self.upstream.round_trip(request, query=exchange.route.template == "/query", longest=longest)

    async def _renewed(self, trip: RoundTrip, downstream: AppSide, first: int) -> bool:
        """Whether to send a request that was refused again, with the token that replaced the refused one."""
        if self.tokens is None or trip.token is None:
            return False
        if any(attempt.status == _REFUSED for attempt in trip.exchange.attempts[first:-1]):
            return False
        claims = claims_asked_for(trip.headers)
        renewed = await downstream.race(self.tokens.replace(trip.token, claims=claims))
        return renewed is not None and not isinstance(trip.body, Upload)

    async def _repeat(self, trip: RoundTrip, error: BaseException, downstream: AppSide, first: int) -> Repeat:
        """What to try again, after a pause. Raises ClientLeft, and the failure where that is the answer."""
        await trip.__aexit__(type(error), downstream.failure or error, None)
        if downstream.failure is not None:
            raise downstream.failure from error
        exchange = trip.exchange
        tried = exchange.attempts[first:]
        until = self._until(exchange, first)
        repeat = repeat_after(error, method=exchange.method, body=trip.body, tried=tried, until=until)
        if repeat is None:
            raise error
        # A connection that died is no reason to wait: the next one is new.
        pause = 0.0 if repeat.reason == STALE else self.retries.pause(len(tried))
        if repeat.left <= pause or not self.told.circuit.passes or not self.retries.granted(len(tried)):
            raise error
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
