"""The room's verb: an answer for a read, kept, shared with others, or fetched."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from gateway.config import Jobs
from gateway.exchange import Exchange
from gateway.jobs.governor import Governor, Priority, Timers
from gateway.jobs.model import TERMINAL, known_status
from gateway.jobs.reads.answer import Given, ReadAnswer
from gateway.jobs.reads.batch import Batch
from gateway.jobs.reads.flight import Fetch, Flight, Seat
from gateway.jobs.reads.gathering import Gathering
from gateway.jobs.reads.request import ReadKey, own_exchange
from gateway.jobs.reads.shelf import Shelf

_JOINED: Final = 1.0
"""Seconds for which a read that was sent is joined even where nothing is kept."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: one request of an app's, or the watcher."""

    exchange: Exchange
    fetch: Fetch
    priority: Priority
    patience: float
    """Seconds it waits for a turn."""


class SharedReads:
    """Reads of the jobs routes, from one thread (the event loop).

    `throttled` is told the answer of each 429, and pauses the governor.
    """

    def __init__(
        self,
        settings: Jobs,
        governor: Governor,
        *,
        timers: Timers,
        throttled: Callable[[ReadAnswer, Priority], None],
    ) -> None:
        self._settings = settings
        self._governor = governor
        self._timers = timers
        self._throttled = throttled
        self._shelf = Shelf()
        self._flights: dict[ReadKey, Flight] = {}
        self._tasks: dict[Flight, asyncio.Task[None]] = {}
        self._gathering = Gathering(governor, timers, on=settings.batch)
        self._paused_by: ReadAnswer | None = None

    async def answer(self, key: ReadKey, caller: Caller) -> Given:
        """The answer for one caller.

        Raises RateLimited where there is no turn within the caller's patience, Unshared where it has to ask
        by itself, and what fetching raises. Cancelled, only this caller leaves.
        """
        now = self._timers.time()
        # The watcher reads to learn what is new; a kept answer has been seen.
        kept = None if caller.priority is Priority.WATCH else self._shelf.get(key, now)
        if kept is not None:
            return Given(kept, "hit", max(0.0, now - kept.sent_at))
        flight = self._joinable(key, now)
        leads = flight is None
        if flight is None:
            flight = self._start(key, caller)
        else:
            self._raise(flight, caller)
        joined = self._timers.time()
        seat = flight.join(joined + caller.patience)
        try:
            answer = await seat
        except asyncio.CancelledError:
            await _close_rest(seat)
            raise
        finally:
            flight.leave(seat)
            self._account(caller.exchange, joined, flight.airborne)
            if leads:
                caller.exchange.attempts = flight.exchange.attempts
        return Given(answer, "miss" if leads else "collapsed")

    def forget(self) -> None:
        """A write is about to change something, or has: no answer from before it is given after it.

        Reads under way go on for those who wait for them, but nobody joins them and they are not kept.
        """
        self._shelf.clear()
        self._flights.clear()

    async def aclose(self) -> None:
        """End every read under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._gathering.aclose()

    def _start(self, key: ReadKey, caller: Caller) -> Flight:
        group = self._gathering.group(caller.exchange, key.headers)
        wait = self._governor.paused_for if group else self._governor.expected_wait(caller.priority)
        if wait > caller.patience:
            raise self._governor.refusal(caller.priority)
        now = self._timers.time()
        ticket = self._governor.line_up(caller.priority)
        flight = Flight(
            key=key,
            exchange=own_exchange(caller.exchange),
            fetch=caller.fetch,
            group=group,
            priority=caller.priority,
            since=now,
            timers=self._timers,
            refusal=self._governor.refusal,
            abandoned=self._abandon,
            airborne=now if ticket.granted.done() else None,
            ticket=ticket,
        )
        self._flights[key] = flight
        self._tasks[flight] = task = asyncio.ensure_future(self._fly(flight))
        task.add_done_callback(lambda _: self._tasks.pop(flight, None))
        return flight

    def _joinable(self, key: ReadKey, now: float) -> Flight | None:
        """The read under way that can still be joined: one that was sent long ago would be stale."""
        flight = self._flights.get(key)
        if flight is None or flight.airborne is None:
            return flight
        return flight if now - flight.airborne <= max(_JOINED, self._settings.max_staleness) else None

    def _raise(self, flight: Flight, caller: Caller) -> None:
        """Let a caller of a higher priority speed up a read that still waits."""
        if flight.airborne is not None:
            return
        if self._governor.paused_for > caller.patience:
            raise self._governor.refusal(caller.priority)
        if caller.priority < flight.priority:
            flight.priority = caller.priority
            if flight.ticket is not None:
                self._governor.promote(flight.ticket, caller.priority)

    def _abandon(self, flight: Flight) -> None:
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
        if flight.ticket is not None:
            self._governor.withdraw(flight.ticket)
        task = self._tasks.get(flight)
        if task is not None and task is not asyncio.current_task():
            task.cancel()

    async def _fly(self, flight: Flight) -> None:
        try:
            while flight.wanted:
                answer = await self._asked(flight)
                if answer is None:
                    flight.grounded()
                elif self._throttles(answer, flight) and answer.rest is None:
                    flight.airborne = None
                    flight.tell_those_before(self._timers.time() + self._governor.paused_for, answer)
                else:
                    self._keep(flight, answer)
                    await flight.land(answer)
        except Exception as error:  # noqa: BLE001 - it is the callers' to handle
            flight.fail(error)
        finally:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]

    async def _asked(self, flight: Flight) -> ReadAnswer | None:
        """One try at the upstream, by itself or together with others; None where it has to go once more."""
        batch = await self._turn(flight)
        flight.airborne = self._timers.time()
        if batch is None:
            batch = self._gathering.batch_for(flight)
        if batch is None:
            return await flight.fetch(flight.exchange)
        answer = await batch.answer_for(flight)
        if answer is None:
            self._gathering.not_shown(flight)
        return answer

    async def _turn(self, flight: Flight) -> Batch | None:
        """Wait for the flight's turn; a batch where one takes it along."""
        ticket = flight.ticket or self._governor.line_up(flight.priority, since=flight.since)
        if ticket.granted.done():
            flight.ticket = None
            return None
        flight.ticket = ticket
        called: asyncio.Future[Batch | None] = asyncio.get_running_loop().create_future()
        flight.called = called
        ticket.granted.add_done_callback(lambda _: None if called.done() else called.set_result(None))
        try:
            with self._gathering.waiting(flight):
                return await called
        finally:
            self._governor.withdraw(ticket)
            flight.ticket = flight.called = None

    def _throttles(self, answer: ReadAnswer, flight: Flight) -> bool:
        """Whether the upstream asks for a pause; the 429 of a list is told to all its reads, and is one."""
        if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
            return False
        if answer is not self._paused_by:
            self._paused_by = answer
            self._throttled(answer, flight.priority)
        return not self._governor.off

    def _keep(self, flight: Flight, answer: ReadAnswer) -> None:
        """Keep a good answer, unless a write came between its request and now."""
        if (
            answer.status != HTTPStatus.OK
            or answer.rest is not None
            or self._flights.get(flight.key) is not flight
        ):
            return
        over = known_status(flight.kind, answer.job_status) in TERMINAL
        lasts = self._settings.terminal_staleness if over else self._settings.max_staleness
        if lasts > 0:
            self._shelf.put(flight.key, answer, answer.sent_at + lasts, self._timers.time())

    def _account(self, exchange: Exchange, joined: float, airborne: float | None) -> None:
        """Tell the wait for a turn from the wait for the upstream."""
        now = self._timers.time()
        turn = now if airborne is None else min(now, max(joined, airborne))
        exchange.rate_wait += turn - joined
        exchange.upstream_wait += now - turn


async def _close_rest(seat: Seat) -> None:
    """Whoever was to read the rest of an answer has left at the moment it came."""
    if seat.done() and not seat.cancelled() and seat.exception() is None:
        rest = seat.result().rest
        if rest is not None:
            await rest.aclose()
