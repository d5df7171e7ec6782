"""Stores as `jobs.store` names them: what memory and a SQLite file keep, and for whom."""

import asyncio
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import Jobs
from gateway.jobs.stores import Store, open_store
from gateway.jobs.stores.claim import APPLICATION_ID
from gateway.jobs.stores.sqlite import VERSION
from tests.support.stores import KeepingStore

WRITER = """
import asyncio, sys
from gateway.config import Jobs
from gateway.jobs.stores import open_store

async def write(first):
    store = await open_store(Jobs(store=sys.argv[1]), log=print)
    number = first
    while True:
        store.put("jobs", f"k{number}", b"%d" % number * 100)
        store.put("jobs", "last", b"%d" % number)
        store.remove("jobs", f"k{number - 3}")
        assert await store.settled()
        print(number, flush=True)
        number += 1

asyncio.run(write(int(sys.argv[2])))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is to be."""
    return tmp_path / "jobs.db"


def permissions(*paths: Path) -> set[int]:
    """The permission bits that occur."""
    return {path.stat().st_mode & 0o777 for path in paths}


async def reopened(path: Path) -> Store:
    """The store in the file, which must be usable."""
    store = await open_store(Jobs(store=f"sqlite://{path}"), log=pytest.fail)
    assert store.name == "sqlite"
    return store


async def kept(path: Path, space: str = "jobs") -> dict[str, bytes]:
    """What the file holds of a space."""
    store = await reopened(path)
    entries = dict(store.load(space))
    await store.aclose()
    return entries


async def test_memory() -> None:
    """Memory keeps nothing for later, and has no problem with that."""
    store = await open_store(Jobs(), log=pytest.fail)
    store.put("jobs", "k", b"1")
    store.remove("jobs", "k")
    assert (store.name, store.problem) == ("memory", None)
    assert await store.settled()
    assert store.load("jobs") == {}
    await store.aclose()


async def test_a_file_keeps_what_it_is_given(path: Path) -> None:
    """What was put is there after a restart, by space and key, and what was removed is not."""
    store = await reopened(path)
    store.put("jobs", "k", b"1")
    store.put("writes", "k", b"2")
    store.put("jobs", "gone", b"3")
    assert await store.settled()
    store.put("jobs", "k", b"4")
    store.remove("jobs", "gone")
    await store.aclose()
    assert await kept(path, "jobs") == {"k": b"4"}
    assert await kept(path, "writes") == {"k": b"2"}
    assert await kept(path, "other") == {}


async def test_a_file_that_is_whole(path: Path) -> None:
    """The file is the owner's alone, says what it is, and has no companions after a clean end."""
    store = await reopened(path)
    store.put("jobs", "k", b"1")
    assert await store.settled()
    assert permissions(*path.parent.iterdir()) == {0o600}
    await store.aclose()
    assert list(path.parent.iterdir()) == [path]
    with closing(sqlite3.connect(path)) as reader:
        found = [
            reader.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version", "journal_mode", "integrity_check")
        ]
    assert found == [APPLICATION_ID, VERSION, "wal", "ok"]


def test_an_empty_file_and_who_may_read_it(path: Path) -> None:
    """An empty file is taken as a new one, and one that others could read becomes the owner's alone."""
    path.touch(0o664)
    path.chmod(0o664)
    assert asyncio.run(kept(path)) == {}
    assert permissions(path) == {0o600}


@settings(max_examples=20, deadline=None)
@given(st.dictionaries(st.text(min_size=1), st.binary(max_size=200), max_size=20))
def test_any_key_and_value(entries: dict[str, bytes]) -> None:
    """Any text is a key, NUL and quotes too, and any bytes are a value."""

    async def there_and_back() -> dict[str, bytes]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "jobs.db"
            store = await reopened(path)
            for key, value in entries.items():
                store.put("jobs", key, value)
            await store.aclose()
            return await kept(path)

    assert asyncio.run(there_and_back()) == entries


async def test_a_key_that_is_no_text_stops_nothing(path: Path) -> None:
    """A lone surrogate in a key does not keep the others from being written."""
    store = await reopened(path)
    store.put("jobs", "\ud800", b"1")
    store.put("jobs", "k", b"2")
    assert await store.settled()
    await store.aclose()
    assert (await kept(path))["k"] == b"2"


async def test_the_double_keeps_like_a_file(path: Path) -> None:
    """The store that other tests use loads after a restart what a file would."""
    file, double = await reopened(path), KeepingStore()
    for number in range(100):
        for store in (file, double):
            store.put("jobs", f"k{number * 7 % 20}", str(number).encode())
            store.remove("jobs", f"k{number * 3 % 20}")
    await file.aclose()
    assert await kept(path) == double.load("jobs")


async def writer(path: Path, first: int) -> asyncio.subprocess.Process:
    """A process that writes to the file and tells each number that is settled."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, f"sqlite://{path}", str(first), stdout=asyncio.subprocess.PIPE
    )


async def told_by(process: asyncio.subprocess.Process) -> int:
    """The next number that the process tells."""
    assert process.stdout is not None
    return int(await process.stdout.readline())


async def test_killed_at_any_moment(path: Path) -> None:
    """What was settled when the process was killed is there, whole, each time."""
    number = 0
    for writes in (23, 1, 57):
        process = await writer(path, number + 1)
        for _ in range(writes):
            number = await told_by(process)
        process.kill()
        await process.wait()
        entries = await kept(path)
        last = int(entries["last"])
        assert last >= number
        for settled in range(max(1, last - 2), last + 1):
            assert entries[f"k{settled}"] == b"%d" % settled * 100
        number = last


async def test_a_second_gateway(path: Path) -> None:
    """A file that another process uses is left to it, and free again once that one ends."""
    process = await writer(path, 1)
    await told_by(process)
    lines: list[str] = []
    store = await open_store(Jobs(store=f"sqlite://{path}"), log=lines.append)
    (line,) = lines
    says = "is in use by another process: give each gateway a file of its own (database is locked)"
    assert line.startswith(f"jobs.store: {path} {says};")
    assert store.name == "memory"
    await told_by(process)
    process.kill()
    await process.wait()
    assert await kept(path)
