"""What the jobs routes need for as long as the gateway runs: made here, closed in reverse order."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from gateway.attempts import Attempts
from gateway.config import Jobs, Settings
from gateway.job_requests.fetching import Fetching
from gateway.job_requests.fleet import Company, Settling, join_fleet
from gateway.job_requests.reading import JobReads
from gateway.job_requests.turns import Turns
from gateway.job_requests.watching import WatcherReads
from gateway.job_requests.writing import JobWrites
from gateway.jobs import FinishedJob, Governor, JobObserver, Ledger, Priority, Watcher
from gateway.jobs.fleet_ledger import FleetLedger
from gateway.jobs.reads import ReadAnswer, SharedReads
from gateway.jobs.stores import Store, open_store
from gateway.jobs.writes import WritesOnce
from gateway.metrics import Metrics
from gateway.spans import JobSpan, Spans

_RUN = "run"
"""The store's space for what one gateway tells the next of itself."""
_ENDED = "ended"

_log = logging.getLogger("gateway.jobs")


@dataclass(frozen=True, slots=True)
class JobsSide:
    """The gateway's knowledge of jobs, and its ways to the Jobs API."""

    ledger: Ledger
    observer: JobObserver
    governor: Governor
    store: Store
    watcher: Watcher
    reads: JobReads
    writes: JobWrites
    company: Company | None
    """The other gateways; None without `fleet.url`."""


async def open_jobs(
    settings: Settings, attempts: Attempts, spans: Spans, metrics: Metrics, stack: AsyncExitStack
) -> JobsSide:
    """Open the store, restore the ledger, start the watcher; `stack` closes them."""
    jobs = settings.jobs
    store = await open_store(jobs, log=_log.error)
    stack.push_async_callback(store.aclose)
    company = await join_fleet(settings, metrics, stack)
    ledger, shared_ledger = _ledger(jobs, spans, metrics, store, company)
    stack.callback(store.put, _RUN, _ENDED, b"")
    observer = JobObserver(ledger)
    turns = Turns(_governor(jobs, metrics, attempts, company), metrics, jobs.max_wait)
    stack.push_async_callback(turns.governor.aclose)
    fetching = Fetching(attempts, observer, metrics, settings.limits.observed_body)
    shared = _shared(settings, turns, company)
    if shared is not None:
        stack.push_async_callback(shared.aclose)
    watcher = _watcher(settings, ledger, WatcherReads(fetching, turns, shared, spans, ledger), metrics)
    observer.on_seen = watcher.poke
    if shared_ledger is not None:
        shared_ledger.on_seen = watcher.poke
        stack.push_async_callback(shared_ledger.aclose)
        await shared_ledger.open(ledger)
    if company is not None:
        company.share_watch(watcher, stack)
    stack.push_async_callback(watcher.aclose)
    watcher.start()
    once = await _once(settings, store, company, stack)
    writes = JobWrites(
        attempts=attempts,
        turns=turns,
        fetching=fetching,
        shared=shared,
        once=once,
        ledger=ledger,
        store=Settling(store, None if company is None else company.peers),
        inject_operation_id=jobs.inject_operation_id,
        passes_credential=settings.auth.mode == "passthrough",
    )
    reads = JobReads(attempts, turns, fetching, shared, metrics)
    side = JobsSide(ledger, observer, turns.governor, store, watcher, reads, writes, company)
    _show(side, settings, metrics)
    return side


def _ledger(
    jobs: Jobs, spans: Spans, metrics: Metrics, store: Store, company: Company | None
) -> tuple[Ledger, FleetLedger | None]:
    """The ledger as the store has it, and what it is to have to do with those of other gateways."""
    show = partial(_show_span, spans, link=jobs.span == "link")
    tell = partial(_finished, metrics, show)
    shared = None if company is None else company.ledger(tell)
    ledger = Ledger(jobs, clock=time.time, on_finished=tell, store=store, shared=shared)
    if not _ended_well(store):
        for job in ledger.told_before:
            # The same span as before, by its id: where it has arrived, nothing changes.
            show(job)
    return ledger, shared


