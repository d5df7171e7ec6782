"""A write that can be told from others: given again where it was sent before, else sent."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from gateway import bodies, failures, headers, routes
from gateway.attempts import RoundTrip, Turn
from gateway.downstream import Downstream
from gateway.exchange import Exchange, RawHeaders
from gateway.job_requests.answers import AnswerAtHand
from gateway.job_requests.fetching import Fetching, rest_of
from gateway.job_requests.fleet import Settling
from gateway.job_requests.turns import Turns
from gateway.jobs import Ledger, Priority
from gateway.jobs.model import printable
from gateway.jobs.observer import MAX_SHOWN_ID
from gateway.jobs.reads import ReadAnswer
from gateway.jobs.writes import (
    Answer,
    Claim,
    Fingerprint,
    JobRead,
    Recorded,
    SendAgain,
    StillUnknown,
    UnknownWrite,
    Verdict,
    judge,
    read_target,
)
from gateway.spans import ServerSpan

_REPLAYED = (b"x-gateway-replayed", b"true")
_LENT = frozenset({b"authorization", b"x-ms-client-request-id"})
"""Headers of the write that its read has too; a credential of the app's goes no further than on the write."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The request for a write, and what it takes to send it."""

    exchange: Exchange
    span: ServerSpan
    downstream: Downstream
    turn: Turn | None
    mark: Fingerprint | None = None
    """None where it cannot be told from others."""
    body: bytes | None = field(default=None, repr=False)


Send = Callable[[Asked, Claim | None], Awaitable[RoundTrip]]
"""Sends a write; see `JobWrites.send`."""


async def answer_of_write(
    exchange: Exchange, trip: RoundTrip, body: bodies.Body, store: Settling
) -> AnswerAtHand:
    """The answer to a write that was done, once the store has what the ledger learned: an app that has been
    told of a job must not be the only one to know of it.
    """
    rest = rest_of(trip, body)
    try:
        await store.settled()
    except BaseException as error:
        if rest is not None:
            await rest.aclose(error)
        raise
    return AnswerAtHand(exchange, trip.status, trip.headers, body.start, observed=True, rest=rest)


