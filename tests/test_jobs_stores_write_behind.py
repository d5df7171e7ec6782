"""A store in front of a medium: what it gathers, writes, keeps back and says."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from gateway.jobs.stores.write_behind import Patience, Spaces, Unusable, WriteBehind
from tests.support.stores import Medium

FULL = Unusable("the disk is full: make room")
HASTY = Patience(opening=0.05, settling=0.05, closing=0.05, write=0.01, pauses=(0.001, 0.002))
LONG = 60.0


@dataclass
class Written:
    """A store over a medium, and the lines that it logged."""

    medium: Medium
    store: WriteBehind
    lines: list[str] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def line(self, number: int) -> str:
        """The line of this number, waited for."""
        while len(self.lines) < number:
            self.told.clear()
            await self.told.wait()
        return self.lines[number - 1]


async def open_over(medium: Medium, spaces: Spaces | None = None, patience: Patience = HASTY) -> Written:
    """A store over the medium, which has these entries."""
    lines: list[str] = []
    told = asyncio.Event()

    def log(line: str) -> None:
        lines.append(line)
        told.set()

    store = await WriteBehind.open(
        lambda: (medium, spaces or {}), name="test", place="/there", log=log, patience=patience
    )
    return Written(medium, store, lines, told)


@pytest.fixture
async def written() -> AsyncIterator[Written]:
    """A store over a medium that has room."""
    opened = await open_over(Medium(), patience=Patience(settling=LONG, pauses=(0.001, 0.002)))
    yield opened
    opened.medium.open.set()
    await opened.store.aclose()


async def test_what_was_given_is_written(written: Written) -> None:
    """What was put or removed before `settled` is with the medium after it."""
    written.store.put("a", "k", b"1")
    written.store.put("b", "k", b"2")
    assert await written.store.settled()
    written.store.remove("a", "k")
    assert await written.store.settled()
    assert written.medium.entries == {("b", "k"): b"2"}
    assert not written.lines


async def test_many_changes_are_one_batch(written: Written) -> None:
    """What is given while the medium writes goes in one batch, and of an entry only its last value."""
    written.medium.open.clear()
    written.store.put("a", "first", b"1")
    await written.medium.tried(1)
    for number in range(1000):
        written.store.put("a", f"k{number % 10}", str(number).encode())
    written.medium.open.set()
    assert await written.store.settled()
    assert [len(batch) for batch in written.medium.batches] == [1, 10]
    assert written.medium.batches[1]["a", "k9"] == b"999"


async def test_one_thread_makes_every_call(written: Written) -> None:
    """The medium is only ever used from one thread, which is not the event loop's."""
    for number in range(5):
        written.store.put("a", str(number), b"")
        await written.store.settled()
    await written.store.aclose()
    assert written.medium.closed
    assert len(written.medium.threads) == 1


async def test_what_never_got_there_is_not_removed(written: Written) -> None:
    """A change that is taken back before it was written costs the medium nothing."""
    written.store.put("a", "k", b"1")
    written.store.remove("a", "k")
    written.store.remove("a", "never there")
    assert await written.store.settled()
    assert not written.medium.tries


async def test_removed_while_it_is_written(written: Written) -> None:
    """An entry that is removed while it is being written is removed after that."""
    written.medium.open.clear()
    written.store.put("a", "k", b"1")
    await written.medium.tried(1)
    written.store.remove("a", "k")
    written.medium.open.set()
    assert await written.store.settled()
    assert written.medium.batches == [{("a", "k"): b"1"}, {("a", "k"): None}]


async def test_removed_once(written: Written) -> None:
    """An entry that the medium no longer has is not removed again, nor remembered."""
    written.store.put("a", "k", b"1")
    await written.store.settled()
    written.store.remove("a", "k")
    await written.store.settled()
    written.store.remove("a", "k")
    assert await written.store.settled()
    assert written.medium.tries == 2


async def test_removed_while_its_writing_fails(written: Written) -> None:
    """An entry that is removed while the writing of it fails was never there."""
    written.medium.open.clear()
    written.store.put("a", "k", b"1")
    await written.medium.tried(1)
    written.store.remove("a", "k")
    written.medium.error = FULL
    written.medium.open.set()
    await written.line(1)
    written.store.put("a", "l", b"1")
    written.medium.error = None
    await written.line(2)
    assert written.medium.batches == [{("a", "l"): b"1"}]


async def test_what_was_there_is_handed_over_once() -> None:
    """The medium's entries are given out at the first load and then not held any longer."""
    opened = await open_over(Medium(), {"a": {"k": b"1"}})
    assert opened.store.load("a") == {"k": b"1"}
    assert opened.store.load("a") == {}
    assert opened.store.load("b") == {}
    opened.store.remove("a", "k")
    await opened.store.aclose()
    assert opened.medium.batches == [{("a", "k"): None}]


