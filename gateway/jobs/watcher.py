"""Follows unfinished jobs to their end when nobody polls.

One task makes one read at a time and never two within `QUICKEST`, however much there is to follow; the
schedule says which one is next. What a read shows reaches the ledger by itself, so after a restart the ledger
is all that is needed.
"""

import asyncio
import contextlib
import contextvars
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.config import Jobs
from gateway.jobs.governor import TimerHandle, Timers
from gateway.jobs.ledger import Ledger
from gateway.jobs.model import printable
from gateway.jobs.observer import MAX_SHOWN_ID
from gateway.jobs.schedule import GIVE_UP_AFTER, QUICKEST, SLOWEST, Schedule, WatchRead

_MAX_GIVEN_UP = 10
_MAX_REASON = 64
_OUTAGE = 3
"""Failures in a row that are worth a line in the log."""
_QUIET = 600.0
"""Seconds between two such lines, at least."""
_TICK = 0.001
"""Seconds not worth a timer: loops count in milliseconds."""


@dataclass(frozen=True, slots=True)
class ReadOutcome:
    """What came of a read, once the ledger knows what the answer showed.

    An answer that says that the service does not know the job is a good one.
    """

    ok: bool
    reason: str | None = None
    """The error code or the failure's name where it is not ok; free text."""


@dataclass(frozen=True, slots=True)
class WatcherState:
    """The watcher at one moment, for people."""

    following: int
    """Unfinished jobs that it follows."""
    next_read_in: float | None
    """Seconds; 0 where one is due or under way, None where nothing is to be read."""
    failing_since: float | None
    """When the first of the failures came that nothing has worked since, seconds since the epoch."""
    given_up: tuple[str, ...]
    """`kind/id` of jobs no longer followed, printable; the first few of them."""


@dataclass(slots=True)
class _Outage:
    """Failures in a row, whatever was to be read; said once, and so is their end."""

    clock: Callable[[], float]
    monotonic: Callable[[], float]
    log: Callable[[str], None]
    failures: int = 0
    since: float | None = None
    """Seconds since the epoch."""
    _began: float = float("inf")
    _told: bool = False
    _told_at: float = float("-inf")

    def failed(self, reason: str) -> None:
        now = self.monotonic()
        if not self.failures:
            self.since, self._began = self.clock(), now
        self.failures += 1
        if self.failures >= _OUTAGE and not self._told and now - self._told_at >= _QUIET:
            self._told, self._told_at = True, now
            self.log(f"The watcher cannot read jobs, and goes on trying; the last failure: {reason}.")

    def end(self) -> float:
        """A read has worked; returns when the failures began, on the monotonic clock, infinity for none."""
        began, failures = self._began, self.failures
        self.failures, self.since, self._began = 0, None, float("inf")
        if self._told:
            self._told = False
            self.log(f"The watcher can read jobs again, after {failures} failures.")
        return began


