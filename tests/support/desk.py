"""Shared reads with a governor, a clock and an upstream that the test drives."""

import asyncio

from gateway import routes
from gateway.config import Jobs
from gateway.exchange import Exchange, RawHeaders, TraceIds
from gateway.jobs.governor import Governor, Priority
from gateway.jobs.reads import Caller, Given, ReadAnswer, ReadKey, SharedReads, read_key
from gateway.jobs.reads.answer import Rest
from tests.support.standing import leaves
from tests.support.timers import FakeTimers
from tests.support.token_sources import settle

QUERY = b"api-version=2023-10-31"
TRACE = TraceIds("1" * 32, "2" * 16, sampled=True, response_header=b"")


def read_of(
    path: str = "/jobs/imports/a", query: bytes = QUERY, headers: RawHeaders | None = None
) -> Exchange:
    raw = path.encode()
    return Exchange("GET", raw, query, headers or [], route=routes.match("GET", raw), trace=TRACE)


def key_of(exchange: Exchange) -> ReadKey:
    key = read_key(exchange, exchange.headers)
    assert key is not None
    return key


class Upstream:
    """Answers reads when the test says so."""

    def __init__(self, timers: FakeTimers) -> None:
        self.timers = timers
        self.asked: list[str] = []
        self.waiting: list[asyncio.Future[ReadAnswer]] = []
        self.sent: list[float] = []

    async def fetch(self, exchange: Exchange) -> ReadAnswer:
        self.asked.append(exchange.raw_path.decode())
        self.sent.append(self.timers.now)
        self.waiting.append(asyncio.get_running_loop().create_future())
        return await self.waiting[-1]

    async def answers(
        self,
        status: int = 200,
        body: bytes = b"{}",
        headers: RawHeaders | None = None,
        rest: Rest | None = None,
    ) -> None:
        """Answer the oldest open request."""
        await settle()
        future = self.waiting.pop(0)
        at = self.sent.pop(0)
        told = [(b"content-type", b"application/json"), *(headers or [])]
        future.set_result(ReadAnswer(status, told, body, at, self.timers.now, TRACE, rest=rest))
        await settle()

    async def breaks(self, error: Exception) -> None:
        await settle()
        self.sent.pop(0)
        self.waiting.pop(0).set_exception(error)
        await settle()


class Desk:
    """Shared reads with a governor, a clock and an upstream that the test drives."""

    def __init__(self, rate: float = 1.0, pause: float = 5.0, **settings: object) -> None:
        self.timers = FakeTimers()
        self.upstream = Upstream(self.timers)
        self.pause = pause
        self.governor = Governor(
            rate=rate, burst=1, max_queued=100, timers=self.timers, on_wait=lambda _priority, _seconds: None
        )
        self.reads = SharedReads(
            Jobs.model_validate(settings), self.governor, timers=self.timers, throttled=self._throttled
        )

    def _throttled(self, _answer: ReadAnswer, _priority: Priority) -> None:
        self.governor.pause(self.pause)

    def ask(
        self, exchange: Exchange | None = None, patience: float = 30.0, priority: Priority = Priority.READ
    ) -> "asyncio.Task[Given]":
        exchange = exchange or read_of()
        caller = Caller(exchange, self.upstream.fetch, priority, patience)
        return leaves(asyncio.create_task(self.reads.answer(key_of(exchange), caller)))
