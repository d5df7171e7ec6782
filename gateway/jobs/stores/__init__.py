"""Where what is known of jobs is kept: small key-value stores with named spaces.

memory        in the process, and gone with it
write_behind  a store in front of a medium that is slow: changes are gathered and written soon
own_thread    calls that block, in a thread of their own
sqlite        the medium that is a file
claim         whether a file may be used as ours
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from gateway.config import Jobs
from gateway.jobs.stores.memory import MemoryStore
from gateway.jobs.stores.sqlite import open_file
from gateway.jobs.stores.write_behind import Unusable, WriteBehind

__all__ = ["MemoryStore", "Store", "open_store"]


class Store(Protocol):
    """Bytes by space and key, used from the event loop's thread; each of its users has a space of its own."""

    @property
    def name(self) -> str:
        """`memory` or `sqlite`."""

    @property
    def problem(self) -> str | None:
        """Why it does not keep what it is given now, in one line; None when all is well."""

    def load(self, space: str) -> Mapping[str, bytes]:
        """What was there at the opening; to be asked once per space, as it is not held any longer."""

    def put(self, space: str, key: str, value: bytes) -> None:
        """Keep the value under the key; it is written soon. Never blocks, never raises."""

    def remove(self, space: str, key: str) -> None:
        """Forget the key, if it is there. Never blocks, never raises."""

    async def settled(self) -> bool:
        """Whether all that was given before is kept; waits for that, some 2 s at most. Never raises."""

    async def aclose(self) -> None:
        """Write what is left, within a second. Nothing is removed."""


async def open_store(settings: Jobs, *, log: Callable[[str], None]) -> Store:
    """The store that `jobs.store` names.

    Never raises for one that cannot be used: `log` gets one line that says why and what to do, and memory,
    with that line as its `problem`, stands in. `log` is called on the event loop, also when writing begins
    to fail later, and when it works again.
    """
    path = settings.store_file
    if path is None:
        return MemoryStore()
    try:
        return await WriteBehind.open(partial(open_file, path), name="sqlite", place=str(path), log=log)
    except Unusable as error:
        problem = f"{error}; until the gateway is started again, jobs are kept in memory"
        log(f"jobs.store: {problem}")
        return MemoryStore(problem)