class Watcher:
    """Reads the jobs of the ledger that have not ended, as `jobs.watch` says.

    `read` makes one read with the lowest priority, lets the ledger learn from the answer, and returns or
    raises what came of it. `clock` is the ledger's, in seconds since the epoch. `on_failure` is told the
    reason of each failed read, `log` what a person must know.
    """

    def __init__(
        self,
        ledger: Ledger,
        read: Callable[[WatchRead], Awaitable[ReadOutcome]],
        settings: Jobs,
        *,
        clock: Callable[[], float],
        timers: Timers,
        chance: random.Random,
        on_failure: Callable[[str], None],
        log: Callable[[str], None],
    ) -> None:
        self._ledger = ledger
        self._read = read
        self.off = settings.watch == "off"
        """Whether nothing is ever followed."""
        self._timers = timers
        self._on_failure = on_failure
        self._log = log
        self.on_duty: Callable[[], bool] = lambda: True
        """Whether this gateway follows jobs; when that may have changed, `resume` is to be called."""
        self._schedule = Schedule(settings.watch == "all", clock, timers.time, chance)
        self._outage = _Outage(clock, timers.time, log)
        self._free_at = timers.time()
        self._task: asyncio.Task[None] | None = None
        self._pause: asyncio.Future[None] | None = None
        self._timer: TimerHandle | None = None
        self._wakes_at = float("inf")

    def start(self) -> None:
        """Begin; does nothing where `jobs.watch` is off."""
        if not self.off and self._task is None:
            context = contextvars.Context()  # its reads belong to no request
            self._task = asyncio.create_task(self._follow(), name="job watcher", context=context)

    async def aclose(self) -> None:
        """Stop, and abandon the read under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def poke(self) -> None:
        """The ledger has changed. Costs nothing to speak of: the watcher looks once for many pokes."""
        # Nothing that was seen now is due before.
        self._wake_by(self._timers.time() + QUICKEST)

    def resume(self) -> None:
        """Look at once what is to be done."""
        self._wake_by(self._timers.time())

    def state(self) -> WatcherState:
        """A snapshot for the status page."""
        if self.off or not self.on_duty():
            return WatcherState(0, None, None, ())
        jobs = self._ledger.unfinished()
        plan = self._schedule.plan(jobs)
        given_up = self._schedule.given_up()
        return WatcherState(
            following=len(jobs) - len(given_up),
            next_read_in=None if plan is None else max(0.0, self._wait(plan.at)),
            failing_since=self._outage.since,
            given_up=tuple(_shown(*key) for key in given_up[:_MAX_GIVEN_UP]),
        )

    def _wait(self, at: float) -> float:
        return max(at, self._free_at) - self._timers.time()

    async def _follow(self) -> None:
        while True:
            try:
                await self._step()
            except Exception as error:  # noqa: BLE001 - whatever it was, there are jobs to be followed
                with contextlib.suppress(Exception):
                    self._failed(type(error).__name__)
                await self._sleep_until(self._timers.time() + SLOWEST)

    async def _step(self) -> None:
        """One read, or the sleep until it is due."""
        plan = self._schedule.plan(self._ledger.unfinished()) if self.on_duty() else None
        if plan is None:
            await self._sleep_until(float("inf"))
            return
        wait = self._wait(plan.at)
        if wait > _TICK:
            await self._sleep_until(self._timers.time() + wait)
            return
        failure = await self._failure_of(plan.read)
        failure = self._schedule.settle(plan, failure, self._ledger.unfinished())
        if failure is None:
            self._schedule.forgive(self._outage.end())
        else:
            self._failed(failure)
            self._complain_of(plan.read, failure)

    async def _failure_of(self, read: WatchRead) -> str | None:
        try:
            outcome = await self._read(read)
        except asyncio.CancelledError as error:
            # A read that was cancelled by others, as against the watcher itself, is one that failed.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return type(error).__name__
        except Exception as error:  # noqa: BLE001 - no fault of a read ends the following
            return type(error).__name__
        finally:
            self._free_at = self._timers.time() + QUICKEST
        return None if outcome.ok else printable(outcome.reason or "unknown", _MAX_REASON)

    def _failed(self, reason: str) -> None:
        self._outage.failed(reason)
        self._on_failure(reason)

    def _complain_of(self, read: WatchRead, reason: str) -> None:
        if read.job_id is None or (read.kind, read.job_id) not in self._schedule.given_up():
            return
        job = _shown(read.kind, read.job_id)
        self._log(
            f"The watcher gives up on {job} after {GIVE_UP_AFTER} failures in a row; the last one: {reason}. "
            "It follows the job again once another request shows it."
        )

    async def _sleep_until(self, when: float) -> None:
        """Sleep until then, or until a poke wakes it before; without a timer where that is never."""
        self._pause = asyncio.get_running_loop().create_future()
        self._wakes_at = float("inf")
        self._wake_by(when)
        try:
            await self._pause
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._pause = self._timer = None

    def _wake_by(self, when: float) -> None:
        if self._pause is None or when >= self._wakes_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wakes_at = when
        self._timer = self._timers.call_at(when, self._wake)

    def _wake(self) -> None:
        if self._pause is not None and not self._pause.done():
            self._pause.set_result(None)


def _shown(kind: str, job_id: str) -> str:
    return f"{kind}/{printable(job_id, MAX_SHOWN_ID)}"
