"""Who has the next turn, and how long a newcomer would wait."""

import pytest

from gateway.jobs.governor import Governor, Priority, Ticket
from tests.support.timers import FakeTimers

READ, WRITE, WATCH = Priority.READ, Priority.WRITE, Priority.WATCH


@pytest.fixture
def timers() -> FakeTimers:
    return FakeTimers()


@pytest.fixture
def governor(timers: FakeTimers) -> Governor:
    """One turn a second; the pace of this file is in whole turns."""
    return Governor(rate=1.02, burst=1, max_queued=1_000, timers=timers, on_wait=lambda *_: None)


async def served(timers: FakeTimers, tickets: dict[str, Ticket]) -> str:
    """The names of the tickets in the order of their turns, until nobody waits."""
    names = []
    waiting = {name: ticket for name, ticket in tickets.items() if not ticket.granted.done()}
    for _ in range(len(waiting)):
        timers.advance(1.001)
        had = [name for name, ticket in waiting.items() if ticket.granted.done()]
        assert len(had) == 1
        names += had
        del waiting[had[0]]
    return " ".join(names)


async def test_writes_then_reads_then_the_watcher(governor: Governor, timers: FakeTimers) -> None:
    """Writes go before reads and reads before the watcher; within a priority who came first goes first."""
    governor.line_up(READ)
    order = ("watch1", WATCH), ("read1", READ), ("write1", WRITE), ("read2", READ), ("write2", WRITE)
    tickets = {name: governor.line_up(priority) for name, priority in order}
    assert governor.queued() == {WRITE: 2, READ: 2, WATCH: 1}
    assert await served(timers, tickets) == "write1 write2 read1 read2 watch1"
    assert governor.queued() == {WRITE: 0, READ: 0, WATCH: 0}


async def test_earlier_place_is_kept(governor: Governor, timers: FakeTimers) -> None:
    """Who goes once more stands where it stood: before those who came later, behind those who came before."""
    governor.line_up(READ)
    tickets = {"first": governor.line_up(READ)}
    timers.advance(0.1)
    since = timers.time()
    timers.advance(0.1)
    tickets["late"] = governor.line_up(READ)
    tickets["write"] = governor.line_up(WRITE)
    tickets["again"] = governor.line_up(READ, since=since)
    tickets["again too"] = governor.line_up(READ, since=since)
    assert await served(timers, tickets) == "write first again again too late"


async def test_place_in_the_future_is_none(governor: Governor, timers: FakeTimers) -> None:
    """A time that is yet to come gives the place of a newcomer."""
    governor.line_up(READ)
    tickets = {"one": governor.line_up(READ, since=timers.time() + 100)}
    timers.advance(0.1)
    tickets["two"] = governor.line_up(READ)
    assert await served(timers, tickets) == "one two"


async def test_wait_counts_from_this_ticket(timers: FakeTimers) -> None:
    """An earlier place does not count an earlier wait a second time."""
    waits: list[float] = []
    governor = Governor(
        rate=1.02, burst=1, max_queued=9, timers=timers, on_wait=lambda _, waited: waits.append(waited)
    )
    governor.line_up(READ, since=timers.time() - 50)
    governor.line_up(READ, since=timers.time() - 50)
    timers.advance(1.5)
    assert waits == [0, pytest.approx(1)]


async def test_watcher_has_one_turn_in_ten(governor: Governor, timers: FakeTimers) -> None:
    """While others wait all the time, each tenth turn is the watcher's, and no more than that."""
    governor.line_up(READ)
    tickets = {f"watch{n}": governor.line_up(WATCH) for n in range(3)}
    tickets |= {f"read{n}": governor.line_up(READ) for n in range(20)}
    tickets |= {f"write{n}": governor.line_up(WRITE) for n in range(5)}
    names = (await served(timers, tickets)).split()
    assert [names.index(f"watch{n}") for n in range(3)] == [9, 19, 27]


async def test_turns_without_the_watcher_are_not_owed(governor: Governor, timers: FakeTimers) -> None:
    """Turns that others had before the watcher came do not bring it forward."""
    tickets = {f"read{n}": governor.line_up(READ) for n in range(31)}
    timers.advance(15)
    tickets["watch"] = governor.line_up(WATCH)
    assert (await served(timers, tickets)).split().index("watch") == 9


async def test_patience_of_the_watcher_is_remembered(governor: Governor, timers: FakeTimers) -> None:
    """A watcher that leaves and comes back waits for what is left of the nine turns."""
    tickets = {f"read{n}": governor.line_up(READ) for n in range(31)}
    leaves = governor.line_up(WATCH)
    timers.advance(6.5)
    governor.withdraw(leaves)
    timers.advance(2)
    tickets["watch"] = governor.line_up(WATCH)
    assert (await served(timers, tickets)).split().index("watch") == 3


