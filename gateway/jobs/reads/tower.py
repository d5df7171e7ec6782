"""A flight's way to its answer: a turn of its own, a list that takes it along, or another gateway's news."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus

from gateway import failures
from gateway.config import Jobs
from gateway.jobs.governor import Governor, Priority, Timers
from gateway.jobs.reads.answer import ReadAnswer
from gateway.jobs.reads.batch import Batch
from gateway.jobs.reads.fleet import FleetReads
from gateway.jobs.reads.flight import Flight
from gateway.jobs.reads.freshness import freshness
from gateway.jobs.reads.gathering import Gathering
from gateway.jobs.reads.heard import Heard


class Tower:
    """Brings flights to their answers, again and again where the upstream asks for a pause.

    `throttled` is told the answer of each 429, and pauses the governor; `landed` each answer that is no 429.
    """

    def __init__(
        self,
        settings: Jobs,
        governor: Governor,
        gathering: Gathering,
        *,
        timers: Timers,
        throttled: Callable[[ReadAnswer, Priority], None],
        landed: Callable[[Flight, ReadAnswer], None],
        fleet: FleetReads | None,
    ) -> None:
        self._settings = settings
        self._governor = governor
        self._gathering = gathering
        self._timers = timers
        self._throttled = throttled
        self._landed = landed
        self._fleet = fleet
        self._paused_by: ReadAnswer | None = None

    async def bring(self, flight: Flight) -> None:
        """Tell everybody on the flight the answer, or what went wrong."""
        try:
            while flight.wanted:
                answer = await self._asked(flight)
                if answer is None:
                    flight.grounded()
                elif self._throttles(answer, flight) and answer.rest is None:
                    flight.airborne = None
                    flight.tell_those_before(self._timers.time() + self._governor.paused_for, answer)
                else:
                    self._landed(flight, answer)
                    await flight.land(answer)
        except Exception as error:  # noqa: BLE001 - it is the callers' to handle
            flight.fail(error)

    async def _asked(self, flight: Flight) -> ReadAnswer | None:
        """One try at an answer, by itself or together with others; None where it has to go once more."""
        with self._asking(flight):
            batch = await self._turn(flight)
            flight.airborne = self._timers.time()
            if batch is None:
                batch = self._batch(flight)
            if batch is None:
                answer = await flight.fetch(flight.exchange)
                self._tell(flight, None, answer)
                return answer
            part = await batch.answer_for(flight)
        if part is None:
            self._gathering.not_shown(flight)
            flight.names = None if flight.names is None else flight.names._replace(group=None)
        return part

    @contextmanager
    def _asking(self, flight: Flight) -> Iterator[None]:
        """While the flight waits it can be called: by a turn, where it stands in the line, or by a batch."""
        flight.called = asyncio.get_running_loop().create_future()
        line_up = partial(self._line_up, flight)
        try:
            if self._fleet is None or flight.names is None:
                line_up()
                yield
            else:
                with self._fleet.asking(flight, flight.names, line_up):
                    yield
        finally:
            self._leave_the_line(flight)

    async def _turn(self, flight: Flight) -> "Batch | Heard | None":
        """Wait for the flight's turn; a batch where one takes it along."""
        called, ticket = flight.called, flight.ticket
        try:
            if called is None or (ticket is not None and ticket.granted.done()):
                return None
            with self._gathering.waiting(flight):
                return await called
        finally:
            self._leave_the_line(flight)

    def _line_up(self, flight: Flight) -> None:
        """Stand in the line, unless what the flight waits for has come."""
        called = flight.called
        if called is None or called.done():
            return
        try:
            ticket = flight.ticket or self._governor.line_up(flight.priority, since=flight.since)
        except failures.GatewayError as error:
            called.set_exception(error)
            return
        flight.ticket = ticket
        ticket.granted.add_done_callback(lambda _: None if called.done() else called.set_result(None))

    def _leave_the_line(self, flight: Flight) -> None:
        if flight.ticket is not None:
            self._governor.withdraw(flight.ticket)
        flight.ticket = flight.called = None

    def _batch(self, flight: Flight) -> Batch | None:
        """A list in place of the flight's own read, where that serves others too."""
        if self._fleet is None:
            return self._gathering.batch_for(flight)
        group = None if flight.names is None else flight.names.group
        return self._gathering.batch_for(
            flight,
            wanted=self._fleet.others_want(flight.names),
            came=partial(self._tell, flight, group),
        )

    def _tell(self, flight: Flight, group: str | None, answer: ReadAnswer) -> None:
        """Tell the other gateways what came, be it the list's answer."""
        if self._fleet is not None and flight.names is not None:
            name = flight.names.own if group is None else group
            status = None if group is not None else answer.job_status
            self._fleet.came(flight, name, answer, freshness(self._settings, flight.kind, status))

    def _throttles(self, answer: ReadAnswer, flight: Flight) -> bool:
        """Whether the upstream asks for a pause; the 429 of a list is told to all its reads, and is one."""
        if answer.status != HTTPStatus.TOO_MANY_REQUESTS:
            return False
        if answer is not self._paused_by:
            self._paused_by = answer
            self._throttled(answer, flight.priority)
        return not self._governor.off
