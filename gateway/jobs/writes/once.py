"""Who may send a write, and what is known of its earlier sends.

    async with await writes.claim(fingerprint) as claim:
        claim.recorded           an earlier success: give it again
        claim.unknown_since      an earlier send with an unknown outcome: read the job, let `judge` decide
        await claim.sending()    then the first byte may leave
        claim.succeeded(…), claim.refused() or claim.unknown()

One claim of a write is open at a time; the next waits for it. All on one event loop.
"""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from gateway.jobs.stores import Store
from gateway.jobs.writes.fingerprint import Fingerprint, job_key
from gateway.jobs.writes.fleet import FleetWrites
from gateway.jobs.writes.record import MAX_ANSWER, Clocks, Record, Recorded
from gateway.jobs.writes.shelf import Entry, Shelf

KEEP: Final = 600.0
"""Seconds for which a write is one."""


class Claim:
    """The right to send one write, until it is left.

    Left without a word after `sending`, the outcome is unknown; left before that, it is as if it had never
    been.
    """

    def __init__(self, shelf: Shelf, clocks: Clocks, entry: Entry, fingerprint: Fingerprint) -> None:
        self._shelf = shelf
        self._clocks = clocks
        self._entry = entry
        self._fingerprint = fingerprint
        self._before = entry.record
        self._was_void = False
        self._intended = False
        self._sent = False

    @property
    def recorded(self) -> Recorded | None:
        """The answer of an earlier success, to be given again."""
        return self._before.answer if self._before is not None else None

    @property
    def unknown_since(self) -> float | None:
        """When the first send left of which no outcome is at hand; None where there is none such.

        Seconds since the epoch by the wall clock as it stands now: read it together with that clock, after
        the job was read, and no setting of the clock lies between them.
        """
        if self._before is None or self._before.answer is not None:
            return None
        return self._clocks.to_wall(self._before.since)

    @property
    def done(self) -> bool:
        """Whether an earlier send has succeeded; without `recorded` its answer is gone."""
        return self._before is not None and self._before.done

    async def sending(self) -> None:
        """Return once the store knows that the write is about to be sent, or cannot be told.

        What happens before this returns is not a send. Once called, a second call changes nothing.
        """
        if self._intended:
            return
        self._intended = True
        now = self._clocks.monotonic()
        since = now if self._before is None else self._before.since
        # This send comes after the write that made the earlier ones void.
        self._was_void, self._entry.void = self._entry.void, False
        self._write(Record(since, now))
        await self._shelf.settled()
        self._sent = True

    def succeeded(self, recorded: Recorded | None, job_id: str | None) -> None:
        """A 2xx: the answer, None where it cannot be kept, and the job's id as far as the answer tells it.

        One of more than 64 KiB is not kept either: the write is then known as done, its answer as gone.
        """
        if self._fingerprint.job_id is None and job_id is not None:
            self._entry.job = job_key(self._fingerprint.kind, job_id)
        now = self._clocks.monotonic()
        since = self._entry.record.since if self._entry.record is not None else now
        kept = recorded if recorded is not None and recorded.size <= MAX_ANSWER else None
        self._write(Record(since, now, done=True, answer=kept))

    def refused(self) -> None:
        """A definite no, or provably unsent: this send did nothing, and what was known before it stands.

        An earlier send of unknown outcome stays one: it may have been carried out after the job was read.
        """
        if self._intended:
            self._entry.void |= self._was_void
            self._intended = self._sent = False
            self._write(self._before)

    def unknown(self) -> None:
        """A 5xx, or no whole answer: the same as leaving without a word."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._intended and not self._sent:
            self.refused()
        self._entry.turn.release()
        self._shelf.leave(self._entry)

    def _write(self, record: Record | None) -> None:
        self._shelf.write(self._entry, record, self._fingerprint.kind)


class WritesOnce:
    """Claims on writes, and the records of those that were sent.

    `clock` is the wall clock in seconds since the epoch, `keep` the seconds for which a write is one, `most`
    the number of records. Records of earlier runs come from `store`; one in it that is no record is ignored.
    With `fleet` all gateways of a fleet are one.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float] = time.monotonic,
        keep: float = KEEP,
        most: int = 1_000,
        fleet: FleetWrites | None = None,
    ) -> None:
        self._clocks = Clocks(clock, monotonic)
        self._fleet = fleet
        self._shelf = Shelf(store, self._clocks, keep=keep, most=most, fleet=fleet)

    def __len__(self) -> int:
        """Writes of which something is recorded."""
        return len(self._shelf)

    async def open(self) -> None:
        """Learn what other gateways know."""
        if self._fleet is not None:
            await self._shelf.meet(self._fleet)

    async def aclose(self) -> None:
        """Leave all writes to others."""
        if self._fleet is not None:
            await self._fleet.aclose()

    def is_claimed(self, fingerprint: Fingerprint) -> bool:
        """Whether a claim is open, so that the next has to wait for it."""
        return self._shelf.is_claimed(fingerprint.digest)

    async def claim(self, fingerprint: Fingerprint) -> Claim:
        """The claim on a write, once no other is open. To be entered at once: `async with await …`."""
        entry = self._shelf.entry(fingerprint)
        entry.claims += 1
        try:
            await entry.turn.acquire()
            try:
                await self._shelf.alone(entry)
            except BaseException:
                entry.turn.release()
                raise
        except BaseException:
            self._shelf.leave(entry)
            raise
        return Claim(self._shelf, self._clocks, entry, fingerprint)

    def void(self, kind: str, job_id: str | None, keep: Fingerprint | None = None) -> None:
        """Another write to that job is about to go out: what is known of the job's writes is void.

        `keep` is that write's own fingerprint, where it has one. Without an id nothing is void.
        """
        if job_id is not None:
            self._shelf.void(job_key(kind, job_id), None if keep is None else keep.digest)
