"""The watcher's reads: at the lowest priority, in traces of their own."""

import time
from dataclasses import dataclass
from http import HTTPStatus

from gateway import failures, routes
from gateway.exchange import Exchange
from gateway.job_requests.fetching import UNATTENDED, Fetching
from gateway.job_requests.turns import Turns
from gateway.jobs import Ledger, Priority, ReadOutcome, WatchRead
from gateway.jobs.reads import Caller, ReadAnswer, SharedReads, Unshared
from gateway.jobs.writes import DEFAULT_API_VERSION
from gateway.spans import ServerSpan, Spans

_QUERY = b"api-version=" + DEFAULT_API_VERSION
_PATIENCE = 3_600.0
"""Seconds: the watcher waits for as long as there is somebody before it."""


@dataclass(frozen=True, slots=True)
class WatcherReads:
    """Reads one job or lists a kind; what the answer says is in the ledger before the watcher goes on."""

    fetching: Fetching
    turns: Turns
    shared: SharedReads | None
    spans: Spans
    ledger: Ledger

    async def __call__(self, read: WatchRead) -> ReadOutcome:
        """Make the read; a failure is an outcome."""
        exchange = _exchange(read)
        span = self.spans.open_work(exchange, "watch jobs", read.links)
        try:
            answer = await self._answer(exchange, span)
        except Unshared:
            exchange.error_code = "too_large"
        except failures.GatewayError as failure:
            exchange.error_code = failure.code
        else:
            exchange.status = answer.status
            if answer.status != HTTPStatus.OK and not self._is_gone(read, answer):
                exchange.error_code = str(answer.status)
        finally:
            exchange.error_type = exchange.error_code
            exchange.finished = time.perf_counter()
            span.end(exchange)
        return ReadOutcome(ok=exchange.error_code is None, reason=exchange.error_code)

    def _is_gone(self, read: WatchRead, answer: ReadAnswer) -> bool:
        """Whether the upstream said that there is no such job; another 404 is about the host."""
        there = read.job_id is None or self.ledger.get(read.kind, read.job_id) is not None
        return answer.status == HTTPStatus.NOT_FOUND and not there

    async def _answer(self, exchange: Exchange, span: ServerSpan) -> ReadAnswer:
        turns = self.turns

        async def fetch(read: Exchange) -> ReadAnswer:
            return await self.fetching.fetch(read, span, turns.after_the_first(Priority.WATCH, _PATIENCE))

        # As for the apps: who has no token must not hold a turn that goes once one comes.
        await self.fetching.attempts.token(UNATTENDED)
        key = self.fetching.key(exchange)
        if self.shared is not None and key is not None:
            given = await self.shared.answer(key, Caller(exchange, fetch, Priority.WATCH, _PATIENCE))
            answer = given.answer
        else:
            await turns.governor.turn(Priority.WATCH, _PATIENCE)
            answer = await fetch(exchange)
            if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
                turns.throttled(answer.headers, Priority.WATCH)
        if answer.rest is not None:
            await answer.rest.aclose()
        return answer


def _exchange(read: WatchRead) -> Exchange:
    path = routes.job_path(read.kind, read.job_id)
    return Exchange(
        method="GET",
        raw_path=path,
        query=_QUERY,
        headers=[(b"accept", b"application/json")],
        route=routes.match("GET", path),
        started=time.perf_counter(),
        started_ns=time.time_ns(),
    )
