"""One read under way, and the callers that wait for it, each with a deadline of its own."""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gateway import failures
from gateway.exchange import Exchange
from gateway.jobs.governor import Governor, Priority, Ticket, TimerHandle, Timers
from gateway.jobs.reads.answer import ReadAnswer, Unshared
from gateway.jobs.reads.batch import Batch
from gateway.jobs.reads.heard import Heard
from gateway.jobs.reads.names import Names
from gateway.jobs.reads.request import BatchKey, ReadKey

Fetch = Callable[[Exchange], Awaitable[ReadAnswer]]
"""Sends a read that has its turn, and reads the answer; raises what the upstream's side raises."""

Seat = asyncio.Future[ReadAnswer]
"""A caller's place on a flight: what it will be told."""


@dataclass(slots=True)
class _Waiting:
    deadline: float
    timer: TimerHandle


@dataclass(slots=True, eq=False)
class Flight:
    """A read, from the first caller that asks for it to the answer; who leaves fails nobody else."""

    key: ReadKey
    exchange: Exchange
    """The record of the upstream's side."""
    fetch: Fetch
    group: BatchKey | None
    priority: Priority
    since: float
    """When it was asked for, on the clock of the timers."""
    timers: Timers
    refusal: Callable[[Priority], failures.RateLimited]
    """The failure of a caller whose time is over before the read has its turn."""
    abandoned: Callable[["Flight"], None]
    """Called when the last caller has left."""
    airborne: float | None = None
    """When it had its turn; from then on its callers wait for the answer, however long they meant to wait."""
    ticket: Ticket | None = None
    called: "asyncio.Future[Batch | Heard | None] | None" = None
    """While it waits for its turn: resolved by the turn, or by a batch that takes it along."""
    names: Names | None = None
    """What other gateways call it; None where it is read for this gateway alone."""
    oldest: float = float("-inf")
    """The moment after which an answer must have been sent to be of use to it."""
    _waiting: dict[Seat, _Waiting] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """`import` or `deletion`."""
        return self.exchange.route.job_kind or ""

    @property
    def wanted(self) -> bool:
        """Whether somebody waits for it."""
        return bool(self._waiting)

    @property
    def waits(self) -> bool:
        """Whether it has neither a turn nor a batch yet."""
        if self.is_called is not False:
            return False
        return self.ticket is None or not self.ticket.granted.done()

    @property
    def is_called(self) -> bool | None:
        """Whether its turn or a batch has come; None while it waits for neither."""
        return None if self.called is None else self.called.done()

    def join(self, deadline: float) -> Seat:
        """A seat for a caller that waits for a turn until `deadline`."""
        seat: Seat = asyncio.get_running_loop().create_future()
        timer = self.timers.call_at(deadline, self._expire, seat)
        self._waiting[seat] = _Waiting(deadline, timer)
        return seat

    def leave(self, seat: Seat) -> None:
        """The caller is gone, or has its answer."""
        waiting = self._waiting.pop(seat, None)
        if waiting is not None:
            waiting.timer.cancel()
            if not self._waiting:
                self.abandoned(self)

    def board(self, batch: "Batch | Heard", governor: Governor) -> None:
        """Fly with a batch instead of waiting for a turn of its own."""
        if self.ticket is not None:
            governor.withdraw(self.ticket)
        if self.called is not None and not self.called.done():
            self.called.set_result(batch)

    def grounded(self) -> None:
        """It needs another turn: those whose time is over are told so."""
        self.airborne = None
        now = self.timers.time()
        for seat, waiting in list(self._waiting.items()):
            if waiting.deadline <= now:
                self._tell(seat, self.refusal(self.priority))

    def tell_those_before(self, moment: float, answer: ReadAnswer) -> None:
        """Give the answer to those who cannot wait until `moment`."""
        for seat, waiting in list(self._waiting.items()):
            if waiting.deadline < moment:
                self._tell(seat, answer)

    async def land(self, answer: ReadAnswer) -> None:
        """Give the answer to everybody; one that cannot be shared goes to the first who is there."""
        for seat in list(self._waiting):
            taken = self._tell(seat, answer)
            if taken and answer.rest is not None:
                self.fail(Unshared())
                return
        if answer.rest is not None:
            await answer.rest.aclose()

    def fail(self, error: Exception) -> None:
        """Fail everybody who waits now, each with an exception of its own."""
        for seat in list(self._waiting):
            known = isinstance(error, failures.GatewayError | Unshared)
            told: Exception = copy.copy(error) if known else failures.Internal("")
            told.__cause__ = error
            self._tell(seat, told)

    def _expire(self, seat: Seat) -> None:
        if self.airborne is None:
            # First leave: the time that is told is that of a newcomer, who has nobody's place before it.
            self.leave(seat)
            self._tell(seat, self.refusal(self.priority))

    def _tell(self, seat: Seat, outcome: ReadAnswer | Exception) -> bool:
        """Whether the caller was still there."""
        self.leave(seat)
        if seat.done():
            return False
        if isinstance(outcome, Exception):
            seat.set_exception(outcome)
            seat.exception()  # looked at, so that a caller who leaves at this moment leaves no complaint
        else:
            seat.set_result(outcome)
        return True
