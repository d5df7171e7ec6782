"""An app's write of the jobs routes: sent once, however often its SDK repeats it."""

import asyncio
import time
from dataclasses import dataclass

from gateway import bodies, failures, headers, routes
from gateway.attempts import Attempts, RoundTrip, Turn
from gateway.downstream import Downstream
from gateway.exchange import Exchange
from gateway.job_requests.answers import AnswerAtHand
from gateway.job_requests.fetching import Fetching, RestOf
from gateway.job_requests.turns import TOO_MANY_REQUESTS, Turns
from gateway.jobs import Priority
from gateway.jobs.reads import SharedReads
from gateway.jobs.writes import (
    Answer,
    Claim,
    Fingerprint,
    JobRead,
    Recorded,
    SendAgain,
    UnknownWrite,
    Verdict,
    WritesOnce,
    fingerprint,
    judge,
    operation_id,
    read_target,
)
from gateway.metrics import Metrics
from gateway.spans import ServerSpan

MAX_RECORDED = 65_536
"""Bytes of a success that are kept, to be given again."""

_REPLAYED = (b"x-gateway-replayed", b"true")
_UNAUTHORIZED = 401
_FIRST_REDIRECT = 300
_BAD_REQUEST = 400
_FIRST_SERVER_ERROR = 500


@dataclass(frozen=True, slots=True)
class JobWrites:
    """Answers every other method."""

    attempts: Attempts
    turns: Turns
    fetching: Fetching
    shared: SharedReads | None
    once: WritesOnce | None
    metrics: Metrics
    inject_operation_id: bool
    passes_credential: bool
    """Whether the app's own Authorization is what tells callers apart."""

    async def answered(
        self, exchange: Exchange, span: ServerSpan, downstream: Downstream
    ) -> AnswerAtHand | RoundTrip:
        """The answer, as a response the caller closes. Raises RateLimited and what an attempt raises."""
        body = await downstream.body()
        self._inject(exchange)
        turn = self._turn(exchange, downstream)
        mark = None
        if self.once is not None and (body is None or isinstance(body, bytes)):
            credential = exchange.header(b"authorization") if self.passes_credential else None
            mark = fingerprint(exchange, body, credential=credential)
        if self.once is None or mark is None:
            return await self.send(exchange, span, downstream, turn)
        # Whoever waits here has sent nothing: a client that leaves gives its place up.
        async with await downstream.race(self.once.claim(mark), unsent=True) as claim:
            whole = body if isinstance(body, bytes) else None
            return await _Repeatable(self, exchange, span, downstream, turn, mark, claim, whole).answered()

    async def send(
        self,
        exchange: Exchange,
        span: ServerSpan,
        downstream: Downstream,
        turn: Turn,
        mark: Fingerprint | None = None,
    ) -> RoundTrip:
        """Send the write; reads from before and meanwhile are neither joined nor kept."""
        route = exchange.route
        if self.once is not None and route.job_kind is not None:
            self.once.void(route.job_kind, route.job_id, mark)
        self._forget_reads()
        try:
            trip = await self.attempts.answered(exchange, span, downstream, turn)
        finally:
            self._forget_reads()
        if trip.status == TOO_MANY_REQUESTS and not self.turns.governor.off:
            self.turns.throttled(trip.headers, Priority.WRITE)
        return trip

    def _turn(self, exchange: Exchange, downstream: Downstream) -> Turn:
        deadline = asyncio.get_running_loop().time() + self.turns.patience(exchange)
        return self.turns.for_app(exchange, downstream, Priority.WRITE, deadline)

    def _inject(self, exchange: Exchange) -> None:
        job_id = operation_id(exchange) if self.inject_operation_id else None
        if job_id is not None:
            exchange.headers.append((b"operation-id", job_id.encode("ascii")))

    def _forget_reads(self) -> None:
        if self.shared is not None:
            self.shared.forget()


