"""Reads that wait for a turn and could be answered together."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.exchange import Exchange
from gateway.jobs.governor import Governor, Timers
from gateway.jobs.reads.answer import ReadAnswer
from gateway.jobs.reads.batch import Batch
from gateway.jobs.reads.flight import Flight
from gateway.jobs.reads.request import BatchKey, batch_key
from gateway.jobs.reads.unlisted import Unlisted


class Gathering:
    """The waiting flights by what one list could answer; `on` is `jobs.batch`."""

    def __init__(self, governor: Governor, timers: Timers, *, on: bool) -> None:
        self._governor = governor
        self._on = on
        self._waiting: dict[BatchKey, list[Flight]] = {}
        self._batches: set[asyncio.Task[None]] = set()
        self._unlisted = Unlisted(timers)

    def group(self, exchange: Exchange, headers: bytes) -> BatchKey | None:
        """What the read could be answered with; None where it has to go by itself."""
        group = batch_key(exchange, headers) if self._on else None
        return None if group is None or self._unlisted.holds(group, exchange.route.job_id) else group

    @contextmanager
    def waiting(self, flight: Flight) -> Iterator[None]:
        """While a flight waits, others may take it along."""
        group = self._waiting.setdefault(flight.group, []) if flight.group else []
        group.append(flight)
        try:
            yield
        finally:
            group.remove(flight)
            if flight.group and not group:
                del self._waiting[flight.group]

    def batch_for(
        self,
        flight: Flight,
        *,
        wanted: bool = False,
        came: Callable[[ReadAnswer], None] = lambda _: None,
    ) -> Batch | None:
        """A batch of this flight, whose turn it is, and those it could take along; None without any.

        `wanted`: a list is wanted elsewhere, by others than these; `came` is told what it is answered.
        """
        group = flight.group
        others = [other for other in self._waiting.get(group, ()) if other.waits] if group else []
        if group is None or not (others or wanted):
            return None
        batch = Batch([flight, *others], lambda: self._unlisted.add(group, None), came)
        self._batches.add(batch.task)
        batch.task.add_done_callback(self._batches.discard)
        for other in others:
            other.board(batch, self._governor)
        return batch

    def not_shown(self, flight: Flight) -> None:
        """The list did not show the flight's job: it asks by itself, and so do others for a while."""
        if flight.group is not None:
            self._unlisted.add(flight.group, flight.exchange.route.job_id)
        flight.group = None

    async def aclose(self) -> None:
        """End every list request."""
        tasks = list(self._batches)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