def _ended_well(store: Store) -> bool:
    """Whether the gateway before this one ended in good order, its spans exported."""
    told = store.load(_RUN)
    store.remove(_RUN, _ENDED)
    return _ENDED in told


async def _once(
    settings: Settings, store: Store, company: Company | None, stack: AsyncExitStack
) -> WritesOnce | None:
    if not settings.jobs.writes_once:
        return None
    once = WritesOnce(store, clock=time.time, fleet=None if company is None else company.writes())
    stack.push_async_callback(once.aclose)
    await once.open()
    return once


def _governor(jobs: Jobs, metrics: Metrics, attempts: Attempts, company: Company | None) -> Governor:
    def waited(priority: Priority, seconds: float) -> None:
        metrics.rate_waited(_label(priority), seconds)

    return Governor(
        rate=jobs.rate,
        burst=jobs.burst,
        max_queued=jobs.max_queued,
        timers=asyncio.get_running_loop(),
        on_wait=waited,
        barred=attempts.told.circuit.check,
        peers=None if company is None else company.peers,
    )


def _watcher(settings: Settings, ledger: Ledger, read: WatcherReads, metrics: Metrics) -> Watcher:
    jobs = settings.jobs
    if settings.auth.mode == "passthrough":
        # The token is the app's: the gateway has none to ask with.
        jobs = jobs.model_copy(update={"watch": "off"})
    return Watcher(
        ledger,
        read,
        jobs,
        clock=time.time,
        timers=asyncio.get_running_loop(),
        chance=random.Random(),  # noqa: S311 - jitter, not a secret
        on_failure=lambda _: metrics.watch_failed(),
        log=_log.warning,
    )


def _shared(settings: Settings, turns: Turns, company: Company | None) -> SharedReads | None:
    """None where reads are not shared: an answer is for who asked, and that must be the gateway."""
    if not settings.jobs.coalesce or not settings.owns_token:
        return None

    def throttled(answer: ReadAnswer, priority: Priority) -> None:
        turns.throttled(answer.headers, priority)

    timers = asyncio.get_running_loop()
    fleet = None if company is None else partial(company.reads, turns.governor)
    return SharedReads(settings.jobs, turns.governor, timers=timers, throttled=throttled, fleet=fleet)


def _show(side: JobsSide, settings: Settings, metrics: Metrics) -> None:
    """Let the scrape read what changes by itself."""
    metrics.watch_jobs(side.ledger.snapshot)
    metrics.watch_job_bodies(lambda: dict(side.observer.unreadable.items()))
    metrics.watch_governor(partial(_queued, side.governor))
    metrics.watch_store(lambda: side.store.problem is None)
    shown = settings.metrics.job_series
    metrics.watch_job_series(lambda: side.ledger.newest(shown), limit=shown)


def _finished(metrics: Metrics, show: Callable[[FinishedJob], None], job: FinishedJob) -> None:
    span = job.created_in or job.seen_in
    trace_id = span.trace_id if span.sampled else None
    metrics.job_finished(job.kind, job.status, job.error_code, job.duration, trace_id)
    show(job)


def _show_span(spans: Spans, job: FinishedJob, *, link: bool) -> None:
    spans.job_finished(
        JobSpan(
            kind=job.kind,
            id=job.id,
            status=job.status,
            error_code=job.error_code,
            created_ns=job.created,
            finished_ns=job.finished,
            first_seen=job.first_seen,
            last_seen=job.last_seen,
            history=job.history,
            created_in=job.created_in,
        ),
        link=link,
    )


def _queued(governor: Governor) -> Mapping[str, int]:
    return {_label(priority): count for priority, count in governor.queued().items()}


def _label(priority: Priority) -> str:
    return priority.name.lower()
