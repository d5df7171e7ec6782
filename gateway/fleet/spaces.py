"""What gateways keep for each other: entries by key in spaces, written soon and in order."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from gateway.fleet.calls import Away, Calls, bytes_of
from gateway.fleet.clock import MICRO
from gateway.fleet.keys import Keys
from gateway.fleet.reads import LARGEST

MOST: Final = 100_000
"""Entries of a space in the store; the one whose time ends first goes for the next."""
_WINDOW: Final = 64
"""Writes that are under way at once."""
_MOST_PENDING: Final = 20_000
_MOST_PENDING_BYTES: Final = 64 * 1_048_576
_PAGE: Final = 200
"""Entries asked for at once, so that neither the store nor the budget is strained."""

_MOST_PAGES: Final = 4 * MOST // _PAGE
_LOADING: Final = 5.0
"""Seconds for all the pages of a space: a gateway that starts waits for them."""

_Name = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Write:
    value: bytes
    lasts: float

    @property
    def size(self) -> int:
        return len(self.value)


class Spaces:
    """Writes go on when the store is back, the last of each key, up to a bound: then the oldest are lost."""

    def __init__(self, calls: Calls, keys: Keys, me: str) -> None:
        self._calls = calls
        self._keys = keys
        self._about = (keys.channel, me)
        self._pending: OrderedDict[_Name, _Write] = OrderedDict()
        self._size = 0
        self._flying: dict[int, tuple[_Name, _Write]] = {}
        self._count = 0
        self._settled = asyncio.Event()

    def put(self, space: str, key: str, value: bytes, lasts: float) -> None:
        """Keep an entry; one that is too large is left out."""
        if len(value) <= LARGEST:
            self._write((space, key), _Write(value, lasts))

    async def settled(self, budget: float) -> bool:
        """Wait until all is written: whether it is."""
        self._settled.clear()
        if not self._pending and not self._flying:
            return self._calls.wire is not None
        if self._calls.wire is None:
            return False
        try:
            async with asyncio.timeout(budget):
                await self._settled.wait()
        except TimeoutError:
            return False
        return not self._pending and not self._flying

    async def get(self, space: str, key: str) -> bytes | None:
        """The entry; None where there is none, and while away."""
        waiting = self._pending.get((space, key))
        if waiting is not None and self._calls.wire is not None:
            return waiting.value
        try:
            return await self._calls.call("get", self._both(space)[:1], _bytes(key), read=_read_value)
        except Away:
            return None

    async def load(self, space: str) -> Mapping[str, bytes] | None:
        """All entries; None while away, and where they do not come to an end in time."""
        found: dict[str, bytes] = {}
        cursor = b"0"
        try:
            async with asyncio.timeout(_LOADING):
                for _ in range(_MOST_PAGES):
                    words = (cursor, _PAGE)
                    page = await self._calls.call("load", self._both(space)[:1], *words, read=_read_page)
                    cursor, entries = page
                    found.update(entries)
                    if cursor == b"0":
                        return found
        except (Away, TimeoutError):
            pass
        return None

    def go_on(self) -> None:
        """The store is back: what waits is written."""
        self._pump()

    def _write(self, name: _Name, write: _Write) -> None:
        self._take(name)
        self._pending[name] = write
        self._size += write.size
        while len(self._pending) > _MOST_PENDING or self._size > _MOST_PENDING_BYTES:
            self._take(next(iter(self._pending)))
        self._pump()

    def _take(self, name: _Name) -> None:
        before = self._pending.pop(name, None)
        self._size -= before.size if before else 0

    def _pump(self) -> None:
        while self._pending and len(self._flying) < _WINDOW and self._calls.wire is not None:
            name, write = next(iter(self._pending.items()))
            sent = self._send(name, write)
            if sent is None:
                break
            self._take(name)
            self._count += 1
            self._flying[self._count] = name, write
            sent.add_done_callback(partial(self._landed, self._count))

    def _send(self, name: _Name, write: _Write) -> "asyncio.Future[Any] | None":
        (space, key), both = name, self._both(name[0])
        about = (*self._about, space, _bytes(key))
        return self._calls.send("put", both, *about, write.value, round(write.lasts * MICRO), MOST)

    def _landed(self, number: int, sent: "asyncio.Future[Any]") -> None:
        name, write = self._flying.pop(number)
        if (sent.cancelled() or sent.exception() is not None) and name not in self._pending:
            # Lost, with all that were sent after it: they come by here in order, and a later one of the same
            # key takes the place of this one.
            self._again(name, write)
        self._pump()
        if not self._flying:
            self._settled.set()

    def _again(self, name: _Name, write: _Write) -> None:
        later = any(other == name for other, _ in self._flying.values())
        if not later:
            self._pending[name] = write
            self._size += write.size

    def _both(self, space: str) -> tuple[str, str]:
        return self._keys("space", space), self._keys("space", space, "until")


def _read_value(reply: Any) -> bytes | None:
    return None if reply is None else bytes_of(reply)


def _read_page(reply: Any) -> tuple[bytes, dict[str, bytes]]:
    cursor, *entries = reply
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return bytes_of(cursor), {key.decode("utf-8", "surrogateescape"): bytes_of(value) for key, value in pairs}


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")
