"""The records of writes: bounded, expiring, and in the store, so that a restart forgets no send."""

import asyncio
import functools
import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from gateway.jobs.stores import Store
from gateway.jobs.writes.fingerprint import Fingerprint, job_key
from gateway.jobs.writes.fleet import SPACE, FleetWrites
from gateway.jobs.writes.record import Clocks, Record, pack, unpack


@dataclass(slots=True, eq=False)
class Entry:
    """A write: what is known of it, and who is at it."""

    digest: str
    job: str | None = None
    """The key of the job that it is about, once known."""
    record: Record | None = None
    ours: bool = False
    """Whether this gateway has learned of it by itself."""
    void: bool = False
    """Another write to the job has gone out since: it leaves once nobody is at it."""
    claims: int = 0
    """Those that hold it or wait for it."""
    waits: bool = False
    """The one whose turn it is waits for another gateway, whose news still count."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one open claim; first come, first served, also where one that waits is cancelled."""


class Shelf:
    """Entries by digest. Expired ones leave when the next write comes, never one that is claimed."""

    def __init__(
        self, store: Store, clocks: Clocks, *, keep: float, most: int, fleet: FleetWrites | None = None
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._clocks = clocks
        self._keep = keep
        self._most = most
        self._entries: dict[str, Entry] = {}
        for key, value in store.load(SPACE).items():
            self._restore(key, value)
        self.expire()
        self.trim()
        if fleet is not None:
            fleet.listen(self.hear, functools.partial(self.meet, fleet))

    def __len__(self) -> int:
        return sum(1 for _ in self._recorded())

    def entry(self, fingerprint: Fingerprint) -> Entry:
        """The entry of a write, a new one if need be; the caller counts itself in, and leaves in the end."""
        self.expire()
        entry = self._entries.setdefault(fingerprint.digest, Entry(fingerprint.digest))
        if fingerprint.job_id is not None:
            entry.job = job_key(fingerprint.kind, fingerprint.job_id)
        return entry

    def is_claimed(self, digest: str) -> bool:
        """Whether somebody is at the write."""
        entry = self._entries.get(digest)
        return entry is not None and entry.claims > 0

    def write(self, entry: Entry, record: Record | None, kind: str) -> None:
        """What is known of the write from now on, here and in the store; None is nothing."""
        entry.record, entry.ours = record, True
        if record is None:
            self._remove(entry)
            return
        value = pack(record.storable(kind), entry.job, self._clocks)
        self._store.put(SPACE, entry.digest, value)
        if self._fleet is not None:
            self._fleet.put(entry.digest, value)

    async def settled(self) -> None:
        """Wait until the store has made what was written durable, or has given that up; the fleet's too."""
        if self._fleet is None:
            await self._store.settled()
        else:
            await asyncio.gather(self._store.settled(), self._fleet.settled())

    async def alone(self, entry: Entry) -> None:
        """Return once no other gateway is at the write, and what they know of it is known here."""
        if self._fleet is None:
            return
        entry.waits = True
        try:
            value = await self._fleet.take(entry.digest)
        finally:
            entry.waits = False
        if value is not None:
            self._take_in(entry, value)

    def hear(self, digest: str, value: bytes) -> None:
        """What another gateway knows of a write from now on; nothing where it is void."""
        entry = self._entries.get(digest)
        if entry is None and value:
            self.expire()
            entry = Entry(digest)
            self._learn(entry, value)
            if entry.record is not None:
                self._entries[digest] = entry
                self.trim()
        elif entry is not None and entry.claims and not entry.waits:
            # As where it is void here: those that are at it keep what they know.
            entry.void |= not value
        elif entry is not None:
            self._take_in(entry, value)
            if entry.record is None and not entry.claims:
                del self._entries[digest]

    async def meet(self, fleet: FleetWrites) -> None:
        """Learn what the fleet knows, and tell it what it does not know."""
        # What was kept back while away is not to be taken for what others made void.
        await fleet.settled()
        asked_at = self._clocks.monotonic()
        known = await fleet.load()
        if known is None:
            return
        for digest, value in known.items():
            entry = self._entries.get(digest)
            if entry is None or entry.record is None or not entry.ours or entry.record.at < asked_at:
                self.hear(digest, value)
        for entry, record in self._recorded():
            if entry.ours and entry.digest not in known:
                fleet.put(entry.digest, pack(record.storable(""), entry.job, self._clocks))

    def leave(self, entry: Entry) -> None:
        """One claim less; an entry of which nothing is known, or that is void, goes with the last."""
        entry.claims -= 1
        if not entry.claims and (entry.void or entry.record is None):
            self._drop(entry, everywhere=entry.void)
        if not entry.claims and self._fleet is not None:
            self._fleet.leave(entry.digest)
        self.trim()

    def void(self, job: str, keep: str | None) -> None:
        """Forget what is known of writes to a job, except the one with the digest `keep`.

        One that is claimed keeps what it knows for those that are at it, and leaves with them.
        """
        for entry in [entry for entry in self._entries.values() if entry.job == job]:
            if entry.digest != keep:
                entry.void = True
                if not entry.claims:
                    self._drop(entry, everywhere=True)

    def expire(self) -> None:
        """Let go what is older than may be kept."""
        now = self._clocks.monotonic()
        for entry in [
            entry for entry, record in self._recorded() if not entry.claims and now - record.at >= self._keep
        ]:
            self._drop(entry)

    def trim(self) -> None:
        """Let go what is too many: the oldest that are done, then the oldest of unknown outcome."""
        excess = len(self) - self._most
        if excess > 0:
            idle = [(not record.done, record.at, entry) for entry, record in self._recorded()]
            leaving = [item for item in idle if not item[2].claims]
            for _, _, entry in heapq.nsmallest(excess, leaving, key=lambda item: item[:2]):
                self._drop(entry)

    def _recorded(self) -> Iterator[tuple[Entry, Record]]:
        return ((entry, entry.record) for entry in self._entries.values() if entry.record is not None)

    def _drop(self, entry: Entry, *, everywhere: bool = False) -> None:
        del self._entries[entry.digest]
        if entry.record is not None:
            self._remove(entry, everywhere=everywhere)

    def _remove(self, entry: Entry, *, everywhere: bool = True) -> None:
        self._store.remove(SPACE, entry.digest)
        if everywhere and self._fleet is not None:
            self._fleet.void(entry.digest)

    def _take_in(self, entry: Entry, value: bytes) -> None:
        if value:
            self._learn(entry, value)
        elif entry.record is not None:
            entry.record = None
            self._remove(entry, everywhere=False)

    def _learn(self, entry: Entry, value: bytes) -> None:
        found = unpack(value, self._clocks)
        if found is None or (entry.ours and entry.record is not None and entry.record.at > found[1].at):
            return
        job, record = found
        # The clock of another machine may be ahead of this one's.
        entry.job, entry.ours = job or entry.job, False
        entry.record = replace(record, at=min(record.at, self._clocks.monotonic()))

    def _restore(self, key: str, value: bytes) -> None:
        found = unpack(value, self._clocks)
        if found is None:
            return
        job, record = found
        now = self._clocks.monotonic()
        if record.at > now:
            # The wall clock was set back: its age is unknown, so it is kept once more, and that is written
            # down, or each further restart would keep it anew.
            record = replace(record, at=now)
            self._store.put(SPACE, key, pack(record, job, self._clocks))
        self._entries[key] = Entry(key, job, record)
