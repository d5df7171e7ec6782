"""Files that something else renews while the gateway runs: looked at every few seconds, read when changed."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

POLL = 5.0
"""Seconds between two looks at the files."""

_Mark = tuple[int, int, int, int] | None
"""Times of content and of mode or name, inode and size; None while there is no file."""

_Found = TypeVar("_Found")

_log = logging.getLogger("gateway.followed")


class Followed:
    """Some files, and how they were when they were last taken up.

    A file that is written in place is half there for a moment, and half a key may well be a key. So a change
    counts once the files have kept still from one look to the next, and while they were read.
    """

    def __init__(self, paths: Iterable[Path | None]) -> None:
        """Paths that are None are left out. Make it before the files are read for the first time."""
        self._paths = tuple(path for path in paths if path is not None)
        self._taken = self._last = self._marks()

    def __bool__(self) -> bool:
        """Whether there is a file to follow."""
        return bool(self._paths)

    async def renewed(self, read: Callable[[], _Found]) -> _Found | None:
        """What `read`, in a thread, finds in files that changed; None where nothing did, or may still do so.

        Until `take` is called each look finds it again, so that nothing that fails once is lost.
        """
        before, self._last = self._last, self._marks()
        if self._taken == self._last or self._last != before:
            return None
        found = await asyncio.to_thread(read)
        return found if self._marks() == self._last else None

    def take(self) -> None:
        """What `renewed` found last is in use."""
        self._taken = self._last

    def _marks(self) -> tuple[_Mark, ...]:
        return tuple(_mark(path) for path in self._paths)


async def follow(
    look: Callable[[], Awaitable[object]], sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Call `look` every `POLL` seconds, until cancelled; one that fails is told, and the next may work."""
    told = None
    while True:
        await sleep(POLL)
        try:
            await look()
        except Exception as error:  # noqa: BLE001 - a follower that ends would leave its files unread for ever
            if (reason := repr(error)) != told:
                _log.exception("files that are followed could not be looked at; trying again")
            told = reason
        else:
            told = None


def _mark(path: Path) -> _Mark:
    try:
        status = os.stat(path)  # noqa: PTH116 - called every few seconds on the event loop
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