@dataclass(frozen=True, slots=True)
class Repeatable:
    """A write that can be told from others, while its claim is held."""

    send: Send
    fetching: Fetching
    turns: Turns
    ledger: Ledger
    store: Settling
    asked: Asked
    claim: Claim

    @property
    def mark(self) -> Fingerprint:
        """What tells the write from others."""
        if self.asked.mark is None:
            raise ValueError("a write that cannot be told from others has no claim")
        return self.asked.mark

    async def answered(self) -> AnswerAtHand | RoundTrip:
        """The answer of an earlier send where there is one, else of this."""
        if self.claim.recorded is not None:
            return self._again(self.claim.recorded, "recorded")
        if self.claim.unknown_since is not None:
            verdict = await self._verdict()
            if isinstance(verdict, Answer):
                return self._proven(verdict)
            if not isinstance(verdict, SendAgain):
                self.fetching.metrics.write_replayed("unknown")
                raise failures.UpstreamConnectionLost(
                    f"This write was sent before, and its outcome is not known: {verdict.why}."
                )
            self.asked.exchange.sent_before = False
        return await self._sent()

    async def _sent(self) -> AnswerAtHand | RoundTrip:
        asked = self.asked
        try:
            trip = await self.send(asked, self.claim)
        except BaseException:
            if not asked.exchange.may_have_run:
                self.claim.refused()
            raise
        if trip.status < HTTPStatus.MULTIPLE_CHOICES:
            return await self._succeeded(trip)
        if trip.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            return await self._refused(trip)
        self.claim.unknown()
        return trip

    async def _succeeded(self, trip: RoundTrip) -> AnswerAtHand:
        """Read the answer before it is relayed, so that it can be given again."""
        body = await self.fetching.take(self.asked.exchange, trip)
        recorded = None if body.whole is None else Recorded.of(trip.status, trip.headers, body.whole)
        self.claim.succeeded(recorded, self._job_id(trip.headers))
        return await answer_of_write(self.asked.exchange, trip, body, self.store)

    async def _refused(self, trip: RoundTrip) -> AnswerAtHand | RoundTrip:
        """A definite no; after an unknown outcome it may be about the job that the earlier send made."""
        if trip.status == HTTPStatus.BAD_REQUEST and self.claim.unknown_since is not None:
            try:
                verdict = await self._verdict()
            except BaseException as error:
                await trip.__aexit__(type(error), error, None)
                raise
            if isinstance(verdict, Answer):
                await trip.__aexit__(None, None, None)
                return self._proven(verdict)
        self.claim.refused()
        return trip

    async def _verdict(self) -> Verdict:
        """What a read of the job says; where it cannot be read, the write stays unknown."""
        try:
            return await self._read_what_became()
        except failures.GatewayError as failure:
            return StillUnknown(f"the job could not be read ({failure.code})")

    async def _read_what_became(self) -> Verdict:
        """Read the job that the write was about. Raises RateLimited and what a read raises."""
        exchange, mark = self.asked.exchange, self.mark
        path, query = read_target(exchange, mark.job_id)
        read = Exchange(
            method="GET",
            raw_path=path,
            query=query,
            headers=[(b"accept", b"application/json"), *(h for h in exchange.headers if h[0] in _LENT)],
            route=routes.match("GET", path),
            trace=exchange.trace,
            started=exchange.started,
            started_ns=exchange.started_ns,
        )
        began, waited = time.perf_counter(), exchange.rate_wait
        try:
            answer = await self._read(read)
        finally:
            exchange.upstream_wait += time.perf_counter() - began - (exchange.rate_wait - waited)
        whole = None
        if answer.rest is None:
            coding = headers.first(answer.headers, b"content-encoding")
            whole = bodies.decoded(answer.body, coding, self.fetching.cap)
        # The write's time is read together with the answer's: the wall clock may have been set meanwhile.
        came = time.time() - (asyncio.get_running_loop().time() - answer.came_at)
        since = self.claim.unknown_since or came
        unknown = UnknownWrite(mark, self.asked.body, query, since, done=self.claim.done)
        verdict = judge(unknown, JobRead(answer.status, answer.headers, whole, came))
        return (
            StillUnknown("the deletion that was found is another's")
            if self._is_anothers(verdict)
            else verdict
        )

    def _is_anothers(self, verdict: Verdict) -> bool:
        """Whether the deletion that a list showed was answered to another request of this gateway's."""
        if not isinstance(verdict, Answer) or verdict.job_id is None or self.mark.job_id is not None:
            return False
        known = self.ledger.get(self.mark.kind, verdict.job_id)
        return known is not None and known.created_here

    async def _read(self, read: Exchange) -> ReadAnswer:
        """The answer to a read; one that met a 429 goes again while the app's patience allows."""
        asked, turns = self.asked, self.turns
        while True:
            fetching = self.fetching.fetch(read, asked.span, asked.turn)
            answer = await asked.downstream.race(fetching, unsent=True)
            if answer.rest is not None:
                await answer.rest.aclose()
            if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
                return answer
            turns.throttled(answer.headers, Priority.WRITE)
            if turns.governor.off:
                return answer

    def _proven(self, verdict: Answer) -> AnswerAtHand:
        self.claim.succeeded(verdict.recorded, verdict.job_id)
        return self._again(verdict.recorded, "read")

    def _again(self, recorded: Recorded, result: str) -> AnswerAtHand:
        self.fetching.metrics.write_replayed(result)
        exchange = self.asked.exchange
        exchange.replayed = result
        exchange.added_headers.append(_REPLAYED)
        job_id = self._job_id(recorded.headers)
        if job_id is not None:
            exchange.job_id = printable(job_id, MAX_SHOWN_ID)
        # The ledger has seen the creation that is given again; one that a read has proved is news to it.
        return AnswerAtHand(
            exchange, recorded.status, recorded.headers, recorded.body, observed=result == "recorded"
        )

    def _job_id(self, answer: RawHeaders) -> str | None:
        if self.mark.job_id is not None:
            return self.mark.job_id
        told = headers.first(answer, b"operation-id")
        return None if told is None else told.decode("latin-1")
