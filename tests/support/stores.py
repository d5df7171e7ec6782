"""Stores for tests: one that outlives its ledger, and a medium that fails and hangs when told."""

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.jobs.stores.write_behind import Changes, Entry, Spaces


@dataclass
class KeepingStore:
    """Keeps what it is given, for the next ledger, and counts the changes."""

    name: str = "keeping"
    problem: str | None = None
    spaces: Spaces = field(default_factory=dict)
    changes: int = 0

    def load(self, space: str) -> Mapping[str, bytes]:
        return dict(self.spaces.get(space, {}))

    def put(self, space: str, key: str, value: bytes) -> None:
        self.changes += 1
        self.spaces.setdefault(space, {})[key] = value

    def remove(self, space: str, key: str) -> None:
        self.changes += 1
        self.spaces.get(space, {}).pop(key, None)

    async def settled(self) -> bool:
        return True

    async def aclose(self) -> None: ...


class Medium:
    """A medium in memory. `error` is what a write raises; while `open` is clear, writes hang.

    `batches` are the writes that worked, `tries` counts all of them.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.batches: list[dict[Entry, bytes | None]] = []
        self.tries = 0
        self.closed = False
        self.threads: set[int] = set()
        self.open = threading.Event()
        self.open.set()
        self._tried = threading.Condition()

    def write(self, changes: Changes) -> None:
        self.threads.add(threading.get_ident())
        with self._tried:
            self.tries += 1
            self._tried.notify_all()
        self.open.wait()
        if self.error is not None:
            raise self.error
        self.batches.append(dict(changes))

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed = True

    async def tried(self, times: int) -> None:
        """Wait until so many writes have begun."""

        def wait() -> None:
            with self._tried:
                self._tried.wait_for(lambda: self.tries >= times)

        await asyncio.to_thread(wait)

    @property
    def entries(self) -> dict[Entry, bytes]:
        """What all the batches come to."""
        kept: dict[Entry, bytes | None] = {}
        for batch in self.batches:
            kept |= batch
        return {entry: value for entry, value in kept.items() if value is not None}
