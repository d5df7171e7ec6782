"""What must hold after every test, whatever it tested; `tests/conftest.py` applies it.

| after each test | seen by |
|---|---|
| each gateway that runs on is alive | `standing_gateways.py`: both listeners answer |
| files, tasks and threads are those from before | `Before` |
| memory has not jumped | `Before`; tests that move much are marked `large("reason")` |
| nothing failed where nobody looked | `Unheard`: what asyncio logs, as of a task that nobody awaited |
| no secret was told | `standing_secrets.py` |
"""

import asyncio
import gc
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")

PATIENCE_VARIABLE = "ADT_TESTS_PATIENCE"
PATIENCE = float(os.environ.get(PATIENCE_VARIABLE, "10"))
"""Seconds within which what a test began must have ended."""
JUMP = 64 * 1_048_576
"""Bytes by which one test may make the process grow; first imports take most of it."""
_FILES = "/proc/self/fd"
_MEMORY = "/proc/self/statm"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_TOLD = Path(_FILES).exists()
"""Whether this system tells a process what it has."""
_KEPT_CONNECTIONS = 200
"""Ends of connections that gateways which run on may keep, on both sides of the test's process."""


_LEAVING: set["asyncio.Task[Any]"] = set()


def leaves(task: "asyncio.Task[Result]") -> "asyncio.Task[Result]":
    """A caller that waits still when the test is over, and leaves then; the same task."""
    _LEAVING.add(task)
    task.add_done_callback(_LEAVING.discard)
    return task


class Before:
    """What the process has before a test; `problems` says what is left of the test after it."""

    def __init__(self, loops: Sequence[asyncio.AbstractEventLoop] = ()) -> None:
        self._loops = loops
        self._tasks = _tasks(loops)
        self._threads = set(threading.enumerate())
        self._files = files()
        self._memory = memory()

    def problems(self, kept_ports: Collection[int] = (), *, large: bool = False) -> list[str]:
        """What is left, once it had time to end; `kept_ports` are those of peers of gateways that run on."""
        while _LEAVING:
            _LEAVING.pop().cancel()
        deadline = time.monotonic() + PATIENCE
        looks = 0
        while (left := self._left(kept_ports)) and time.monotonic() < deadline:
            looks += 1
            # What ends by itself does so soon; to collect at each look took a third of the suite's time.
            if looks.bit_count() == 1:
                gc.collect()
            for loop in self._loops:
                if not loop.is_closed():
                    loop.run_until_complete(asyncio.sleep(0.01))
            if not self._loops:
                time.sleep(0.01)
        return left + ([] if large else self._grown())

    def _left(self, kept_ports: Collection[int]) -> list[str]:
        kept = {serving(port) for port in kept_ports}
        tasks = [
            f"a task runs on: {task!r}"
            for task in _tasks(self._loops) - self._tasks
            if task.get_name() not in kept
        ]
        new = [thread for thread in set(threading.enumerate()) - self._threads if not _of_a_pool(thread)]
        return tasks + [f"a thread runs on: {thread!r}" for thread in new] + self._open(kept_ports)

    def _open(self, kept_ports: Collection[int]) -> list[str]:
        now = files()
        new = Counter(now.values()) - Counter(self._files.values())
        left = [
            (number, name)
            for number, name in now.items()
            if name in new and number not in self._files.keys() & now.keys()
        ]
        ports = {number: _ports(number) for number, name in left if name.startswith("socket:")}
        kept = [number for number, ends in ports.items() if ends & set(kept_ports)]
        if len(kept) > _KEPT_CONNECTIONS:
            return [f"{len(kept)} ends of connections to an upstream are kept"]
        return [
            f"a file is open: {name} {ports.get(number, '')}" for number, name in left if number not in kept
        ]

    def _grown(self) -> list[str]:
        if memory() - self._memory > JUMP:
            gc.collect()
        grown = memory() - self._memory
        return [f"memory grew by {grown / 1_048_576:.0f} MiB"] if grown > JUMP else []


class Unheard(logging.Handler):
    """Failures that asyncio can only log, since nobody awaits what failed."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.said.append(f"asyncio: {self.format(record)}")


@contextmanager
def unheard() -> Iterator[list[str]]:
    """Listen to asyncio's own log for as long as the block lasts."""
    handler, log = Unheard(), logging.getLogger("asyncio")
    log.addHandler(handler)
    try:
        yield handler.said
    finally:
        log.removeHandler(handler)


def serving(port: int) -> str:
    """The name of a task that serves a connection to a test's own server; one that is kept may run on."""
    return f"serves a connection to port {port}"


def files() -> dict[int, str]:
    """The open files of this process by number: what each is."""
    found = {}
    # Called twice for every test; by way of Path it takes five times as long.
    for number in os.listdir(_FILES) if _TOLD else ():  # noqa: PTH208
        with suppress(FileNotFoundError):  # the listing's own
            found[int(number)] = os.readlink(f"{_FILES}/{number}")  # noqa: PTH115
    return found


def memory() -> int:
    """Bytes that the process holds; 0 where nobody tells."""
    if not _TOLD:
        return 0
    with open(_MEMORY, "rb", buffering=0) as told:  # noqa: PTH123 - as above
        return int(told.read().split()[1]) * _PAGE


def _tasks(loops: Sequence[asyncio.AbstractEventLoop]) -> set["asyncio.Task[object]"]:
    return {task for loop in loops if not loop.is_closed() for task in asyncio.all_tasks(loop)}


def _of_a_pool(thread: threading.Thread) -> bool:
    """Whether it is one that a loop keeps for work that blocks; it ends with its loop."""
    return thread.name.startswith("asyncio_")


def _ports(number: int) -> set[int]:
    """The ports of both ends, where the socket is a connection."""
    try:
        with socket.socket(fileno=os.dup(number)) as end:
            addresses = [end.getsockname(), end.getpeername()]
    except OSError:  # it has ended
        return set()
    return {address[1] for address in addresses if isinstance(address, tuple)}
