"""The other gateways of one instance, as the rest of this one meets them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.fleet.calls import Calls
from gateway.fleet.link import Link
from gateway.fleet.news import Hear, News
from gateway.fleet.once import Once
from gateway.fleet.reads import Look, Reads
from gateway.fleet.spaces import Spaces
from gateway.fleet.turns import Turns
from gateway.fleet.wire import Timers


@dataclass(frozen=True, slots=True)
class FleetView:
    """The store as people are told of it."""

    store: str
    """Its URL, without user name and password."""
    mode: str
    """`single`, `sentinel` or `cluster`."""
    me: str
    """The name by which the others know this gateway."""
    away: str | None
    """Why it cannot be used; None while it can."""
    away_for: float
    """Seconds since it cannot be used; 0.0 while it can."""
    holders: Mapping[str, str]
    """Names of those who had the locks that this gateway asked for last, by the lock's name."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a fleet is made of."""

    link: Link
    news: News
    turns: Turns
    reads: Reads
    once: Once
    spaces: Spaces


class Fleet:
    """Nothing raises, and nothing waits longer than a small budget; while the store is away all is None."""

    def __init__(
        self,
        parts: Parts,
        *,
        me: str,
        store: str,
        mode: str,
        expected_size: int,
        timers: Timers,
        budget: float,
    ) -> None:
        self.expected_size = expected_size
        self._parts = parts
        self._calls: Calls = parts.link.calls
        self._me = me
        self._store = store
        self._mode = mode
        self._timers = timers
        self._budget = budget
        self._channel = parts.news.channel

    @property
    def away(self) -> bool:
        """Whether the others cannot be reached now."""
        return self._parts.link.away

    def view(self) -> FleetView:
        """What people are told."""
        link = self._parts.link
        away_for = self._timers.time() - link.away_since if link.away else 0.0
        reason = (link.reason or "not reached yet") if link.away else None
        holders = dict(self._parts.once.holders)
        return FleetView(self._store, self._mode, self._me, reason, away_for, holders)

    async def reserve(self) -> float | None:
        """Reserve the fleet's next turn: seconds until it."""
        return await self._parts.turns.reserve()

    def pause(self, seconds: float) -> None:
        """No turn for this time, for nobody."""
        self._parts.turns.pause(seconds)

    async def look(self, key: str, lease: float) -> Look | None:
        """A fresh answer, else whether this gateway is to fetch it."""
        return await self._parts.reads.look(key, lease)

    async def publish(self, key: str, answer: bytes, age: float, lasts: float) -> None:
        """Tell an answer and keep it for a while; the lead ends."""
        await self._parts.reads.publish(key, answer, age, lasts)

    def release(self, key: str) -> None:
        """Give a lead back without an answer."""
        self._parts.reads.release(key)

    def forget(self) -> None:
        """No answer that was sent before now is given any more."""
        self._parts.reads.forget()

    async def hold(self, name: str, lease: float) -> bool | None:
        """Take or renew a lock: whether it is ours."""
        return await self._parts.once.hold(name, lease)

    def drop(self, name: str) -> None:
        """Give a lock back."""
        self._parts.once.drop(name)

    async def claim(self, key: str) -> bool | None:
        """Whether this process is the one that has it."""
        return await self._parts.once.claim(key)

    async def load(self, space: str) -> Mapping[str, bytes] | None:
        """All entries of a space."""
        return await self._parts.spaces.load(space)

    async def get(self, space: str, key: str) -> bytes | None:
        """An entry."""
        return await self._parts.spaces.get(space, key)

    def put(self, space: str, key: str, value: bytes, lasts: float) -> None:
        """Keep an entry, soon and in order."""
        self._parts.spaces.put(space, key, value, lasts)

    async def settled(self) -> bool:
        """Wait until what was put is in the store: whether it is."""
        return await self._parts.spaces.settled(self._budget)

    def tell(self, topic: str, key: str, payload: bytes) -> None:
        """Tell what is not kept."""
        words = (self._me, topic, key.encode("utf-8", "surrogateescape"), payload)
        self._calls.send("tell", (), self._channel, *words)

    def listen(self, topic: str, hear: Hear) -> None:
        """Hear what others tell of the topic."""
        self._parts.news.listen(topic, hear)

    def on_return(self, call: Callable[[], None]) -> None:
        """Call each time the store can be used again."""
        self._parts.link.on_return.append(call)