async def test_cancelled_watcher_does_not_use_up_its_turn(governor: Governor, timers: FakeTimers) -> None:
    """The watcher's turn in ten is not spent on a ticket that was cancelled at that moment."""
    governor.line_up(READ)
    gone = governor.line_up(WATCH)
    tickets = {"watch": governor.line_up(WATCH)} | {f"read{n}": governor.line_up(READ) for n in range(12)}
    timers.advance(9.5)
    gone.granted.cancel()
    assert (await served(timers, tickets)).split().index("watch") == 0


async def test_promotion_keeps_the_time(governor: Governor, timers: FakeTimers) -> None:
    """A ticket that is raised stands among its new equals as if it had come there at its own time."""
    governor.line_up(READ)
    tickets = {"watch": governor.line_up(WATCH), "read": governor.line_up(READ)}
    timers.advance(0.1)
    tickets["later read"] = governor.line_up(READ)
    tickets["write"] = governor.line_up(WRITE)
    governor.promote(tickets["watch"], READ)
    governor.promote(tickets["later read"], WRITE)
    governor.promote(tickets["write"], READ)
    governor.promote(tickets["write"], WRITE)
    assert governor.queued() == {WRITE: 2, READ: 2, WATCH: 0}
    assert await served(timers, tickets) == "write later read read watch"


async def test_promotion_of_who_does_not_wait_is_nothing(governor: Governor, timers: FakeTimers) -> None:
    """A ticket that was granted or withdrawn stays what it is."""
    granted, gone, stays = (governor.line_up(READ) for _ in range(3))
    governor.withdraw(gone)
    governor.promote(granted, WRITE)
    governor.promote(gone, WRITE)
    assert (granted.priority, gone.priority) == (READ, READ)
    assert governor.queued() == {WRITE: 0, READ: 1, WATCH: 0}
    assert await served(timers, {"stays": stays}) == "stays"


async def test_expected_wait_counts_those_ahead(governor: Governor, timers: FakeTimers) -> None:
    """A write waits for writes, a read for writes and reads, the watcher for all, and for the next turn."""
    assert [governor.expected_wait(priority) for priority in Priority] == [0, 0, 0]
    governor.line_up(READ)
    timers.advance(0.25)
    assert [governor.expected_wait(priority) for priority in Priority] == [0.75] * 3
    for priority in (WRITE, READ, READ, WATCH):
        governor.line_up(priority)
    assert [governor.expected_wait(priority) for priority in Priority] == [1.75, 3.75, 4.75]


async def test_expected_wait_knows_the_watchers_turn(governor: Governor, timers: FakeTimers) -> None:
    """The watcher need not wait for all the reads, and a read far behind waits for the watcher too."""
    governor.line_up(READ)
    for _ in range(50):
        governor.line_up(READ)
    assert governor.expected_wait(WATCH) == pytest.approx(10)
    governor.line_up(WATCH)
    assert governor.expected_wait(WATCH) == pytest.approx(20)
    assert governor.expected_wait(READ) == pytest.approx(52)


async def test_expected_wait_knows_when_the_watcher_had_its_turn(
    governor: Governor, timers: FakeTimers
) -> None:
    """What others had of their nine turns counts: the watcher is three reads away, and before the sixth."""
    for _ in range(12):
        governor.line_up(READ)
    watch = governor.line_up(WATCH)
    timers.advance(6)
    assert governor.queued() == {WRITE: 0, READ: 5, WATCH: 1}
    assert governor.expected_wait(READ) == pytest.approx(7)
    governor.withdraw(watch)
    assert governor.expected_wait(READ) == pytest.approx(6)
    assert governor.expected_wait(WATCH) == pytest.approx(4)


async def test_expected_wait_of_a_pause_and_a_burst(timers: FakeTimers) -> None:
    """A pause counts as it is; turns that are saved up cost no wait."""
    governor = Governor(rate=1.02, burst=3, max_queued=9, timers=timers, on_wait=lambda *_: None)
    waits = []
    for _ in range(5):
        waits.append(governor.expected_wait(READ))
        governor.line_up(READ)
    assert waits == [0, 0, 0, 1, 2]
    governor = Governor(rate=1.02, burst=3, max_queued=9, timers=timers, on_wait=lambda *_: None)
    governor.pause(10)
    assert governor.expected_wait(READ) == 10
    timers.advance(4)
    governor.line_up(WRITE)
    assert (governor.expected_wait(WRITE), governor.expected_wait(READ)) == (7, 7)
