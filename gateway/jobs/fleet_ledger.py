"""The jobs that the other gateways of a fleet know, in this one's ledger, and the other way round."""

import asyncio
import contextvars
import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from gateway.jobs.ends import Ends
from gateway.jobs.instants import NANOSECONDS
from gateway.jobs.ledger import Ledger
from gateway.jobs.model import FinishedJob
from gateway.jobs.pace import TimerHandle, Timers
from gateway.jobs.peers import Peers
from gateway.jobs.record import JobRecord
from gateway.jobs.rest import Rest
from gateway.jobs.stored import decoded, store_key, to_bytes

SPACE: Final = "jobs"
LASTS: Final = 8 * 86_400.0
"""Seconds for which the fleet keeps a record after its last change."""
_SEEN: Final = "seen"
_AT_ONCE: Final = 100
"""Records taken in before others get the event loop."""
_SPREAD: Final = 2.0
"""Seconds over which gateways look what the store has after it is back, or put what it should have."""

_ENCODER: Final = msgspec.json.Encoder()
_IDS: Final = msgspec.json.Decoder(list[str])


class FleetLedger:
    """What a ledger has to do with those of other gateways, see `Shared`.

    `tell` is told the finishes that are this gateway's to tell.
    """

    def __init__(
        self,
        peers: Peers,
        *,
        tell: Callable[[FinishedJob], None],
        timers: Timers,
        chance: random.Random,
        clock: Callable[[], float],
    ) -> None:
        self._peers = peers
        self._clock = clock
        self._timers = timers
        self._chance = chance
        self._ledger: Ledger | None = None
        self.on_seen: Callable[[], None] = lambda: None
        """Called when the ledger has learned of a job from another gateway."""
        self._ends = Ends(
            peers, tell=tell, counted=self._counted, is_told=self._is_told, timers=timers, chance=chance
        )
        self._task: asyncio.Task[None] | None = None
        self._behind: dict[str, TimerHandle] = {}
        """Records that are to be put again, unless another gateway does so before; by store key."""

    async def open(self, ledger: Ledger) -> None:
        """Take in what the fleet knows, and listen from here on."""
        self._ledger = ledger
        self._peers.listen(SPACE, self._hear)
        self._peers.listen(_SEEN, self._hear_seen)
        await self._take_in(await self._peers.load(SPACE) or {})
        self._peers.on_return(self._return)
        for job in ledger.untold():
            self._ends.came(job, heard=True)

    async def aclose(self) -> None:
        """Claim what is not told yet, as far as the store allows."""
        for waiting in self._behind.values():
            waiting.cancel()
        self._behind.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._ends.aclose()

    def changed(self, record: JobRecord) -> None:
        """Let the others know; that a record was let go to make room is nobody else's business."""
        if record.left_at != 0.0:
            self._put(record)

    def seen(self, kind: str, job_ids: Sequence[str]) -> None:
        """Let whoever follows jobs know that these were read."""
        if job_ids:
            self._peers.tell(_SEEN, kind, _ENCODER.encode(job_ids))

    def ended(self, job: FinishedJob, *, heard: bool) -> None:
        """See to it that one gateway tells the finish."""
        self._ends.came(job, heard=heard)

    def _put(self, record: JobRecord) -> None:
        if self._peers.away and record.left_at is None:
            return  # it would replace what others put meanwhile: `_level` puts it, where it is news by then
        name = hashlib.sha256(store_key(record).encode(errors="surrogatepass")).hexdigest()
        self._peers.put(SPACE, name, to_bytes(record), LASTS)

    def _counted(self, job: FinishedJob) -> None:
        if self._ledger is not None:
            self._ledger.counted(job)

    def _is_told(self, job: FinishedJob) -> bool:
        if self._ledger is None:
            return False
        record = self._ledger.get(job.kind, job.id)
        return record is not None and record.created == job.created and record.counted

    def _hear(self, _key: str, value: bytes, _age: float) -> None:
        told = self._take(value)
        if told is None or self._ledger is None:
            return
        known = self._ledger.get(told.kind, told.id)
        waiting = self._behind.pop(store_key(told), None)
        if waiting is not None:
            waiting.cancel()
        if known is not None and _is_ahead(known, told):
            # A write that was long on its way came after newer ones, and the store has it now.
            soon = self._timers.time() + self._chance.random() * _SPREAD
            self._behind[store_key(told)] = self._timers.call_at(soon, self._put_again, known)

    def _put_again(self, record: JobRecord) -> None:
        del self._behind[store_key(record)]
        self.changed(record)

    def _take(self, value: bytes) -> JobRecord | None:
        """The record of another gateway, which the ledger knows now; None for anything that is none."""
        record = decoded(value) if value else None
        if record is not None and self._ledger is not None:
            self._ledger.heard(record)
            self.on_seen()
        return record

    def _hear_seen(self, kind: str, payload: bytes, age: float) -> None:
        try:
            job_ids = _IDS.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if self._ledger is not None:
            self._ledger.sighted(kind, job_ids, self._clock() - max(0.0, age))

    def _return(self) -> None:
        """Something may have been missed, or lost by the store."""
        if self._task is None:
            context = contextvars.Context()
            self._task = asyncio.get_running_loop().create_task(self._level(), context=context)
            self._task.add_done_callback(self._levelled)

    def _levelled(self, _task: "asyncio.Task[None]") -> None:
        self._task = None

    async def _level(self) -> None:
        """Take in what the store has, and put what it has not; one gateway after the other."""
        await Rest(self._timers).sleep(self._chance.random() * _SPREAD)
        kept = await self._peers.load(SPACE)
        if kept is None or self._ledger is None:
            return
        known = await self._take_in(kept)
        oldest = (self._clock() - LASTS) * NANOSECONDS
        for number, record in enumerate(self._ledger.jobs()):
            there = known.get(store_key(record))
            is_old = record.finished is not None and record.finished < oldest
            if not is_old and (there is None or record.adds_to(there)):
                self._put(record)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def _take_in(self, kept: Mapping[str, bytes]) -> Mapping[str, JobRecord]:
        """The records that were kept, by the key of each, all known to the ledger now."""
        known = {}
        for number, value in enumerate(kept.values()):
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
            record = self._take(value)
            if record is not None:
                known[store_key(record)] = record
        return known


def _is_ahead(known: JobRecord, told: JobRecord) -> bool:
    """Whether `told` is of a time before: strict, so that no two gateways ever put against each other."""
    same = told.left_at is None and known.created == told.created
    return same and (known.is_over, known.counted) > (told.is_over, told.counted)
