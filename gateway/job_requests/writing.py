"""An app's write of the jobs routes: sent once, however often its SDK repeats it."""

import asyncio
import time
from dataclasses import dataclass
from http import HTTPStatus

from gateway.attempts import Attempts, RoundTrip, Turn
from gateway.downstream import Downstream
from gateway.exchange import Exchange
from gateway.job_requests.answers import AnswerAtHand
from gateway.job_requests.fetching import Fetching
from gateway.job_requests.fleet import Settling
from gateway.job_requests.repeats import Asked, Repeatable, answer_of_write
from gateway.job_requests.turns import Turns
from gateway.jobs import Ledger, Priority
from gateway.jobs.reads import SharedReads
from gateway.jobs.writes import Claim, Fingerprint, WritesOnce, can_be_told, fingerprint, operation_id
from gateway.spans import ServerSpan


@dataclass(frozen=True, slots=True)
class JobWrites:
    """Answers every other method."""

    attempts: Attempts
    turns: Turns
    fetching: Fetching
    shared: SharedReads | None
    once: WritesOnce | None
    ledger: Ledger
    store: Settling
    inject_operation_id: bool
    passes_credential: bool
    """Whether the app's own Authorization is what tells callers apart."""

    async def answered(
        self, exchange: Exchange, span: ServerSpan, downstream: Downstream
    ) -> AnswerAtHand | RoundTrip:
        """The answer, as a response the caller closes. Raises RateLimited and what an attempt raises."""
        if self.once is None or not can_be_told(exchange):
            # The others may have been sent before, and their answer be at hand: only the body tells.
            self.attempts.check()
        body = await downstream.body()
        self._inject(exchange)
        mark = None
        if self.once is not None and (body is None or isinstance(body, bytes)):
            credential = exchange.header(b"authorization") if self.passes_credential else None
            mark = fingerprint(exchange, body, credential=credential)
        if self.once is None or mark is None:
            trip = await self.send(Asked(exchange, span, downstream, self._turn(exchange, downstream)))
            if exchange.route.job_kind is None or trip.status >= HTTPStatus.MULTIPLE_CHOICES:
                return trip
            return await answer_of_write(exchange, trip, await self.fetching.take(exchange, trip), self.store)
        async with await self._claimed(self.once, mark, exchange, downstream) as claim:
            whole = body if isinstance(body, bytes) else None
            asked = Asked(exchange, span, downstream, self._turn(exchange, downstream), mark, whole)
            write = Repeatable(self.send, self.fetching, self.turns, self.ledger, self.store, asked, claim)
            return await write.answered()

    async def send(self, asked: Asked, claim: Claim | None = None) -> RoundTrip:
        """Send the write; reads from before and meanwhile are neither joined nor kept."""
        exchange, route = asked.exchange, asked.exchange.route

        async def turn_and_intent() -> None:
            if asked.turn is not None:
                await asked.turn()
            # Only now: a write that gets no turn has touched nothing.
            if self.once is not None and route.job_kind is not None:
                job_id = route.job_id if asked.mark is None else asked.mark.job_id
                self.once.void(route.job_kind, job_id, asked.mark)
            self._forget_reads()
            if claim is not None:
                with self.turns.governor.using() as use:
                    await claim.sending()
                if use.lapsed and asked.turn is not None:
                    await asked.turn()

        try:
            trip = await self.attempts.answered(exchange, asked.span, asked.downstream, turn_and_intent)
        finally:
            if exchange.attempts:
                self._forget_reads()
        if trip.status == HTTPStatus.TOO_MANY_REQUESTS:
            self.turns.throttled(trip.headers, Priority.WRITE)
        return trip

    async def _claimed(
        self, once: WritesOnce, mark: Fingerprint, exchange: Exchange, downstream: Downstream
    ) -> Claim:
        """The claim on the write. Whoever waits for it has sent nothing: a client that leaves gives it up."""
        began = time.perf_counter()
        exchange.sent_before = once.is_claimed(mark)
        claim = await downstream.race(once.claim(mark), unsent=True)
        exchange.sent_before = claim.unknown_since is not None
        exchange.upstream_wait += time.perf_counter() - began
        return claim

    def _turn(self, exchange: Exchange, downstream: Downstream) -> Turn | None:
        deadline = asyncio.get_running_loop().time() + self.turns.patience(exchange)
        return self.turns.for_app(exchange, downstream, Priority.WRITE, deadline)

    def _inject(self, exchange: Exchange) -> None:
        job_id = operation_id(exchange) if self.inject_operation_id else None
        if job_id is not None:
            exchange.add_header(b"operation-id", job_id.encode("ascii"))

    def _forget_reads(self) -> None:
        if self.shared is not None:
            self.shared.forget()
