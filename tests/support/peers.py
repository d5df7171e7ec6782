"""Gateways of a fleet that meet in memory, on the clock of the running loop."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.jobs.pace import PACE
from gateway.jobs.peers import Hear

LATENCY = 0.001
"""Seconds that each question to the store takes, and each piece of news."""


def now() -> float:
    """The store's clock."""
    return asyncio.get_running_loop().time()


@dataclass(frozen=True)
class Look:
    """What is known of a read."""

    answer: bytes | None
    age: float
    leads: bool


@dataclass(repr=False)
class Meeting:
    """The store, and all who meet there. `rate` is that of the turns."""

    rate: float = 1.0
    is_up: bool = True
    members: list["MemoryPeers"] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    due: float = float("-inf")
    forgot: float = float("-inf")
    reads: dict[str, tuple[bytes, float, float]] = field(default_factory=dict)
    """Answer, when it was sent, until when it is fresh."""
    leads: dict[str, tuple["MemoryPeers", float]] = field(default_factory=dict)
    locks: dict[str, tuple["MemoryPeers", float]] = field(default_factory=dict)
    done: dict[str, "MemoryPeers"] = field(default_factory=dict)
    spaces: dict[str, dict[str, bytes]] = field(default_factory=lambda: defaultdict(dict))

    def join(self, size: int = 2) -> "MemoryPeers":
        """One more gateway."""
        self.members.append(MemoryPeers(self, size))
        return self.members[-1]

    def goes(self) -> None:
        """The store cannot be used."""
        self.is_up = False

    def returns(self, *, empty: bool = False) -> None:
        """It can be used again, perhaps without anything of what it had."""
        self.is_up = True
        if empty:
            self.due = self.forgot = float("-inf")
            for kept in (self.reads, self.leads, self.locks, self.done, self.spaces):
                kept.clear()
        for member in self.members:
            member.returned()

    def is_held(self, held: Mapping[str, tuple["MemoryPeers", float]], name: str, by: "MemoryPeers") -> bool:
        """Whether another one has it."""
        holder, until = held.get(name, (by, 0.0))
        return holder is not by and now() < until


@dataclass(eq=False, repr=False)
class MemoryPeers:
    """One gateway's view of the others; see `Peers`."""

    meeting: Meeting
    expected_size: int
    is_cut_off: bool = False
    paused_until: float = float("-inf")
    has_forgotten: bool = False
    pending: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """What was put while away, the last value of each key."""
    hearers: dict[str, list[Hear]] = field(default_factory=lambda: defaultdict(list))
    calls: list[Callable[[], None]] = field(default_factory=list)

    @property
    def away(self) -> bool:
        return self.is_cut_off or not self.meeting.is_up

    async def reserve(self) -> float | None:
        if not await self._asked("reserve"):
            return None
        meeting = self.meeting
        turn = max(meeting.due, now())
        meeting.due = turn + PACE / meeting.rate
        return turn - now()

    def pause(self, seconds: float) -> None:
        self.paused_until = max(self.paused_until, now() + seconds)
        self._write_pending()

    async def look(self, key: str, lease: float) -> Look | None:
        if not await self._asked("look"):
            return None
        meeting = self.meeting
        answer, sent, until = meeting.reads.get(key, (b"", 0.0, 0.0))
        if now() < until and sent > meeting.forgot:
            return Look(answer, now() - sent, leads=False)
        if meeting.is_held(meeting.leads, key, self):
            return Look(None, 0.0, leads=False)
        meeting.leads[key] = self, now() + lease
        return Look(None, 0.0, leads=True)

    async def publish(self, key: str, answer: bytes, age: float, lasts: float) -> None:
        if not await self._asked("publish"):
            return
        meeting, sent = self.meeting, now() - age
        if lasts > 0 and sent > meeting.forgot:
            meeting.reads[key] = answer, sent, now() + lasts
        if meeting.leads.get(key, (None,))[0] is self:
            del meeting.leads[key]
        self._tell("read", key, answer, sent)

    def release(self, key: str) -> None:
        self.meeting.asked["release"] += 1
        if self.meeting.leads.get(key, (None,))[0] is self:
            del self.meeting.leads[key]
            self.tell("released", key, b"")

    def forget(self) -> None:
        self.has_forgotten = True
        self._write_pending()

    async def hold(self, name: str, lease: float) -> bool | None:
        if not await self._asked("hold"):
            return None
        if self.meeting.is_held(self.meeting.locks, name, self):
            return False
        self.meeting.locks[name] = self, now() + lease
        return True

    def drop(self, name: str) -> None:
        if self.meeting.locks.get(name, (None,))[0] is self:
            del self.meeting.locks[name]

    async def claim(self, key: str) -> bool | None:
        if not await self._asked("claim"):
            return None
        return self.meeting.done.setdefault(key, self) is self

    async def load(self, space: str) -> Mapping[str, bytes] | None:
        return dict(self.meeting.spaces[space]) if await self._asked("load") else None

    async def get(self, space: str, key: str) -> bytes | None:
        return self.meeting.spaces[space].get(key) if await self._asked("get") else None

    def put(self, space: str, key: str, value: bytes, lasts: float) -> None:
        assert lasts > 0
        self.meeting.asked["put"] += 1
        self.pending[space, key] = value
        self._write_pending()

    async def settled(self) -> bool:
        return not self.away

    def tell(self, topic: str, key: str, payload: bytes) -> None:
        self._tell(topic, key, payload, now())

    def listen(self, topic: str, hear: Hear) -> None:
        self.hearers[topic].append(hear)

    def on_return(self, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def cut_off(self) -> None:
        """It reaches nobody; the others go on."""
        self.is_cut_off = True

    def returns(self) -> None:
        """It reaches the others again."""
        self.is_cut_off = False
        self.returned()

    def returned(self) -> None:
        """Told by the meeting."""
        if not self.away:
            self._write_pending()
            for call in self.calls:
                call()

    def _write_pending(self) -> None:
        """What was kept back while away is written, in order."""
        if self.away:
            return
        if self.paused_until > now():
            self.meeting.due = max(self.meeting.due, self.paused_until)
            self.tell("pause", "", str(self.paused_until - now()).encode())
        if self.has_forgotten:
            self.meeting.forgot = now()
            self.meeting.leads.clear()
            self.tell("forget", "", b"")
        self.paused_until, self.has_forgotten = float("-inf"), False
        pending, self.pending = self.pending, {}
        for (space, key), value in pending.items():
            self.meeting.spaces[space][key] = value
            self.tell(space, key, value)

    async def _asked(self, what: str) -> bool:
        """Whether the store answers."""
        if not self.away:
            self.meeting.asked[what] += 1
            await asyncio.sleep(LATENCY)
        return not self.away

    def _tell(self, topic: str, key: str, payload: bytes, about: float) -> None:
        for member in self.meeting.members:
            if member is not self and not member.away and not self.away:
                loop = asyncio.get_running_loop()
                loop.call_later(LATENCY, member._hear, topic, key, payload, about)

    def _hear(self, topic: str, key: str, payload: bytes, about: float) -> None:
        for hear in self.hearers[topic]:
            hear(key, payload, now() - about)
