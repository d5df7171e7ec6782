"""Files that something else renews while the gateway runs: looked at every few seconds, read when changed."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

POLL = 5.0
"""Seconds between two looks at the files."""

_Mark = tuple[int, int, int, int] | None
"""Times of content and of mode or name, inode and size; None while there is no file."""


class Followed:
    """Some files, and how they were when last looked at."""

    def __init__(self, paths: Iterable[Path | None]) -> None:
        """Paths that are None are left out. Make it before the files are read for the first time."""
        self._paths = tuple(path for path in paths if path is not None)
        self._seen = self._marks()

    def __bool__(self) -> bool:
        """Whether there is a file to follow."""
        return bool(self._paths)

    def changed(self) -> bool:
        """Whether one is another than at the last call; ask before reading.

        A change while the files are read then shows at the next call.
        """
        before, self._seen = self._seen, self._marks()
        return before != self._seen

    def _marks(self) -> tuple[_Mark, ...]:
        return tuple(_mark(path) for path in self._paths)


async def follow(
    look: Callable[[], Awaitable[object]], sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
) -> None:
    """Call `look` every `POLL` seconds, until cancelled."""
    while True:
        await sleep(POLL)
        await look()


def _mark(path: Path) -> _Mark:
    try:
        status = os.stat(path)  # noqa: PTH116 - called every few seconds on the event loop
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_size
