"""A store in front of a medium that is slow and may fail.

Changes wait in a map, so that of many to one entry the last is written, and go to the medium in batches from
one thread. While the medium fails they go on waiting, and are tried again with growing pauses.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from gateway.jobs.stores.own_thread import OwnThread

Entry = tuple[str, str]
"""Space and key."""
Changes = Mapping[Entry, bytes | None]
"""New values; None removes."""
Spaces = dict[str, dict[str, bytes]]


class Unusable(Exception):
    """The medium cannot be used now. The text says in one line what is amiss and what to do."""


class Medium(Protocol):
    """Where entries end up. Opened, called and closed in one thread, and may block."""

    def write(self, changes: Changes) -> None:
        """Make all of them durable, or none and raise; whatever is raised, it will be tried again."""

    def close(self) -> None:
        """Nothing follows."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Longest waits, in seconds."""

    opening: float = 10.0
    settling: float = 2.0
    closing: float = 1.0
    write: float = 10.0
    """A write that takes longer is a problem, though it may still succeed."""
    pauses: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
    """Before each new try after failures in a row; the last again and again."""


class WriteBehind:
    """A store that writes soon; `place` says in its log lines where.

    Bounded by the entries of its users: what waits is one change for each entry that they have, or that the
    medium has.
    """

    def __init__(
        self,
        medium: Medium,
        spaces: Spaces,
        thread: OwnThread,
        *,
        name: str,
        place: str,
        log: Callable[[str], None],
        patience: Patience,
    ) -> None:
        self.name = name
        self.problem: str | None = None
        self._medium = medium
        self._loaded = spaces
        self._held = {(space, key) for space, entries in spaces.items() for key in entries}
        self._thread = thread
        self._place = place
        self._log = log
        self._patience = patience
        self._waiting: dict[Entry, bytes | None] = {}
        self._under_way: Changes = {}
        self._given = 0
        self._written = 0
        """The number of the last change that is durable, with all before it; they are counted in `_given`."""
        self._changed = asyncio.Event()
        self._closing = asyncio.Event()
        self._outcome = asyncio.Condition()
        self._task = asyncio.create_task(self._write_on(), name=f"{name} store")

    @classmethod
    async def open(
        cls,
        open_medium: Callable[[], tuple[Medium, Spaces]],
        *,
        name: str,
        place: str,
        log: Callable[[str], None],
        patience: Patience | None = None,
    ) -> "WriteBehind":
        """Open the medium and read what it has, in the thread. Raises Unusable."""
        patience = patience or Patience()
        thread = OwnThread(f"{name} store")
        try:
            async with asyncio.timeout(patience.opening):
                medium, spaces = await thread.call(open_medium)
        except TimeoutError:
            thread.end()
            waited = f"{patience.opening:g} s"
            raise Unusable(f"{place} has not answered for {waited}: check its disk") from None
        except BaseException:
            thread.end()
            raise
        return cls(medium, spaces, thread, name=name, place=place, log=log, patience=patience)

    def load(self, space: str) -> Mapping[str, bytes]:
        """What the medium had at the opening; handed over, so that a second time there is nothing."""
        return self._loaded.pop(space, {})

    def put(self, space: str, key: str, value: bytes) -> None:
        """Keep the value under the key, soon."""
        self._change((space, key), value)

    def remove(self, space: str, key: str) -> None:
        """Forget the key, soon."""
        self._change((space, key), None)

    async def settled(self) -> bool:
        """Whether all that was given before is durable; at once where the medium is known to fail."""
        given = self._given

        def is_decided() -> bool:
            return self._written >= given or self.problem is not None or self._task.done()

        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.settling), self._outcome:
                await self._outcome.wait_for(is_decided)
        return self._written >= given

    async def aclose(self) -> None:
        """Write what is left, try that once only, and close the medium; later changes are not taken."""
        if self._closing.is_set():
            return
        self._closing.set()
        self._changed.set()
        with suppress(TimeoutError, Unusable):
            async with asyncio.timeout(self._patience.closing):
                await self._task
                await self._thread.call(self._medium.close)
        self._thread.end()
        left = len({**self._under_way, **self._waiting})
        if left:
            self._log(f"jobs.store: {left} changes could not be written to {self._place} before the end")

    def _change(self, entry: Entry, value: bytes | None) -> None:
        self._given += 1
        if self._closing.is_set():
            return
        if value is None and entry not in self._held and entry not in self._under_way:
            self._waiting.pop(entry, None)
        else:
            self._waiting[entry] = value
        self._changed.set()

    async def _write_on(self) -> None:
        failures = 0
        while True:
            await self._changed.wait()
            self._changed.clear()
            is_last = self._closing.is_set()
            failures = 0 if await self._write() else failures + 1
            async with self._outcome:
                self._outcome.notify_all()
            if is_last:
                return
            if failures:
                await self._pause(failures)
                self._changed.set()

    async def _pause(self, failures: int) -> None:
        pauses = self._patience.pauses
        with suppress(TimeoutError):
            async with asyncio.timeout(pauses[min(failures, len(pauses)) - 1]):
                await self._closing.wait()

    async def _write(self) -> bool:
        """Write all that waits; false where that failed."""
        batch, self._waiting = self._waiting, {}
        given, self._under_way = self._given, batch
        try:
            if batch:
                await self._hand_over(batch)
        except Exception as error:  # noqa: BLE001 - a writer that ended would lose every later change
            changes = {**batch, **self._waiting}
            # What never got there need not be removed; without this, changes that come and go would pile up.
            self._waiting = {
                entry: value for entry, value in changes.items() if value is not None or entry in self._held
            }
            self._under_way = {}
            self._fail(str(error) if isinstance(error, Unusable) else f"{self._place}: {error!r}")
            return False
        self._held.update(entry for entry, value in batch.items() if value is not None)
        self._held.difference_update(entry for entry, value in batch.items() if value is None)
        self._under_way = {}
        self._written = given
        if batch and self.problem is not None:
            self.problem = None
            self._log(f"jobs.store: {self._place} is written again")
        return True

    async def _hand_over(self, batch: Changes) -> None:
        writing = self._thread.call(partial(self._medium.write, batch))
        try:
            await asyncio.wait({writing}, timeout=self._patience.write)
            if not writing.done():
                waited = f"{self._patience.write:g} s"
                self._fail(f"{self._place} has not taken a change for {waited}: check its disk")
            await writing
        finally:
            writing.cancel()  # at the end, nobody waits for it any longer

    def _fail(self, problem: str) -> None:
        if self.problem is None:
            self._log(f"jobs.store: {problem}; changes wait in memory and are tried again")
        self.problem = problem
