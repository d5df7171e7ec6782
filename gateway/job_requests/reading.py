"""An app's read of the jobs routes: kept, shared with others, or by itself."""

import asyncio
import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from gateway.attempts import Attempts, RoundTrip, Turn
from gateway.downstream import Downstream
from gateway.exchange import Exchange
from gateway.job_requests.answers import AnswerAtHand
from gateway.job_requests.fetching import Fetching
from gateway.job_requests.turns import Turns
from gateway.jobs import Priority
from gateway.jobs.reads import BYPASS, Caller, Given, ReadAnswer, ReadKey, SharedReads, Unshared
from gateway.metrics import Metrics
from gateway.spans import ServerSpan

_TOO_MANY_REQUESTS: Final = HTTPStatus.TOO_MANY_REQUESTS.value


@dataclass(frozen=True, slots=True)
class JobReads:
    """Answers the methods that change nothing."""

    attempts: Attempts
    turns: Turns
    fetching: Fetching
    shared: SharedReads | None
    """None where reads are not shared: by configuration, or because the token is the app's own."""
    metrics: Metrics

    async def answered(
        self, exchange: Exchange, span: ServerSpan, downstream: Downstream
    ) -> AnswerAtHand | RoundTrip:
        """The answer, as a response the caller closes. Raises RateLimited and what an attempt raises."""
        deadline = math.inf
        if not self.turns.governor.off:
            deadline = asyncio.get_running_loop().time() + self.turns.patience(exchange)
        shared = self.shared
        if shared is not None and (key := self.fetching.key(exchange)) is not None:
            try:
                return await self._given(shared, key, exchange, span, downstream)
            except Unshared:
                # A request of its own follows.
                pass
        turn = self.turns.for_app(exchange, downstream, Priority.READ, deadline)
        trip = await self.attempts.answered(exchange, span, downstream, turn)
        if trip.status == _TOO_MANY_REQUESTS:
            trip = await self._again(trip, span, downstream, turn, deadline)
        if exchange.route.job_kind is not None:
            self._count(exchange, "bypass")
            if shared is not None:
                exchange.added_headers.append(BYPASS)
        return trip

    async def _given(
        self, shared: SharedReads, key: ReadKey, exchange: Exchange, span: ServerSpan, downstream: Downstream
    ) -> AnswerAtHand:
        await downstream.body()
        # A request without a token must not stand in the queue: once one comes all of them would go at once.
        await self.attempts.token(downstream)

        async def fetch(read: Exchange) -> ReadAnswer:
            return await self.fetching.fetch(read, span, self.turns.after_the_first(Priority.READ, patience))

        patience = self.turns.patience(exchange)
        caller = Caller(exchange, fetch, Priority.READ, patience)
        given = await downstream.race(shared.answer(key, caller))
        self._tell(exchange, span, given)
        return AnswerAtHand.of_read(exchange, given.answer, given.headers(exchange))

    def _tell(self, exchange: Exchange, span: ServerSpan, given: Given) -> None:
        self._count(exchange, given.result)
        exchange.job_id = given.answer.job_id or exchange.job_id
        exchange.job_status = given.answer.job_status
        if given.how == "miss":
            exchange.attempts = given.answer.attempts
        if given.answer.trace != exchange.trace:
            span.link(given.answer.trace)

    async def _again(
        self, trip: RoundTrip, span: ServerSpan, downstream: Downstream, turn: Turn | None, deadline: float
    ) -> RoundTrip:
        """One that met a 429 goes again for as long as it can have a turn before the deadline."""
        loop, governor, exchange = asyncio.get_running_loop(), self.turns.governor, trip.exchange
        while trip.status == _TOO_MANY_REQUESTS:
            self.turns.throttled(trip.headers, Priority.READ)
            if governor.off or loop.time() + governor.expected_wait(Priority.READ) > deadline:
                break
            await trip.__aexit__(None, None, None)
            trip = await self.attempts.answered(exchange, span, downstream, turn)
            self.metrics.retried("throttled")
        return trip

    def _count(self, exchange: Exchange, result: str) -> None:
        exchange.read_result = result
        self.metrics.job_read(result)
