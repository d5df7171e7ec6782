"""Files that are followed: when a change counts, and what becomes of a look that fails."""

import asyncio
import logging
from pathlib import Path

import pytest

from gateway.config.followed import POLL, Followed, follow


async def test_a_change_while_the_files_are_read_does_not_count(tmp_path: Path) -> None:
    """What was read of a file that was written meanwhile is given to nobody, and is read again."""
    path = tmp_path / "file"
    path.write_text("a")
    files = Followed([path])
    path.write_text("ab")
    writes = iter(["abc", "abcd"])

    def read() -> str:
        found = path.read_text()
        if text := next(writes, None):
            path.write_text(text)
        return found

    # Each change is seen, then read: the first two times it changes again meanwhile.
    assert [await files.renewed(read) for _ in range(6)] == [None, None, None, None, None, "abcd"]


async def test_what_was_not_taken_is_found_again(tmp_path: Path) -> None:
    """A change is told until it is taken up, also after a look that failed, and then no more."""
    path = tmp_path / "file"
    files = Followed([None, path])
    path.write_text("a")

    def fail() -> str:
        raise MemoryError

    assert await files.renewed(path.read_text) is None
    with pytest.raises(MemoryError):
        await files.renewed(fail)
    assert [await files.renewed(path.read_text) for _ in range(2)] == ["a", "a"]
    files.take()
    assert await files.renewed(path.read_text) is None


async def test_a_look_that_fails_is_not_the_last(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a look raises is told once in a row, with its traceback, and the next look comes."""
    faults: list[Exception | None] = [
        RuntimeError("no thread"), RuntimeError("no thread"), OSError("no file"), None, OSError("no file"),
    ]  # fmt: skip
    looks = iter(faults)

    async def look() -> None:
        if (fault := next(looks)) is not None:
            raise fault

    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) > len(faults):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await follow(look, sleep)
    assert slept == [POLL] * 6
    assert [(record.levelno, str(record.exc_info and record.exc_info[1])) for record in caplog.records] == [
        (logging.ERROR, text) for text in ("no thread", "no file", "no file")
    ]
