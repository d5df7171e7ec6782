"""A service with jobs, and a watcher that reads them, in virtual time."""

import asyncio
import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from gateway.config import Jobs
from gateway.jobs import JobRecord, ReadOutcome, SpanContext, Watcher, WatchRead
from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.model import JobState
from gateway.jobs.shown import Shown
from tests.support.job_answers import JobsRoom
from tests.support.virtual_time import Timers, VirtualLoop

LATENCY = 0.05
"""Seconds from a request to its answer."""


@dataclass(frozen=True)
class Asked:
    """A read of the watcher, in seconds since the start."""

    at: float
    read: WatchRead

    @property
    def job_id(self) -> str | None:
        return self.read.job_id

    @property
    def kind(self) -> str:
        return self.read.kind


@dataclass
class _Job:
    kind: str
    id: str
    created: float
    lasts: float
    status: str = "running"

    def state(self, now: float) -> JobState:
        over = now >= self.created + self.lasts
        return JobState(
            id=self.id,
            status="succeeded" if over else self.status,
            created=int(self.created * NANOSECONDS),
            finished=int((self.created + self.lasts) * NANOSECONDS) if over else None,
        )


class Watched:
    """A service, the ledger of what was seen of it, and a watcher; everything in virtual time."""

    def __init__(self, watch: str = "seen", *, page: int = 100, restarted: "Watched | None" = None) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._loop = loop
        self._start = loop.time()
        self.wall = loop.wall
        self.room: JobsRoom = restarted.room if restarted else JobsRoom(clock=loop.wall)
        if restarted:
            self.room.restart()
        self.page = page
        self.latency = LATENCY
        self.failing: Callable[[WatchRead], BaseException | str | None] = lambda _: None
        self.unreadable = False
        self.asked: list[Asked] = []
        self.under_way = 0
        self.failures: list[str] = []
        self.lines: list[str] = []
        self.timers = Timers()
        self.broken_ears = False
        self.service: dict[tuple[str, str], _Job] = restarted.service if restarted else {}
        self._traces = 0
        settings = Jobs.model_validate({"watch": watch})
        self.watcher = Watcher(
            self.room.ledger,
            self._read,
            settings,
            clock=self.wall,
            timers=self.timers,
            chance=random.Random(1),  # noqa: S311 - jitter that can be repeated
            on_failure=self._count,
            log=self._log,
        )

    async def __aenter__(self) -> Self:
        self.watcher.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.watcher.aclose()

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return self._loop.time() - self._start

    async def until(self, moment: float) -> None:
        """Let time pass."""
        await asyncio.sleep(moment - self.now)

    def happens(self, job_id: str, *, kind: str = "import", lasts: float = 1e6, age: float = 0.0) -> None:
        """A job begins of which the gateway hears nothing."""
        self.service[kind, job_id] = _Job(kind, job_id, self.wall() - age, lasts)

    def create(self, job_id: str, *, kind: str = "import", lasts: float = 1e6) -> None:
        """An app creates a job through the gateway."""
        self.happens(job_id, kind=kind, lasts=lasts)
        self._traces += 1
        state = self.service[kind, job_id].state(self.wall())
        self.room.ledger.created(kind, state, span(self._traces))
        self.watcher.poke()

    def cancels(self, job_id: str) -> None:
        """Somebody cancels an import, and the gateway hears nothing."""
        self.service["import", job_id].status = "cancelling"

    def vanishes(self, job_id: str) -> None:
        """Somebody deletes an import, and the gateway hears nothing."""
        del self.service["import", job_id]

    def poll(self, *job_ids: str, kind: str = "import") -> None:
        """An app reads jobs."""
        self._show(kind, job_ids)
        self.watcher.poke()

    def known(self, job_id: str, kind: str = "import") -> JobRecord:
        return self.room.known(job_id, kind)

    def reads(self, start: float = 0.0, end: float = 1e9) -> list[str | None]:
        """What was read in a time: ids, None for lists."""
        return [asked.job_id for asked in self.asked if start <= asked.at < end]

    def gaps(self, wanted: Callable[[WatchRead], bool] = lambda _: True) -> list[float]:
        """Seconds between one read, of those wanted, and the next."""
        times = [asked.at for asked in self.asked if wanted(asked.read)]
        return [after - before for before, after in itertools.pairwise(times)]

    def _count(self, reason: str) -> None:
        self.failures.append(reason)
        if self.broken_ears:
            raise OSError

    def _log(self, line: str) -> None:
        self.lines.append(line)
        if self.broken_ears:
            raise OSError

    async def _read(self, read: WatchRead) -> ReadOutcome:
        self.asked.append(Asked(self.now, read))
        self.under_way += 1
        try:
            assert self.under_way == 1
            await asyncio.sleep(self.latency)
        finally:
            self.under_way -= 1
        failure = self.failing(read)
        if isinstance(failure, BaseException):
            raise failure
        if failure is None and not self.unreadable:
            self._answer(read)
        return ReadOutcome(failure is None, failure)

    def _answer(self, read: WatchRead) -> None:
        if read.job_id is None:
            newest = sorted(self.service.values(), key=lambda job: job.created, reverse=True)
            self._show(read.kind, [job.id for job in newest if job.kind == read.kind][: self.page])
        elif (read.kind, read.job_id) in self.service:
            self._show(read.kind, [read.job_id])
        else:
            self.room.ledger.left(read.kind, read.job_id)

    def _show(self, kind: str, job_ids: Iterable[str]) -> None:
        states = [self.service[kind, job_id].state(self.wall()) for job_id in job_ids]
        self.room.ledger.seen(kind, Shown(states), span(0))


def span(number: int) -> SpanContext:
    """A span context that can be told from others."""
    return SpanContext(f"{number:032x}", f"{number:016x}", sampled=True)
