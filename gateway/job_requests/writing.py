"""An app's write of the jobs routes: sent once, however often its SDK repeats it."""

import asyncio
from dataclasses import dataclass

from gateway.attempts import Attempts, RoundTrip, Turn
from gateway.downstream import Downstream
from gateway.exchange import Exchange
from gateway.job_requests.answers import AnswerAtHand
from gateway.job_requests.fetching import Fetching
from gateway.job_requests.repeats import Asked, Repeatable
from gateway.job_requests.turns import TOO_MANY_REQUESTS, Turns
from gateway.jobs import Ledger, Priority
from gateway.jobs.reads import SharedReads
from gateway.jobs.writes import Claim, Fingerprint, WritesOnce, fingerprint, operation_id
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
    inject_operation_id: bool
    passes_credential: bool
    """Whether the app's own Authorization is what tells callers apart."""

    async def answered(
        self, exchange: Exchange, span: ServerSpan, downstream: Downstream
    ) -> AnswerAtHand | RoundTrip:
        """The answer, as a response the caller closes. Raises RateLimited and what an attempt raises."""
        body = await downstream.body()
        self._inject(exchange)
        deadline = asyncio.get_running_loop().time() + self.turns.patience(exchange)
        turn = self.turns.for_app(exchange, downstream, Priority.WRITE, deadline)
        mark = None
        if self.once is not None and (body is None or isinstance(body, bytes)):
            credential = exchange.header(b"authorization") if self.passes_credential else None
            mark = fingerprint(exchange, body, credential=credential)
        if self.once is None or mark is None:
            return await self.send(exchange, span, downstream, turn)
        # Whoever waits here has sent nothing: a client that leaves gives its place up.
        async with await downstream.race(self.once.claim(mark), unsent=True) as claim:
            whole = body if isinstance(body, bytes) else None
            asked = Asked(exchange, span, downstream, turn, mark, whole)
            return await Repeatable(
                self.send, self.fetching, self.turns, self.ledger, asked, claim
            ).answered()

    async def send(
        self,
        exchange: Exchange,
        span: ServerSpan,
        downstream: Downstream,
        turn: Turn,
        mark: Fingerprint | None = None,
        claim: Claim | None = None,
    ) -> RoundTrip:
        """Send the write; reads from before and meanwhile are neither joined nor kept."""
        route = exchange.route

        async def turn_and_intent() -> None:
            await turn()
            # Only now: a write that gets no turn has touched nothing.
            if self.once is not None and route.job_kind is not None:
                self.once.void(route.job_kind, route.job_id if mark is None else mark.job_id, mark)
            self._forget_reads()
            if claim is not None:
                await claim.sending()
                # The store may be slow, and the next request must not come too soon after this one.
                self.turns.governor.used()

        try:
            trip = await self.attempts.answered(exchange, span, downstream, turn_and_intent)
        finally:
            self._forget_reads()
        if trip.status == TOO_MANY_REQUESTS and not self.turns.governor.off:
            self.turns.throttled(trip.headers, Priority.WRITE)
        return trip

    def _inject(self, exchange: Exchange) -> None:
        job_id = operation_id(exchange) if self.inject_operation_id else None
        if job_id is not None:
            exchange.headers.append((b"operation-id", job_id.encode("ascii")))

    def _forget_reads(self) -> None:
        if self.shared is not None:
            self.shared.forget()
