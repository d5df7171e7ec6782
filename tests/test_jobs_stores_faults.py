"""A file that fails while it is in use: removed, moved, replaced, out of room."""

import asyncio
import resource
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from gateway.jobs.stores.sqlite import SqliteFile, open_file
from gateway.jobs.stores.write_behind import Patience, Unusable, WriteBehind

REMOVED = "was removed or replaced while in use: leave it where it is"


@dataclass
class InUse:
    """A store over a file with one old entry, and the lines that it logged."""

    path: Path
    lines: list[str] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def open(self) -> "InUse":
        self.store = await WriteBehind.open(
            partial(open_file, self.path),
            name="sqlite",
            place=str(self.path),
            log=self.log,
            patience=Patience(pauses=(0.001, 0.01)),
        )
        return self

    def log(self, line: str) -> None:
        self.lines.append(line)
        self.told.set()

    async def line(self, number: int) -> str:
        """The line of this number, waited for."""
        while len(self.lines) < number:
            self.told.clear()
            await self.told.wait()
        return self.lines[number - 1]

    async def fails(self, says: str) -> None:
        """A change is given that cannot be written; the first line says why."""
        self.store.put("jobs", "new", b"2")
        assert not await self.store.settled()
        assert await self.line(1) == f"jobs.store: {says}; changes wait in memory and are tried again"

    async def recovers(self) -> None:
        """The second line says that it is over, and a reader finds both entries."""
        assert await self.line(2) == f"jobs.store: {self.path} is written again"
        assert self.store.problem is None
        await self.is_kept()

    async def is_kept(self) -> None:
        """After the end the file holds both entries, and nothing more was logged."""
        await self.store.aclose()
        self.store = (await InUse(self.path).open()).store
        assert self.store.load("jobs") == {"old": b"1", "new": b"2"}
        assert len(self.lines) == 2


@pytest.fixture
async def in_use(tmp_path: Path) -> AsyncIterator[InUse]:
    """A file in use."""
    (tmp_path / "volume").mkdir()
    opened = await InUse(tmp_path / "volume" / "jobs.db").open()
    opened.store.put("jobs", "old", b"1")
    assert await opened.store.settled()
    yield opened
    await opened.store.aclose()


async def test_a_file_that_is_removed(in_use: InUse) -> None:
    """A file that was removed is made again, with all it held."""
    in_use.path.unlink()
    await in_use.fails(f"{in_use.path} {REMOVED}")
    await in_use.recovers()


async def test_a_file_that_is_removed_with_its_companions(in_use: InUse) -> None:
    """The same where the directory goes with all that is in it, once there is one again."""
    shutil.rmtree(in_use.path.parent)
    await in_use.fails(f"{in_use.path} {REMOVED}")
    in_use.path.parent.mkdir()
    await in_use.recovers()


async def test_a_file_that_is_moved_and_brought_back(in_use: InUse) -> None:
    """A file that was moved away and back is used again."""
    folder = in_use.path.parent
    away = folder.with_name("away")
    folder.rename(away)
    await in_use.fails(f"{in_use.path} {REMOVED}")
    away.rename(folder)
    await in_use.recovers()


def test_a_file_that_is_replaced(tmp_path: Path) -> None:
    """Another file in its place is left alone, and once that is gone the own one is made again."""
    path = tmp_path / "jobs.db"
    file = SqliteFile(path)
    file.write({("jobs", "old"): b"1"})
    path.unlink()
    path.write_bytes(b"precious")
    for says in (REMOVED, "was replaced while in use: start the gateway again, or move it away"):
        with pytest.raises(Unusable, match=f"^{path} {says}$"):
            file.write({("jobs", "new"): b"2"})
    assert path.read_bytes() == b"precious"
    path.unlink()
    file.write({("jobs", "new"): b"2"})
    assert file.rows() == [("jobs", b"new", b"2"), ("jobs", b"old", b"1")]
    file.close()


@contextmanager
def no_more_than(size: int) -> Iterator[None]:
    """No file of this process can grow beyond these bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_an_input_output_error(in_use: InUse) -> None:
    """A write that the system refuses is tried again until it works."""
    with no_more_than(in_use.path.with_name("jobs.db-wal").stat().st_size):
        await in_use.fails(f"{in_use.path} cannot be used: check its disk (disk I/O error)")
    await in_use.recovers()


def test_a_batch_that_fails_half_way(tmp_path: Path) -> None:
    """A batch is written as a whole or not at all, and the next one is not held up by it."""
    file = SqliteFile(tmp_path / "jobs.db")
    with pytest.raises(Unusable):
        file.write({("jobs", "k"): b"1", ("jobs", "odd"): cast(bytes, object())})
    assert file.rows() == []
    file.write({("jobs", "k"): b"1"})
    assert file.rows() == [("jobs", b"k", b"1")]
    file.close()


def test_a_disk_without_room(tmp_path: Path) -> None:
    """A batch for which there is no room is not written in part, and the file is good for the next one."""
    file = SqliteFile(tmp_path / "jobs.db")
    assert file._connection is not None
    file._connection.execute("PRAGMA max_page_count=8")
    with pytest.raises(Unusable, match=r"has no room on its disk: make some \(database or disk is full\)$"):
        file.write({("jobs", str(number)): b"x" * 1000 for number in range(100)})
    assert file.rows() == []
    file.write({("jobs", "k"): b"1"})
    assert file.rows() == [("jobs", b"k", b"1")]
    file.close()
