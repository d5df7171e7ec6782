"""Files that cannot be a store: one line each, no exception, and the file stays as it was."""

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.config import Jobs
from gateway.jobs.stores import open_store
from gateway.jobs.stores.sqlite import VERSION

NOBODY = 65_534
NO_DIRECTORY = "is in a directory that does not exist: make it, or mount a volume there"


def damaged(path: Path) -> None:
    """Overwrite a page in the middle of a file of ours."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)


def of_a_newer_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version={VERSION + 1}")


def of_another_application(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE precious (thing)")


def without_its_table(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE entries")


def cut(path: Path) -> None:
    os.truncate(path, 5000)


def text(path: Path) -> None:
    path.write_text("[jobs]\nstore = 'memory'\n" * 20)


def short(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\0")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (damaged, "is damaged: move it away, and a new one is made"),
        (cut, "is damaged: move it away, and a new one is made (database disk image is malformed)"),
        (text, "is not a SQLite file: name another, or move it away"),
        (short, "is not a SQLite file: name another, or move it away"),
        (of_another_application, "is another application's SQLite file: name another"),
        (of_a_newer_version, "was written by a newer version of the gateway: use that one, or another file"),
        (without_its_table, "is damaged: move it away, and a new one is made (no such table: entries)"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, spoil: Callable[[Path], None], says: str) -> None:
    """One line says what is amiss and what to do; the file stays as it is, and memory stands in."""
    path = tmp_path / "jobs.db"
    asyncio.run(fill(path))
    spoil(path)
    before = path.read_bytes()
    asyncio.run(is_told(path, says))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


async def fill(path: Path) -> None:
    """Make a file of some pages."""
    store = await open_store(Jobs(store=f"sqlite://{path}"), log=pytest.fail)
    for number in range(200):
        store.put("jobs", str(number), b"x" * 100)
    await store.aclose()


async def is_told(path: Path, says: str) -> None:
    """Opening the file ends with this line, and with a store that works but is not durable."""
    lines: list[str] = []
    store = await open_store(Jobs(store=f"sqlite://{path}"), log=lines.append)
    problem = f"{path} {says}; until the gateway is started again, jobs are kept in memory"
    assert lines == [f"jobs.store: {problem}"]
    assert (store.name, store.problem) == ("memory", problem)
    store.put("jobs", "k", b"1")
    store.remove("jobs", "k")
    assert not await store.settled()
    await store.aclose()


NOT_WRITABLE = "cannot be written: let the gateway's user write this file and its directory"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("none/jobs.db", f"{NO_DIRECTORY} (No such file or directory)"),
        ("file/jobs.db", f"{NO_DIRECTORY} (Not a directory)"),
        ("folder", "is a directory: name a file in it (Is a directory)"),
        ("pipe", "is not a file: name one"),
    ],
)
def test_a_path_that_is_no_file(tmp_path: Path, name: str, says: str) -> None:
    """A path where no file can be gets a line that says why."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    asyncio.run(is_told(tmp_path / name, says))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that any user can reach."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path
        path.chmod(0o755)


@contextmanager
def ordinary_user() -> Iterator[None]:
    """Permissions bind: root does without its rights."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_that_may_only_be_read(folder: Path) -> None:
    """A file without write permission is left alone."""
    path = folder / "jobs.db"
    asyncio.run(fill(path))
    path.chmod(0o444)
    with ordinary_user():
        asyncio.run(is_told(path, f"{NOT_WRITABLE} (Permission denied)"))
    assert path.stat().st_mode & 0o777 == 0o444


def test_a_directory_that_may_only_be_read(folder: Path) -> None:
    """A directory without write permission takes no new file, and keeps an old one from being used."""
    path = folder / "jobs.db"
    asyncio.run(fill(path))
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    folder.chmod(0o555)
    with ordinary_user():
        asyncio.run(is_told(path, f"{NOT_WRITABLE} (attempt to write a readonly database)"))
        asyncio.run(is_told(folder / "new.db", f"{NOT_WRITABLE} (Permission denied)"))