@dataclass(frozen=True, slots=True)
class _Repeatable:
    """A write that can be told from others, while its claim is held."""

    writes: JobWrites
    exchange: Exchange
    span: ServerSpan
    downstream: Downstream
    turn: Turn
    mark: Fingerprint
    claim: Claim
    body: bytes | None

    async def answered(self) -> AnswerAtHand | RoundTrip:
        """The answer of an earlier send where there is one, else of this."""
        if self.claim.recorded is not None:
            return self._again(self.claim.recorded, "recorded")
        if self.claim.unknown_since is not None:
            verdict = await self._read_what_became()
            if isinstance(verdict, Answer):
                return self._proven(verdict)
            if not isinstance(verdict, SendAgain):
                self.writes.metrics.write_replayed("unknown")
                raise failures.UpstreamConnectionLost(
                    f"This write was sent before, and its outcome is not known: {verdict.why}."
                )
        return await self._send()

    async def _send(self) -> AnswerAtHand | RoundTrip:
        async def turn_and_intent() -> None:
            await self.turn()
            await self.claim.sending()

        try:
            trip = await self.writes.send(
                self.exchange, self.span, self.downstream, turn_and_intent, self.mark
            )
        except BaseException:
            if not _may_have_run(self.exchange):
                self.claim.refused()
            raise
        if trip.status < _FIRST_REDIRECT:
            return await self._succeeded(trip)
        if trip.status < _FIRST_SERVER_ERROR:
            return await self._refused(trip)
        self.claim.unknown()
        return trip

    async def _succeeded(self, trip: RoundTrip) -> AnswerAtHand:
        """Read the answer before it is relayed, so that it can be given again."""
        try:
            body = await bodies.read_up_to(trip, MAX_RECORDED)
        except BaseException as error:
            await trip.__aexit__(type(error), error, None)
            raise
        recorded = None if body.whole is None else Recorded.of(trip.status, trip.headers, body.whole)
        self.claim.succeeded(recorded, self._job_id(trip))
        if body.rest is None:
            await trip.__aexit__(None, None, None)
        rest = None if body.rest is None else RestOf(trip)
        return AnswerAtHand(trip.status, trip.headers, body.start, observed=False, rest=rest)

    async def _refused(self, trip: RoundTrip) -> AnswerAtHand | RoundTrip:
        """A definite no; after an unknown outcome it may be about the job that the earlier send made."""
        if trip.status == _BAD_REQUEST and self.claim.unknown_since is not None:
            verdict = await self._read_what_became()
            if isinstance(verdict, Answer):
                await trip.__aexit__(None, None, None)
                return self._proven(verdict)
        self.claim.refused()
        return trip

    async def _read_what_became(self) -> Verdict:
        """Read the job that the write was about. Raises RateLimited and what a read raises."""
        writes, exchange = self.writes, self.exchange
        path, query = read_target(exchange, self.mark.job_id)
        request_id = exchange.header(b"x-ms-client-request-id")
        read = Exchange(
            method="GET",
            raw_path=path,
            query=query,
            headers=[(b"accept", b"application/json")],
            route=routes.match("GET", path),
            trace=exchange.trace,
            started=exchange.started,
            started_ns=exchange.started_ns,
        )
        if request_id is not None:
            read.headers.append((b"x-ms-client-request-id", request_id))
        turn = writes.turns.for_app(exchange, self.downstream, Priority.WRITE, self._deadline())
        began, waited = time.perf_counter(), exchange.rate_wait
        try:
            answer = await self.downstream.race(writes.fetching.fetch(read, self.span, turn), unsent=True)
        finally:
            exchange.upstream_wait += time.perf_counter() - began - (exchange.rate_wait - waited)
        whole = None
        if answer.rest is not None:
            await answer.rest.aclose()
        else:
            coding = headers.first(answer.headers, b"content-encoding")
            whole = bodies.decoded(answer.body, coding, writes.fetching.cap)
        unknown = UnknownWrite(
            self.mark, self.body, query, self.claim.unknown_since or 0.0, done=self.claim.done
        )
        return judge(unknown, JobRead(answer.status, answer.headers, whole, time.time()))

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self.writes.turns.patience(self.exchange)

    def _proven(self, verdict: Answer) -> AnswerAtHand:
        self.claim.succeeded(verdict.recorded, verdict.job_id)
        return self._again(verdict.recorded, "read")

    def _again(self, recorded: Recorded, result: str) -> AnswerAtHand:
        self.writes.metrics.write_replayed(result)
        self.exchange.added_headers.append(_REPLAYED)
        # The ledger has seen the creation that is given again; one that a read has proved is news to it.
        return AnswerAtHand(recorded.status, recorded.headers, recorded.body, observed=result == "recorded")

    def _job_id(self, trip: RoundTrip) -> str | None:
        if self.mark.job_id is not None:
            return self.mark.job_id
        told = headers.first(trip.headers, b"operation-id")
        return None if told is None else told.decode("latin-1")


def _may_have_run(exchange: Exchange) -> bool:
    """Whether the upstream may have carried the request out; it has not where it answered 401."""
    return any(attempt.sent and attempt.status != _UNAUTHORIZED for attempt in exchange.attempts)