async def test_a_failure_is_said_once_and_so_is_its_end(written: Written) -> None:
    """While the medium fails nothing is lost; one line tells when that begins, one when it is over."""
    written.medium.error = FULL
    written.store.put("a", "k", b"1")
    assert await written.line(1) == (
        "jobs.store: the disk is full: make room; changes wait in memory and are tried again"
    )
    assert f"{written.store.problem};" in written.lines[0]
    assert not await written.store.settled()
    await written.medium.tried(10)
    written.store.put("a", "k", b"2")
    written.medium.error = None
    assert await written.line(2) == "jobs.store: /there is written again"
    assert not written.store.problem
    assert await written.store.settled()
    assert written.medium.entries == {("a", "k"): b"2"}
    assert len(written.lines) == 2


async def test_any_error_is_survived(written: Written) -> None:
    """An error that nobody thought of does not end the writing."""
    written.medium.error = ZeroDivisionError("odd")
    written.store.put("a", "k", b"1")
    assert "/there: ZeroDivisionError('odd')" in await written.line(1)
    written.medium.error = None
    await written.line(2)
    assert written.medium.entries == {("a", "k"): b"1"}


async def test_a_known_failure_costs_no_wait() -> None:
    """`settled` answers at once while the medium is known to fail, and so holds up no request."""
    opened = await open_over(Medium(error=FULL), patience=Patience(settling=LONG, pauses=(LONG,)))
    opened.store.put("a", "k", b"1")
    assert not await opened.store.settled()
    opened.store.put("a", "k", b"2")
    assert not await opened.store.settled()
    assert opened.medium.tries == 1
    await opened.store.aclose()


async def test_pauses_grow() -> None:
    """Each failure in a row is followed by the next pause, whatever is given meanwhile."""
    medium = Medium(error=FULL)
    opened = await open_over(medium, patience=Patience(pauses=(0.001, LONG)))
    opened.store.put("a", "k", b"1")
    await medium.tried(2)
    opened.store.put("a", "k", b"2")
    for _ in range(100):
        await asyncio.sleep(0)
    assert medium.tries == 2
    await opened.store.aclose()
    assert medium.tries == 3


async def test_memory_is_bounded_while_the_medium_fails(written: Written) -> None:
    """Entries that come and go while nothing can be written leave nothing behind."""
    written.medium.error = FULL
    for number in range(2000):
        written.store.put("a", str(number), b"x")
        if number % 100 == 0:
            await written.store.settled()
        written.store.remove("a", str(number))
    written.store.put("a", "last", b"x")
    await written.medium.tried(written.medium.tries + 3)
    written.medium.error = None
    await written.line(2)
    assert written.medium.batches == [{("a", "last"): b"x"}]


async def test_a_medium_that_hangs() -> None:
    """A write that does not come back is a problem, and nobody waits long for it, at the end neither."""
    opened = await open_over(Medium())
    opened.medium.open.clear()
    opened.store.put("a", "k", b"1")
    assert not await opened.store.settled()
    assert "/there has not taken a change for 0.01 s" in await opened.line(1)
    assert opened.store.problem is not None
    opened.store.put("a", "l", b"1")
    await opened.store.aclose()
    assert opened.lines[1:] == ["jobs.store: 2 changes could not be written to /there before the end"]
    opened.medium.open.set()


async def test_a_slow_write_that_comes_back(written: Written) -> None:
    """A write that took too long but succeeded is written, and said to be."""
    opened = await open_over(Medium(), patience=Patience(write=0.001))
    opened.medium.open.clear()
    opened.store.put("a", "k", b"1")
    await opened.line(1)
    opened.medium.open.set()
    assert await opened.line(2) == "jobs.store: /there is written again"
    assert await opened.store.settled()
    await opened.store.aclose()


async def test_the_end_writes_what_is_left(written: Written) -> None:
    """At the end what is left is written, nothing is removed, and what comes later is not taken."""
    written.store.put("a", "k", b"1")
    await written.store.aclose()
    assert await written.store.settled()
    written.store.put("a", "l", b"1")
    assert not await written.store.settled()
    await written.store.aclose()
    assert written.medium.entries == {("a", "k"): b"1"}


async def test_the_end_of_a_failing_medium() -> None:
    """At the end there is one more try, without a pause, and a line for what is lost."""
    opened = await open_over(Medium(error=FULL), patience=Patience(pauses=(LONG,)))
    opened.store.put("a", "k", b"1")
    await opened.line(1)
    await opened.store.aclose()
    assert opened.medium.tries == 2
    assert opened.medium.closed
    assert opened.lines[1:] == ["jobs.store: 1 changes could not be written to /there before the end"]


async def test_a_medium_that_cannot_be_opened() -> None:
    """What opening raises is raised; one that does not answer is given up."""

    def refuse() -> tuple[Medium, Spaces]:
        raise FULL

    with pytest.raises(Unusable, match="full"):
        await WriteBehind.open(refuse, name="test", place="/there", log=print)
    hanging = Medium()
    hanging.open.clear()

    def hang() -> tuple[Medium, Spaces]:
        hanging.open.wait()
        return hanging, {}

    with pytest.raises(Unusable, match=r"^/there has not answered for 0.05 s: check its disk$"):
        await WriteBehind.open(hang, name="test", place="/there", log=print, patience=HASTY)
    hanging.open.set()
