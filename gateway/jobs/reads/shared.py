"""The room's verb: an answer for a read, kept, shared with others, or fetched."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from gateway.config import Jobs
from gateway.exchange import Exchange
from gateway.jobs.governor import Governor, Priority, Timers
from gateway.jobs.reads.answer import Given, ReadAnswer
from gateway.jobs.reads.fleet import FleetReads
from gateway.jobs.reads.flight import Fetch, Flight, Seat
from gateway.jobs.reads.freshness import JOINED, freshness
from gateway.jobs.reads.gathering import Gathering
from gateway.jobs.reads.names import Names, names_of
from gateway.jobs.reads.request import BatchKey, ReadKey, own_exchange
from gateway.jobs.reads.shelf import Shelf
from gateway.jobs.reads.tower import Tower


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

    `throttled` is told the answer of each 429, and pauses the governor. `fleet` makes what is shared with
    other gateways, from what is to be called when one of them has sent a write.
    """

    def __init__(
        self,
        settings: Jobs,
        governor: Governor,
        *,
        timers: Timers,
        throttled: Callable[[ReadAnswer, Priority], None],
        fleet: Callable[[Callable[[], None]], FleetReads] | None = None,
    ) -> None:
        self._settings = settings
        self._governor = governor
        self._timers = timers
        self._shelf: Shelf[ReadKey, ReadAnswer] = Shelf()
        self._flights: dict[ReadKey, Flight] = {}
        self._tasks: dict[Flight, asyncio.Task[None]] = {}
        self._gathering = Gathering(governor, timers, on=settings.batch)
        self._fleet = None if fleet is None else fleet(self._forget)
        self._tower = Tower(
            settings,
            governor,
            self._gathering,
            timers=timers,
            throttled=throttled,
            landed=self._keep,
            fleet=self._fleet,
        )

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
            group = self._gathering.group(caller.exchange, key.headers)
            names = self._names(key, group, caller)
            kept = self._told(key, names, caller, now)
            if kept is not None:
                return Given(kept, "hit", max(0.0, now - kept.sent_at))
            flight = self._start(key, caller, group, names)
        else:
            self._raise(flight, caller)
        joined = self._timers.time()
        seat = flight.join(joined + max(caller.patience, self._governor.least_wait))
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
        return Given(answer, "miss" if leads and not answer.elsewhere else "collapsed")

    def forget(self) -> None:
        """A write is about to change something, or has: no answer from before it is given after it.

        Reads under way go on for those who wait for them, but nobody joins them and they are not kept.
        """
        if self._fleet is not None:
            self._fleet.forget()
        self._forget()

    async def aclose(self) -> None:
        """End every read under way."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._gathering.aclose()
        if self._fleet is not None:
            await self._fleet.aclose()

    def _forget(self) -> None:
        self._shelf.clear()
        self._flights.clear()

    def _names(self, key: ReadKey, group: BatchKey | None, caller: Caller) -> Names | None:
        """What other gateways call the read; None where it is read for this gateway alone."""
        if self._fleet is None or self._fleet.away or caller.priority is Priority.WATCH:
            return None
        return names_of(key, group)

    def _told(self, key: ReadKey, names: Names | None, caller: Caller, now: float) -> ReadAnswer | None:
        """What the fleet has for the read, as fresh as what is kept here."""
        if self._fleet is None or names is None:
            return None
        route = caller.exchange.route
        kind = route.job_kind or ""
        answer = self._fleet.kept(names, kind, route.job_id)
        if answer is not None:
            lasts = freshness(self._settings, kind, answer.job_status)
            self._shelf.put(key, answer, answer.sent_at + lasts, now)
        return answer

    def _start(self, key: ReadKey, caller: Caller, group: BatchKey | None, names: Names | None) -> Flight:
        waits_for_all = group is not None or names is not None
        wait = self._governor.paused_for if waits_for_all else self._governor.expected_wait(caller.priority)
        if wait > caller.patience:
            raise self._governor.refusal(caller.priority)
        now = self._timers.time()
        ticket = None
        if names is None:
            ticket = self._governor.line_up(caller.priority)
        else:
            self._governor.check()
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
            airborne=now if ticket is not None and ticket.granted.done() else None,
            ticket=ticket,
            names=names,
            oldest=float("-inf") if self._fleet is None else self._fleet.oldest(now),
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
        return flight if now - flight.airborne <= max(JOINED, self._settings.max_staleness) else None

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
            await self._tower.bring(flight)
        finally:
            if self._flights.get(flight.key) is flight:
                del self._flights[flight.key]

    def _keep(self, flight: Flight, answer: ReadAnswer) -> None:
        """Keep a good answer, unless a write came between its request and now."""
        if (
            answer.status != HTTPStatus.OK
            or answer.rest is not None
            or self._flights.get(flight.key) is not flight
        ):
            return
        lasts = freshness(self._settings, flight.kind, answer.job_status)
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
